/**
 * Reading a log that may be written at the same time, without its lock.
 * Why everything suspicious is looked at twice: a frame under way looks like a torn tail, a segment that is recycled
 * between two reads like a missing one. What a writer causes is gone or elsewhere at the second look; what is still
 * there is on the disk. Source: wal.md 5.
 */
import { MQError, systemClock } from '../../../index.js'
import {
  type Finding,
  type LockOwner,
  lockOwnerOf,
  type RecoveryProgress,
  type Survey,
  survey,
  type WalParts,
  walParts,
} from '../../../wal/index.js'
import { pause } from '../../io.js'
import type { Run } from '../../run.js'
import { ScanProgress } from './progress.js'

export interface Look {
  readonly survey: Survey
  /** Those that were there at both looks. */
  readonly findings: readonly Finding[]
  /** Frames came while we looked. */
  readonly isMoving: boolean
  readonly owner: LockOwner | null
}

/** A writer that makes a group per millisecond has ended it by then. */
const AGAIN_MS = 100
const ATTEMPTS = 10
/** Memory for the index of unsettled entries; a log never needs more than its producer has. */
const INDEX_MAX_BYTES = 512 * 1024 * 1024

export function partsOf(run: Run): WalParts {
  const silent = () => {}
  const logger = { debug: silent, info: silent, warn: (text: string) => void run.out.note(text), error: silent }
  return walParts(systemClock, logger)
}

/** A file was recycled or freed between reading its name and opening it. */
export function isGone(error: unknown): boolean {
  if (error instanceof MQError) return error.context.reason === 'WAL_SEGMENT_MISSING'
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}

/** Rejects with what `survey` throws, at two looks in a row. */
export async function look(run: Run, dir: string, what: string): Promise<Look> {
  const parts = partsOf(run)
  await checkDirectory(parts, dir)
  const progress = new ScanProgress(what)
  run.out.startProgress(() => progress.text())
  try {
    return await lookTwice(run, parts, dir, (step) => progress.step(step))
  } finally {
    run.out.endProgress()
  }
}

/** A wrong path is the most frequent mistake: it is told as such, and not as a MANIFEST that is missing. */
function checkDirectory({ fs }: WalParts, dir: string): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.stat(dir, (error, facts) => {
      const isThere = error === null && (facts?.kind === 'directory' || facts?.kind === 'symlink')
      if (isThere) return resolve()
      const why = error === null ? `it is a ${facts?.kind}` : (error.code ?? error.message)
      const text = `${dir} is no directory that can be read (${why}): look at --dir`
      reject(new MQError('INVALID_CONFIG', text, { reason: 'WAL_PERMISSION', path: dir }))
    })
  })
}

async function lookTwice(
  run: Run,
  parts: WalParts,
  dir: string,
  onProgress: (step: RecoveryProgress) => void,
): Promise<Look> {
  let before: Survey | MQError | null = null
  for (let attempt = 1; ; attempt++) {
    run.io.signal.throwIfAborted()
    const now = await attemptOf(parts, dir, onProgress)
    if (now instanceof MQError) {
      if (attempt >= ATTEMPTS || isSame(before, now)) throw now
    } else if (now.findings.length === 0 || (before !== null && !(before instanceof MQError))) {
      return { ...settled(before, now), owner: await lockOwnerOf(parts, dir) }
    }
    before = now
    await pause(AGAIN_MS, run.io.signal)
  }
}

function attemptOf(
  parts: WalParts,
  dir: string,
  onProgress: (step: RecoveryProgress) => void,
): Promise<Survey | MQError> {
  const options = { bootId: parts.host.bootId, verifyBodies: true, indexMaxBytes: INDEX_MAX_BYTES, onProgress }
  return survey(parts.fs, dir, options).catch((error: unknown) => {
    if (error instanceof MQError) return error
    if (!isGone(error)) throw error
    const text = `a file of the log went while it was read: ${String((error as Error).message)}`
    return new MQError('DECOMPRESSION_FAILED', text, { reason: 'WAL_SEGMENT_MISSING', path: dir })
  })
}

function isSame(before: Survey | MQError | null, now: MQError): boolean {
  return before instanceof MQError && before.message === now.message
}

function settled(before: Survey | MQError | null, now: Survey): Omit<Look, 'owner'> {
  if (before === null || before instanceof MQError) return { survey: now, findings: now.findings, isMoving: false }
  const findings = now.findings.filter((finding) => before.findings.some((one) => isSameFinding(one, finding)))
  return { survey: now, findings, isMoving: before.lastLsn !== now.lastLsn }
}

function isSameFinding(one: Finding, other: Finding): boolean {
  return one.kind === other.kind && one.segment === other.segment && one.fromByte === other.fromByte
}
