/**
 * Recovers a crash state, read-only or by a whole opening, and has what came back judged.
 * A survey must never refuse what a crash alone can leave, and never call it corrupt.
 */
import { MQError } from '../../../lib/errors/index.js'
import type { Wal, WalEvents, WalOptions, WalParts } from '../../../lib/wal/index.js'
import { type Finding, type Survey, survey } from '../../../lib/wal/read/survey.js'
import { SimDisk, WAL_DIR } from '../../support/wal-sim/index.js'
import type { CrashState } from './explorer.js'
import { judge, type Recovered } from './judge.js'
import type { LogModel } from './model.js'

/** What is enumerated: the log, or a toy that the enumeration itself is tried on. */
export interface Subject {
  readonly canBind: boolean
  open(options: WalOptions, parts: WalParts, events: WalEvents): Promise<Wal>
  /** Reads a crash state and judges it; null: fine. */
  recover(state: CrashState, model: LogModel, bootId: string): Promise<string | null>
}

export async function judgeSurvey(state: CrashState, model: LogModel, bootId: string): Promise<string | null> {
  const disk = SimDisk.fromImage(state.image, { isAutomatic: true, keepsTrace: false })
  let found: Survey
  try {
    found = await survey(disk, WAL_DIR, { bootId, verifyBodies: true, indexMaxBytes: 2 ** 26 })
  } catch (error) {
    return model.isOpened || !isUnfinished(error) ? `the survey refused: ${text(error)}` : null
  }
  const corrupt = found.findings.find((finding) => finding.kind === 'corrupt')
  if (corrupt !== undefined) return `the survey calls it corrupt: ${corrupt.text}`
  return judge(model, state.crash, surveyed(found), state.image)
}

export function surveyed(found: Survey): Recovered {
  const { tables, findings, holes } = found
  return {
    stream: (id) => tables.streams.get(id),
    entriesOf: (id) => tables.entriesOf(id),
    streamIds: tables.streams.keys(),
    isReported: (stream, position, lsn) =>
      findings.some((finding) => isLoss(finding) && covers(finding, stream, position, lsn)) ||
      holes.some((hole) => covers(hole, stream, position, lsn)),
  }
}

export function opened(wal: Wal): Recovered {
  return {
    stream: (id) => wal.stream(id),
    entriesOf: (id) => wal.entriesOf(id),
    streamIds: [...wal.streams].map((stream) => stream.id),
    // An opening that crashed after its HOLE told it, and wrote it: whether it was told is asked of the survey.
    isReported: () => true,
  }
}

/** With its causes: the innermost one is the reason. */
export function text(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const own = error instanceof MQError ? `${error.context.reason ?? error.code}: ${error.message}` : (error.stack ?? '')
  return error.cause === undefined ? own : `${own} <- ${text(error.cause)}`
}

/** A directory whose making was interrupted has no MANIFEST yet; opening makes it again. */
function isUnfinished(error: unknown): boolean {
  return error instanceof MQError && error.context.reason === 'WAL_MANIFEST_MISSING'
}

function isLoss(finding: Finding): boolean {
  return finding.kind === 'reordered' || finding.kind === 'discarded' || finding.kind === 'covered'
}

function covers(
  loss: Pick<Finding, 'fromLsn' | 'toLsn' | 'ranges'>,
  stream: number,
  position: number,
  lsn: number,
): boolean {
  if (lsn >= loss.fromLsn && lsn <= loss.toLsn) return true
  return loss.ranges.some((range) => range.stream === stream && position >= range.from && position <= range.to)
}
