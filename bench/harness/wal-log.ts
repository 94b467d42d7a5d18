/**
 * A log as the benchmark uses it: opened on the real file system, filled with items that can be told apart, read back.
 * Invariant: the number of an item stands in its first eight bytes, so what comes back proves itself, its place and its
 * bytes.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger, systemClock } from '../../lib/util/index.js'
import {
  type LogDurability,
  type Wal,
  type WalEvents,
  type WalOptions,
  WriteAheadLog,
  walParts,
} from '../../lib/wal/index.js'

const KIB = 1_024
const MIB = 1_024 * KIB
const FILLER = 0x78

export interface LogWish {
  readonly dir: string
  readonly durability: LogDurability
  readonly maxBytes?: number
  readonly segmentBytes?: number
  readonly syncIntervalMs?: number | undefined
  /** Bytes that will be appended: files for them are made ready first, as a log in use has recycled ones. Default 0. */
  readonly readyBytes?: number
}

const SPARES = 2
const READY_LIMIT_MS = 60_000
const POLL_MS = 20

/** Production's defaults, but for room and spares. */
export async function openLog(wish: LogWish, events: Partial<WalEvents> = {}): Promise<Wal> {
  const segmentBytes = wish.segmentBytes ?? 64 * MIB
  const spareSegments = SPARES + Math.ceil((wish.readyBytes ?? 0) / segmentBytes)
  const options: WalOptions = {
    dir: wish.dir,
    owner: 'queue',
    durability: wish.durability,
    maxBytes: wish.maxBytes ?? 4_096 * MIB,
    segmentBytes,
    syncIntervalMs: wish.syncIntervalMs ?? 10,
    groupMaxBytes: MIB,
    groupMaxWaitMs: 0,
    pendingMaxBytes: 8 * MIB,
    unsyncedMaxBytes: 32 * MIB,
    minFreeBytes: 128 * MIB,
    ackFlushMs: 5,
    onCorruption: 'stop',
    recoveryIndexMaxBytes: 64 * MIB,
    spareSegments,
    allowUnsafeDir: false,
    scrub: false,
  }
  const log = await WriteAheadLog.open(options, walParts(systemClock, silentLogger), { ...QUIET, ...events })
  for (const deadlineMs = Date.now() + READY_LIMIT_MS; wish.readyBytes !== undefined; await sleep(POLL_MS)) {
    if (log.measures().segments.spare >= spareSegments) break
    if (Date.now() > deadlineMs)
      throw new Error(`${spareSegments} spare segments are not ready: ${log.measures().segments.spare}`)
  }
  return log
}

const fail = (error: Error) => {
  throw error // a benchmark of a log that fails measures nothing
}
const QUIET: WalEvents = {
  degraded: fail,
  failed: fail,
  slowSync: () => {},
  full: () => {},
  room: () => {},
  progress: () => {},
}

export class Items {
  readonly bytes: Buffer
  readonly length: number

  constructor(length: number) {
    this.length = length
    this.bytes = Buffer.alloc(length, FILLER)
  }

  /** The item of this number; the same memory each time. */
  number(value: number): Buffer {
    this.bytes.writeUInt32LE(value >>> 0, 0)
    this.bytes.writeUInt32LE(Math.floor(value / 2 ** 32), 4)
    return this.bytes
  }
}

/** Bytes that are appended in one turn of the loop, at most: with more of them the disk would wait for us. */
const TURN_BYTES = 512 * KIB

/**
 * Calls `append` for numbers `from`..`to` - 1 as fast as the log takes them, and waits until all are accepted. It gets
 * one number a call; `bytes` is what it appends.
 */
export function appendAll(
  log: Wal,
  bytes: number,
  from: number,
  to: number,
  append: (number: number) => void,
): Promise<void> {
  const perTurn = Math.max(1, Math.floor(TURN_BYTES / bytes))
  return new Promise((resolve, reject) => {
    let next = from
    let isScheduled = false
    const schedule = () => {
      if (isScheduled || next >= to) return
      isScheduled = true
      setImmediate(run)
    }
    const run = () => {
      isScheduled = false
      try {
        const end = Math.min(to, next + perTurn)
        while (next < end && log.admits(bytes)) append(next++)
      } catch (error) {
        reject(error)
        return
      }
      if (log.admits(bytes)) schedule() // else onRoom
    }
    log.onRoom = schedule
    log.onAccepted = () => {
      if (next < to || log.acceptedLsn < log.lastLsn) return
      log.onAccepted = null
      log.onRoom = null
      resolve()
    }
    schedule()
  })
}

/** Reads every unsettled item back and compares it; gives their number. Throws at the first difference. */
export async function readBack(log: Wal, stream: number, itemBytes: number): Promise<number> {
  const items = new Items(itemBytes)
  let number = 0
  for (const entry of log.entriesOf(stream)) {
    const body = asBuffer(await log.read(entry.lsn))
    if (entry.firstPosition !== number)
      throw new Error(`LSN ${entry.lsn} begins at ${entry.firstPosition}, not ${number}`)
    for (let at = 0; at < body.length; ) {
      let length = 0
      for (let shift = 0; ; shift += 7) {
        const byte = body[at++] as number
        length |= (byte & 0x7f) << shift
        if (byte < 0x80) break
      }
      if (items.number(number).compare(body, at, at + length) !== 0) {
        throw new Error(`item ${number} of LSN ${entry.lsn} came back as other bytes, ${length} of them`)
      }
      number++
      at += length
    }
  }
  return number
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
