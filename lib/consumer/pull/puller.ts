/**
 * The pull forms as the consumer offers them: checks what callers pass, and gives them their record type.
 * Invariant: `read` and `readBatch` together are one reader; each iterator and stream is one of its own.
 * Source: features.md CO-4.
 */
import type { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { MQError } from '../../errors/index.js'
import { checkTimeout } from '../assignment.js'
import type { RecordView } from '../records/record-view.js'
import type { PullReader } from './pull-reader.js'
import type { PullSink } from './pull-sink.js'
import { RecordIterator } from './record-iterator.js'
import { nodeStreamOf, webStreamOf } from './streams.js'
import type { PullOptions } from './waiting.js'

/** More than a call could ever hold in memory. */
const MAX_RECORDS = 1_000_000

export class Puller<V, K> {
  readonly #sink: PullSink
  readonly #calls: PullReader

  constructor(sink: PullSink) {
    this.#sink = sink
    this.#calls = sink.reader('calls')
  }

  /** See `Consumer.read`. */
  read(options?: PullOptions): Promise<RecordView<V, K> | null> {
    const refusal = options === undefined ? null : refusalOf(options)
    if (refusal !== null) return this.#sink.refuse(refusal.reason)
    const record = this.#sink.ask(this.#calls)
    const pulled = record === null ? this.#sink.wait(this.#calls, 0, options) : Promise.resolve(record)
    return pulled as Promise<RecordView<V, K> | null>
  }

  /** See `Consumer.readBatch`. */
  readBatch(max: number, options?: PullOptions): Promise<RecordView<V, K>[]> {
    const refusal = refusalOfMax(max) ?? (options === undefined ? null : refusalOf(options))
    if (refusal !== null) return this.#sink.refuse(refusal.reason)
    const records = this.#sink.askMany(this.#calls, max)
    const pulled = records.length === 0 ? this.#sink.wait(this.#calls, max, options) : Promise.resolve(records)
    return pulled as unknown as Promise<RecordView<V, K>[]>
  }

  iterate(): AsyncIterableIterator<RecordView<V, K>, undefined> {
    return new RecordIterator(this.#sink, 'loop') as never
  }

  stream(): ReadableStream<RecordView<V, K>> {
    return webStreamOf(new RecordIterator(this.#sink, 'stream')) as never
  }

  nodeStream(): Readable {
    return nodeStreamOf(new RecordIterator(this.#sink, 'stream'))
  }
}

/** Refused calls count nothing as processed: the caller has not asked yet. */
function refusalOf(options: PullOptions): { readonly reason: unknown } | null {
  if ((options as unknown) === null)
    return { reason: new MQError('INVALID_CONFIG', 'expected an object of options, got null') }
  const { timeoutMs, signal } = options
  if (signal?.aborted === true) return { reason: signal.reason }
  try {
    if (timeoutMs !== undefined) checkTimeout(timeoutMs)
  } catch (reason) {
    return { reason }
  }
  return null
}

function refusalOfMax(max: number): { readonly reason: unknown } | null {
  if (Number.isInteger(max) && max >= 1 && max <= MAX_RECORDS) return null
  const text = `readBatch takes an integer 1..${MAX_RECORDS}, the most records to give, not ${String(max)}`
  return { reason: new MQError('INVALID_CONFIG', text, {}) }
}
