/**
 * A directory of the real log, as kill -9 leaves it: batches are accepted, their frames are in the files, nobody said
 * goodbye. The files are copied while the owner lives, and the copy is opened: the same bytes a dead process leaves in
 * the page cache.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { WalSettings } from '../../../../../lib/config/index.js'
import { silentLogger, systemClock } from '../../../../../lib/util/index.js'
import { type WalEvents, type WalOptions, WriteAheadLog, walParts } from '../../../../../lib/wal/index.js'
import { makeBatch } from '../../../../broker/batches.js'
import { valuesOf } from './stage.js'

export interface LoggedBatch {
  readonly name: string
  readonly producerId: bigint
  readonly epoch: number
  readonly baseSequence: number
  readonly timestamp: number
  readonly bytes: Buffer
}

export interface Before {
  readonly clusterId: string
  readonly topic: string
  readonly topicId: string
  readonly batches: readonly LoggedBatch[]
  /** The first so many were acknowledged, the first of them at this offset. */
  readonly acknowledged?: { readonly batches: number; readonly baseOffset: number }
}

const SEQUENCES = 2 ** 31
const RECORDS = 3
const NO_EVENTS: WalEvents = {
  degraded: () => {},
  failed: () => {},
  slowSync: () => {},
  full: () => {},
  room: () => {},
  progress: () => {},
}

/** Batches of three records, named by one letter each. */
export function batchesOf(
  names: string,
  identity: {
    readonly producerId: bigint
    readonly epoch?: number
    readonly from?: number
    readonly timestamp: number
  },
): LoggedBatch[] {
  const { producerId, epoch = 0, from = 0, timestamp } = identity
  return [...names].map((name, index) => {
    const baseSequence = (from + index * RECORDS) % SEQUENCES
    const bytes = makeBatch({ values: valuesOf(name), producerId, producerEpoch: epoch, baseSequence, timestamp })
    return { name, producerId, epoch, baseSequence, timestamp, bytes }
  })
}

/** The log after the crash, opened by the next incarnation; closed when the test is over. */
export async function crashedLog(before: Before, settings: WalSettings): Promise<WriteAheadLog> {
  const folder = mkdtempSync(join(tmpdir(), 'wal-resolution-'))
  const [living, dead] = [join(folder, 'living'), join(folder, 'dead')]
  mkdirSync(living, { mode: 0o700 })
  const logs: WriteAheadLog[] = []
  onTestFinished(async () => {
    for (const log of logs) await log.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const log = await open(living, settings)
  logs.push(log)
  await live(log, before)
  cpSync(living, dead, { recursive: true })
  const next = await open(dead, settings)
  logs.push(next)
  return next
}

async function live(log: WriteAheadLog, before: Before): Promise<void> {
  const stream = log.streamOf(before.topic, before.topicId, 0)
  for (const id of new Set(before.batches.map(({ producerId, epoch }) => `${producerId} ${epoch}`))) {
    const [producerId = '', epoch = ''] = id.split(' ')
    await log.defineIdentity(BigInt(producerId), Number(epoch), before.clusterId)
  }
  const { acknowledged = { batches: 0, baseOffset: -1 } } = before
  for (const [index, { bytes, timestamp, ...numbers }] of before.batches.entries()) {
    const common = {
      stream,
      count: RECORDS,
      maxTimestampMs: timestamp,
      part: 0,
      parts: 1,
      originLsn: 0,
      lsn: -1,
      firstPosition: -1,
    }
    const entry = { ...common, ...numbers }
    const lsn = log.append(entry, bytes.subarray(0, 61), bytes.subarray(61))
    log.flush()
    await log.accepted(lsn)
    if (index >= acknowledged.batches) continue
    const { firstPosition } = entry
    const settled = log.settle(
      stream,
      firstPosition,
      firstPosition + RECORDS - 1,
      0,
      acknowledged.baseOffset + index * RECORDS,
    )
    log.flush()
    await new Promise<void>((resolve) => {
      const look = () => (log.acceptedSettlements >= settled ? resolve() : setImmediate(look))
      look()
    })
  }
}

function open(dir: string, wal: WalSettings): Promise<WriteAheadLog> {
  const options: WalOptions = {
    dir,
    owner: 'producer',
    durability: 'os',
    maxBytes: 16 * 1024 * 1024,
    segmentBytes: 1024 * 1024,
    syncIntervalMs: wal.syncIntervalMs,
    groupMaxBytes: wal.groupMaxBytes,
    groupMaxWaitMs: wal.groupMaxWaitMs,
    pendingMaxBytes: wal.pendingMaxBytes,
    unsyncedMaxBytes: wal.unsyncedMaxBytes,
    minFreeBytes: 1024 * 1024,
    ackFlushMs: wal.ackFlushMs,
    onCorruption: wal.onCorruption,
    recoveryIndexMaxBytes: wal.recoveryIndexMaxBytes,
    spareSegments: 1,
    allowUnsafeDir: true,
    scrub: false,
  }
  return WriteAheadLog.open(options, walParts(systemClock, silentLogger), NO_EVENTS)
}
