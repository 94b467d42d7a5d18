/**
 * Opening, in the order that keeps every error harmless: look, lock, read, judge; only then write (wal.md 4.1).
 * Invariant: until the judgement is done nothing but LOCK is changed; whatever fails, the lock is given up and no
 * descriptor stays open. Every step may be repeated after a crash in any call: a file is either complete under its name
 * or not there, frames written twice say the same thing twice.
 */
import { MQError } from '../../errors/index.js'
import type { Clock } from '../../util/index.js'
import { walError } from '../errors.js'
import { decodeManifest, MANIFEST_MAX_BYTES, MANIFEST_NAME, type Manifest } from '../format/manifest.js'
import { survey } from '../read/survey.js'
import type { LogTables } from '../state/tables.js'
import type { RecoveredLog, WalEvents, WalMeasures, WalOptions, WalParts } from '../types.js'
import { LogWriter } from '../write/log-writer.js'
import { createLog } from './create.js'
import { checkedNames, prepareDirectory } from './directory.js'
import { Disk } from './disk.js'
import { FencedFs } from './fence.js'
import { acquireLock, type HeldLock, writeOwner } from './lock.js'
import { Progress } from './progress.js'
import { recover } from './recover.js'

/** How long a failed opening waits for calls that are on their way. Milliseconds. */
const RELEASE_WAIT_MS = 1_000

export interface OpenedLog {
  readonly walId: string
  readonly incarnation: number
  readonly incarnationId: string
  readonly recovered: RecoveredLog
  readonly writer: LogWriter
  readonly tables: LogTables
  /** What recovery counted. */
  readonly measures: Pick<WalMeasures, 'tornBytes' | 'holeRecords' | 'recoveredRecords' | 'recoverySeconds'>
  /**
   * Nothing is written from here on; the lock is given up as soon as no call can land any more. Resolves then, or after
   * `waitMs`, whatever comes first.
   */
  readonly release: (waitMs: number) => Promise<void>
}

export async function openLog(options: WalOptions, world: WalParts, events: WalEvents): Promise<OpenedLog> {
  const fence = new FencedFs(world.fs, (cause) =>
    world.logger.warn('a file of the log was not closed properly', { path: options.dir, cause: String(cause) }),
  )
  const parts: WalParts = { ...world, fs: fence }
  const disk = new Disk(fence)
  const { dir } = options
  await prepareDirectory(disk, options, parts.host)
  const manifest = await readManifest(disk, options)
  const lock = await acquireLock(disk, fence, dir, manifest?.lock ?? null, options.lockMethod)
  const release = (waitMs: number) => released(fence, lock, parts.clock, waitMs)
  try {
    return { ...(await openLocked(disk, options, parts, events, lock)), release }
  } catch (error) {
    await release(RELEASE_WAIT_MS)
    throw error instanceof MQError ? error : walError('WAL_FAILED', `cannot open the log ${dir}`, { path: dir }, error)
  }
}

function released(fence: FencedFs, lock: HeldLock, clock: Clock, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(resolve, waitMs)
    fence.fence(() => {
      lock.release()
      timer.cancel()
      resolve()
    })
  })
}

async function openLocked(
  disk: Disk,
  options: WalOptions,
  parts: WalParts,
  events: WalEvents,
  lock: HeldLock,
): Promise<Omit<OpenedLog, 'release'>> {
  const { dir } = options
  const startedMs = parts.clock.monotonicMs()
  await writeOwner(disk, parts, dir, 0)
  const names = await checkedNames(disk, dir)
  const isNew = await createIfMissing(disk, options, parts, lock, names)
  const progress = new Progress(parts, events)
  const found = await survey(parts.fs, dir, {
    bootId: parts.host.bootId,
    verifyBodies: false,
    indexMaxBytes: options.recoveryIndexMaxBytes,
    onProgress: (step) => progress.step(step),
  })
  const { start, recovered } = await recover(disk, options, parts, found, { isNew, startedMs })
  const writer = await LogWriter.start(options, parts, events, start)
  // Not sooner: a CHECKPOINT must not call settled what no HOLE frame that is durable calls lost.
  for (const hole of recovered.holes) found.tables.hole(hole)
  await writeOwner(disk, parts, dir, start.incarnation)
  progress.done(found.segments.length, found.scannedBytes, recovered.entries)
  return {
    walId: found.manifest.walId,
    incarnation: start.incarnation,
    incarnationId: start.incarnationId,
    recovered,
    writer,
    tables: found.tables,
    measures: measuresOf(recovered, (parts.clock.monotonicMs() - startedMs) / 1000),
  }
}

function measuresOf(recovered: RecoveredLog, recoverySeconds: number): OpenedLog['measures'] {
  const { holes, tornBytes, records } = recovered
  const holeRecords = holes.reduce(
    (sum, { ranges }) => ranges.reduce((count, { from, to }) => count + to - from + 1, sum),
    0,
  )
  return { tornBytes, holeRecords, recoveredRecords: records, recoverySeconds }
}

/** True when the log was made just now. Looked at again under the lock: another owner may have come and gone. */
async function createIfMissing(
  disk: Disk,
  options: WalOptions,
  parts: WalParts,
  lock: HeldLock,
  names: readonly string[],
): Promise<boolean> {
  const manifest = await readManifest(disk, options)
  if (manifest === null) {
    await createLog(disk, parts, options, lock.method, names)
    return true
  }
  if (manifest.lock === lock.method) return false
  throw walError(
    'WAL_LOCK_METHOD',
    `${options.dir} was made by another process with the lock method ${manifest.lock} while this one held ${lock.method}: open it again`,
    { path: options.dir, lock: manifest.lock },
  )
}

async function readManifest(disk: Disk, options: WalOptions): Promise<Manifest | null> {
  const bytes = await disk.readFile(`${options.dir}/${MANIFEST_NAME}`, MANIFEST_MAX_BYTES)
  if (bytes === null) return null
  const manifest = decodeManifest(bytes)
  if (manifest.owner === options.owner) return manifest
  throw new MQError(
    'INVALID_CONFIG',
    `${options.dir} is the log of a ${manifest.owner}, a ${options.owner} cannot read its records: choose another directory`,
    { path: options.dir, owner: manifest.owner, wanted: options.owner },
  )
}
