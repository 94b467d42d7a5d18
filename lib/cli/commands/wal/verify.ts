/**
 * `wal verify`: everything that can be checked without a broker. The survey checks what the log is made of (every CRC, the
 * chain of LSNs over segments, positions without gaps); here every batch is compared with what the log says of it.
 * Read-only, also beside the producer that writes. Source: wal.md 5.
 */
import { systemClock } from '../../../index.js'
import {
  BATCH_PREFIX_BYTES,
  decodeBatchPrefix,
  FrameType,
  type FrameView,
  readFrames,
  type SegmentSurvey,
} from '../../../wal/index.js'
import { amount, count, plural } from '../../output.js'
import type { Run } from '../../run.js'
import { batchProblem } from './batch-check.js'
import { WalExit } from './exit-codes.js'
import { exitOf, tellFindings } from './findings.js'
import { dirOf, type WalFlags } from './flags.js'
import { isGone, type Look, look, partsOf } from './look.js'

interface Checked {
  batches: number
  bytes: number
  /** Batches that are not what the log says. */
  wrong: number
}

export async function verify(run: Run, _words: readonly string[], flags: WalFlags): Promise<number> {
  const dir = dirOf(flags)
  const fromMs = systemClock.monotonicMs()
  const seen = await look(run, dir, 'verify')
  await tellFindings(run, seen)
  const checked = await checkBatches(run, dir, seen)
  const ms = systemClock.monotonicMs() - fromMs
  const exitCode = Math.max(exitOf(seen.findings), checked.wrong > 0 ? WalExit.corrupt : WalExit.clean)
  await tellSummary(run, dir, seen, checked, ms, exitCode)
  return exitCode
}

/** Of a queue's log the items are its own business: the CRCs of the frames are all there is. */
async function checkBatches(run: Run, dir: string, { survey }: Look): Promise<Checked> {
  const checked: Checked = { batches: 0, bytes: 0, wrong: 0 }
  if (survey.manifest.owner !== 'producer') return checked
  const segments = survey.segments.filter(({ isLeftover, isSpareLike }) => !isLeftover && !isSpareLike)
  const total = segments.reduce((sum, { end }) => sum + end, 0)
  let done = 0
  run.out.startProgress(
    () => `verify: batches of ${amount(done)} of ${amount(total)}, ${plural(checked.wrong, 'finding')}`,
  )
  for (const segment of segments) {
    run.io.signal.throwIfAborted()
    await checkSegment(run, dir, segment, checked)
    done += segment.end
  }
  run.out.endProgress()
  return checked
}

async function checkSegment(run: Run, dir: string, segment: SegmentSurvey, checked: Checked): Promise<void> {
  const problems: { readonly at: number; readonly lsn: number; readonly text: string }[] = []
  try {
    await readFrames(partsOf(run).fs, dir, segment.number, (frame) => {
      // Behind it stand remains that do not count, or what was written since we looked.
      if (frame.at >= segment.end) return
      if (frame.type !== FrameType.batch && frame.type !== FrameType.reloc) return
      checked.batches++
      checked.bytes += frame.body.length
      const text = problemOf(frame)
      if (text !== null) problems.push({ at: frame.at, lsn: frame.lsn, text })
    })
  } catch (error) {
    if (!isGone(error)) throw error
    // Everything in it was settled since we looked: nothing of it is needed any more.
    await run.out.note(`segment ${segment.number} was freed by the producer meanwhile`)
  }
  checked.wrong += problems.length
  for (const { at, lsn, text } of problems) {
    const finding = {
      kind: 'batch',
      segment: segment.number,
      file: segment.name,
      fromByte: at,
      fromLsn: lsn,
      toLsn: lsn,
      text,
    }
    await run.out.either({ finding }, [`batch: ${segment.name} byte ${at}, LSN ${lsn}: ${text}`])
  }
}

function problemOf({ body, type }: FrameView): string | null {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const claims = decodeBatchPrefix(body, view, 0, body.length)
  return batchProblem(claims, body.subarray(BATCH_PREFIX_BYTES), type === FrameType.reloc)
}

async function tellSummary(
  run: Run,
  dir: string,
  { survey, findings, isMoving }: Look,
  { batches, wrong }: Checked,
  ms: number,
  exitCode: number,
): Promise<void> {
  const { frames, records, scannedBytes } = survey
  const summary = {
    ...{ dir, exitCode, findings: findings.length + wrong, segments: survey.segments.length },
    ...{ frames, batches, records, bytes: scannedBytes, ms: Math.round(ms), isMoving, isClosed: survey.isClean },
  }
  const verdict = VERDICTS[exitCode] ?? 'unknown'
  const line = `${dir}: ${verdict}; ${count(frames)} frames, ${plural(records, 'record')}, ${amount(scannedBytes)} read in ${(ms / 1_000).toFixed(1)} s`
  await run.out.either({ summary }, [line])
}

const VERDICTS: Readonly<Record<number, string>> = {
  [WalExit.clean]: 'clean',
  [WalExit.torn]: 'only what a crash leaves',
  [WalExit.corrupt]: 'damaged',
}
