/**
 * Records of a topic whose metadata is not known yet: nobody can say which lane they belong to.
 * Why in batches of our own: encoded into arenas they are counted in the memory budget to the byte and cost no object
 * each, exactly as in a lane.
 * Invariant: they leave in the order in which they came, each once: into its lane, or with an error to its caller.
 */
import type { HeadersInput, RecordBytes } from '../protocol/index.js'
import { Batch, type SendCallback } from './batch.js'
import type { BatchMemory } from './batch-memory.js'
import type { Placement } from './batch-send.js'
import type { RecordTime } from './record-clock.js'
import { openRecords } from './reseal.js'

const ARENA_BYTES = 256 * 1024

/** One record on its way into its lane; key and value are views, valid until the call returns. */
export interface ReplayedRecord {
  readonly partition: number // -1: the partitioner decides
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: HeadersInput | null
  readonly callback: SendCallback | null
  readonly placement: Placement | null
}

export class EarlyRecords {
  readonly #memory: BatchMemory
  readonly #batches: Batch[] = []
  readonly #partitions: number[] = []
  readonly #placements = new Map<number, Placement>() // by record; only batches of a caller have one
  /** Somebody waits for one of them: they leave without linger. */
  isUrgent = false

  constructor(memory: BatchMemory) {
    this.#memory = memory
  }

  get count(): number {
    return this.#partitions.length
  }

  get batches(): readonly Batch[] {
    return this.#batches
  }

  /** Encodes a record; false when memory is full, and nothing has changed then. */
  add(
    partition: number,
    time: RecordTime,
    key: RecordBytes,
    keyLength: number,
    value: RecordBytes,
    valueLength: number,
    headers: HeadersInput | null,
    headerBytes: number,
    callback: SendCallback | null,
  ): boolean {
    let batch = this.#batches.at(-1)
    let bodyBytes = batch?.bodyBytesOf(time, keyLength, valueLength, headerBytes) ?? 0
    if (batch === undefined || !batch.hasRoomFor(bodyBytes)) {
      batch = new Batch()
      bodyBytes = batch.bodyBytesOf(time, keyLength, valueLength, headerBytes)
      const wishBytes = this.#batches.length === 0 ? 0 : ARENA_BYTES
      if (!this.#memory.grow(batch, bodyBytes + 66, wishBytes)) return false
      this.#batches.push(batch)
    }
    if (callback !== null) batch.addWaiter(batch.records, time.ms, callback)
    batch.append(bodyBytes, time, key, keyLength, value, valueLength, headers)
    this.#partitions.push(partition)
    return true
  }

  /** Limits of the call that brought the last record. */
  remember(placement: Placement): void {
    this.#placements.set(this.count - 1, placement)
  }

  /** Hands every record out, in order; the memory of each batch is free as soon as its last record is out. */
  replay(take: (record: ReplayedRecord) => void): void {
    let index = 0
    for (const batch of this.#batches) {
      batch.finish(0, null)
      const cursor = openRecords(batch, batch.body)
      const { waiters, waiterRecords } = batch
      for (let record = 0, waiter = 0; cursor.next(); record++) {
        const callback =
          waiterRecords !== null && waiterRecords[waiter] === record ? (waiters?.[waiter++] ?? null) : null
        take({
          placement: this.#placements.get(index) ?? null,
          partition: this.#partitions[index++] as number,
          timestamp: cursor.timestamp,
          key: cursor.key(),
          value: cursor.value(),
          headers: cursor.headerCount === 0 ? null : cursor.headers(),
          callback,
        })
      }
      this.#memory.release(batch)
    }
  }

  /** Gives the memory back; the batches keep their callers. */
  discard(): void {
    for (const batch of this.#batches) this.#memory.release(batch)
  }
}
