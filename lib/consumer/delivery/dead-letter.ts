/**
 * Dead letters (CO-15): what a callback could not process is written elsewhere, then the position moves past it.
 *
 *   callback fails -> letter -> write -> acknowledged -> position moves
 *                       ^---- back-off ----| refused or timed out: told, then tried again
 *
 * Invariant: a record leaves the letter only when its write was acknowledged. Key, value and headers are the bytes of
 * the wire, so that what could not even be deserialized arrives whole.
 * Timestamps are those of the write: retention counts from them, and a record that failed in a replay of old data would
 * otherwise be deleted from the dead-letter topic at once. The place of the original is in the headers.
 */
import type { ResolvedConsumerConfig } from '../../config/index.js'
import { findMQError, MQError } from '../../errors/index.js'
import type { RecordHeader } from '../../protocol/index.js'
import { backoffMs, type RandomSource } from '../../util/index.js'
import type { ConsumerCounters } from '../counters.js'
import type { AnyRecord, PartitionCursor } from '../cursor.js'
import { rawRecord } from '../records/record-view.js'
import type { DeadLetter } from './verdict.js'

/** Longest `x-error-message`. Characters. */
export const LONGEST_MESSAGE = 1_024
/** First and longest wait before a write is tried again, as for callbacks. Milliseconds. */
export const RETRY_BASE_MS = 100
export const RETRY_MAX_MS = 5_000

/** What a dead letter is sent with. */
export interface DeadLetterOptions {
  readonly key: Uint8Array | null
  readonly headers: readonly RecordHeader[]
}

/**
 * Writes records elsewhere and tells when they are stored. A `Producer` without serializers fits as it is; give one with
 * `acks: 'all'`. What it rejects with is told as an `error` event, and the write is tried again.
 */
export interface DeadLetterSink {
  sendSync(topic: string, value: Uint8Array | null, options: DeadLetterOptions): Promise<unknown>
}

/** Throws MISSING_CONFIG when failures shall be written somewhere and nobody is there to write them. */
export function checkDeadLetters(config: ResolvedConsumerConfig, sink: DeadLetterSink | undefined): void {
  const path = config.onError === 'dlq' ? 'onError' : config.errorFinal === 'dlq' ? 'errorFinal' : null
  if (path === null || (path === 'errorFinal' && config.onError !== 'retry') || sink !== undefined) return
  const text = `${path} 'dlq' needs who writes dead letters: new Consumer(config, { deadLetters: new Producer({ brokers }) })`
  throw new MQError('MISSING_CONFIG', text, { path: 'deadLetters' })
}

export interface DeadLetterParts {
  readonly config: ResolvedConsumerConfig
  readonly sink: DeadLetterSink
  readonly counters: ConsumerCounters
  readonly random: RandomSource
  /** A write failed. */
  tell(error: MQError): void
}

export class DeadLetters {
  readonly #parts: DeadLetterParts

  constructor(parts: DeadLetterParts) {
    this.#parts = parts
  }

  topicOf(topic: string): string {
    return this.#parts.config.dlqTopic ?? `${topic}.dlq`
  }

  /** `failure`: what the user was told, whose cause is what the callback threw. */
  letter(cursor: PartitionCursor, unit: AnyRecord | AnyRecord[], failure: MQError): DeadLetter {
    return new Letter(this.#parts, this.topicOf(cursor.topic), cursor, Array.isArray(unit) ? unit : [unit], failure)
  }
}

class Letter implements DeadLetter {
  readonly #parts: DeadLetterParts
  readonly #topic: string
  readonly #cursor: PartitionCursor
  readonly #reason: readonly RecordHeader[]
  #left: readonly AnyRecord[]
  #attempts = 0

  constructor(
    parts: DeadLetterParts,
    topic: string,
    cursor: PartitionCursor,
    records: readonly AnyRecord[],
    failure: MQError,
  ) {
    this.#parts = parts
    this.#topic = topic
    this.#cursor = cursor
    this.#left = records
    this.#reason = reasonHeaders(failure)
  }

  async write(): Promise<number> {
    const { counters, random } = this.#parts
    const all = this.#left
    const results = await Promise.allSettled(all.map((record) => this.#send(record)))
    this.#left = all.filter((_, index) => results[index]?.status === 'rejected')
    counters.deadLetters += all.length - this.#left.length
    const first = results.find((result) => result.status === 'rejected')
    if (first === undefined) return -1
    const delayMs = backoffMs(this.#attempts++, RETRY_BASE_MS, RETRY_MAX_MS, random)
    this.#tell(first.reason, delayMs)
    return delayMs
  }

  /** Async, so that what the sink throws is a rejection too. */
  async #send(record: AnyRecord): Promise<void> {
    const { key, value, headers } = rawRecord(record)
    await this.#parts.sink.sendSync(this.#topic, value, {
      key,
      headers: [...headers, ...this.#reason, ...placeHeaders(this.#cursor, record)],
    })
  }

  #tell(cause: unknown, delayMs: number): void {
    const { topic, partition } = this.#cursor
    const offset = (this.#left[0] as AnyRecord).offset
    const text = `the dead letter for ${topic}/${partition} offset ${offset} could not be written to ${this.#topic}, tried again in ${delayMs} ms`
    const context = { topic, partition, offset, dlqTopic: this.#topic, attempts: this.#attempts }
    this.#parts.tell(new MQError('CONSUME_FAILED', text, { ...context, records: this.#left.length }, { cause }))
  }
}

/** Code and text of what went wrong: of our own errors as they are, of anything else that was thrown its message. */
function reasonHeaders(failure: MQError): RecordHeader[] {
  const thrown = failure.is('CONSUME_FAILED') ? failure.cause : failure
  const code = findMQError(thrown)?.code ?? failure.code
  return [header('x-error-code', code), header('x-error-message', textOf(thrown).slice(0, LONGEST_MESSAGE))]
}

function textOf(thrown: unknown): string {
  if (thrown instanceof MQError && thrown.cause !== undefined) return `${thrown.message}: ${textOf(thrown.cause)}`
  if (thrown instanceof Error) return String(thrown.message)
  return typeof thrown === 'object' ? Object.prototype.toString.call(thrown) : String(thrown)
}

function placeHeaders(cursor: PartitionCursor, record: AnyRecord): RecordHeader[] {
  return [
    header('x-original-topic', cursor.topic),
    header('x-original-partition', String(cursor.partition)),
    header('x-original-offset', String(record.offset)),
  ]
}

function header(name: string, value: string): RecordHeader {
  return [name, Buffer.from(value)]
}
