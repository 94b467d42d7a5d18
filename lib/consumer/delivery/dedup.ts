/**
 * Skips records that were processed already (CO-16): writers that send again, partitions that come back.
 *
 *   record -> id -> known? -> counted, offset moves on
 *                     no  -> callback -> succeeded -> remembered for ttlMs
 *
 * Why around the callback: whoever does not use it pays nothing, and a failed record, which is not remembered, may be
 * tried again. Invariant: at most `maxEntries` ids, the oldest leave first; the timer runs only while there are any.
 *
 * Ids are per topic: 'content' is the SHA-256 of the value's bytes, 'key' the key's bytes, both as on the wire; a record
 * without value, or without key, is never a duplicate. A function's ids are taken as they are, over all topics.
 * Limits: one consumer's memory, gone with it; the same record arriving twice while its callback runs (in another
 * partition) is processed twice; a seek back finds its records remembered, so they are skipped.
 */
import { hash } from 'node:crypto'
import type { ResolvedConsumerConfig } from '../../config/index.js'
import type { Clock, TimerHandle } from '../../util/index.js'
import type { ConsumerCounters } from '../counters.js'
import type { AnyRecord, BatchCallback, CallbackResult, RecordCallback } from '../cursor.js'
import { rawKey, rawValue } from '../records/record-view.js'
import { isThenable } from './error-delivery.js'

type Settings = ResolvedConsumerConfig['dedup']

export class DedupWindow {
  readonly #settings: Settings
  readonly #counters: ConsumerCounters
  readonly #clock: Clock
  /** Id -> when it is forgotten, monotonic. All live equally long, so the order of insertion is that of expiry. */
  readonly #untilMs = new Map<string, number>()
  readonly #idOf: (record: AnyRecord) => string | null
  #timer: TimerHandle | null = null
  #isClosed = false

  constructor(settings: Settings, counters: ConsumerCounters, clock: Clock) {
    this.#settings = settings
    this.#counters = counters
    this.#clock = clock
    this.#idOf = identify(settings.by)
  }

  /** Ids remembered, expired ones included until they are swept. */
  get size(): number {
    return this.#untilMs.size
  }

  /** Null: this record is never a duplicate. Throws what the user's function throws. */
  idOf(record: AnyRecord): string | null {
    return this.#idOf(record)
  }

  /** True for what is remembered. */
  has(id: string): boolean {
    const untilMs = this.#untilMs.get(id)
    return untilMs !== undefined && this.#clock.monotonicMs() < untilMs
  }

  countHits(count: number): void {
    this.#counters.dedupHits += count
  }

  remember(id: string): void {
    const { ttlMs, maxEntries } = this.#settings
    this.#untilMs.delete(id) // It goes to the end, where the youngest are.
    this.#untilMs.set(id, this.#clock.monotonicMs() + ttlMs)
    if (this.#untilMs.size > maxEntries) this.#untilMs.delete(this.#untilMs.keys().next().value as string)
    this.#sweepLater()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#untilMs.clear()
  }

  #sweepLater(): void {
    if (this.#isClosed) return
    this.#timer ??= this.#clock.setTimer(() => {
      this.#timer = null
      this.#sweep()
      if (this.#untilMs.size > 0) this.#sweepLater()
    }, this.#settings.cleanupIntervalMs)
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [id, untilMs] of this.#untilMs) {
      if (untilMs > nowMs) return
      this.#untilMs.delete(id)
    }
  }
}

/** The callback, called only with records that are new; `skipped` is told when it is not. */
export function recordsOnce(window: DedupWindow, callback: RecordCallback, skipped: () => void): RecordCallback {
  return (record, tp, error) => {
    const id = error === null ? window.idOf(record) : null
    if (id === null) return callback(record, tp, error)
    if (window.has(id)) {
      window.countHits(1)
      return skipped()
    }
    return whenDone(callback(record, tp, null), () => window.remember(id))
  }
}

interface Sifted {
  readonly records: AnyRecord[]
  readonly ids: readonly string[]
}

/** The same for batches: of equal records in one batch the first is kept; nothing new, no call. */
export function batchesOnce(window: DedupWindow, callback: BatchCallback, skipped: () => void): BatchCallback {
  const sifted = new WeakMap<AnyRecord[], Sifted>() // A retry brings the same array: its duplicates are counted already.
  return (records, tp, error) => {
    if (error !== null) return callback(records, tp, error)
    const known = sifted.get(records)
    const { records: fresh, ids } = known ?? sift(window, records)
    if (known === undefined) sifted.set(records, { records: fresh, ids })
    if (fresh.length === 0) return skipped()
    return whenDone(callback(fresh, tp, null), () => {
      for (const id of ids) window.remember(id)
    })
  }
}

function sift(window: DedupWindow, records: readonly AnyRecord[]): Sifted {
  const ids = new Set<string>()
  const fresh = records.filter((record) => {
    const id = window.idOf(record)
    if (id === null) return true
    if (ids.has(id) || window.has(id)) return false
    ids.add(id)
    return true
  })
  window.countHits(records.length - fresh.length)
  return { records: fresh, ids: [...ids] }
}

function whenDone(result: CallbackResult, remember: () => void): CallbackResult {
  if (!isThenable(result)) {
    remember()
    return result
  }
  return Promise.resolve(result).then((value) => {
    remember()
    return value as boolean | undefined
  })
}

function identify(by: Settings['by']): (record: AnyRecord) => string | null {
  if (typeof by === 'function') {
    return (record) => {
      const id: unknown = by(record as never)
      return id === undefined || id === null ? null : String(id)
    }
  }
  const bytesOf = by === 'key' ? rawKey : rawValue
  const textOf =
    by === 'key' ? (bytes: Buffer) => bytes.toString('latin1') : (bytes: Buffer) => hash('sha256', bytes, 'base64')
  return (record) => {
    const bytes = bytesOf(record)
    return bytes === null ? null : `${record.topic}\n${textOf(bytes)}` // No topic name has a line break.
  }
}
