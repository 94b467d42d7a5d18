/**
 * What happens when a callback fails: `onError` (CO-15).
 * `retry` calls again with the same record after a growing wait, `errorRetries` times, then `errorFinal` decides:
 * `skip` goes on behind it, `dlq` writes it elsewhere first, `stop` ends delivery.
 * Every failure is told as an `error` event with what is done about it; nothing stops in silence (K-20).
 */
import type { OnErrorPolicy, ResolvedConsumerConfig } from '../../config/index.js'
import { MQError } from '../../errors/index.js'
import { assert, backoffMs, type Emitter, type RandomSource } from '../../util/index.js'
import type { ConsumerCounters } from '../counters.js'
import type { AnyRecord, PartitionCursor } from '../cursor.js'
import type { ConsumerEvents } from '../events.js'
import { type DeadLetters, RETRY_BASE_MS, RETRY_MAX_MS } from './dead-letter.js'
import type { Verdict } from './verdict.js'

export class ErrorPolicy {
  readonly #config: ResolvedConsumerConfig
  readonly #events: Emitter<ConsumerEvents>
  readonly #counters: ConsumerCounters
  readonly #random: RandomSource
  /** Not null where the settings may say 'dlq'. */
  readonly #deadLetters: DeadLetters | null
  /** What ended delivery, for `run()`. */
  stopError: MQError | null = null

  constructor(
    config: ResolvedConsumerConfig,
    events: Emitter<ConsumerEvents>,
    counters: ConsumerCounters,
    random: RandomSource,
    deadLetters: DeadLetters | null,
  ) {
    this.#config = config
    this.#events = events
    this.#counters = counters
    this.#random = random
    this.#deadLetters = deadLetters
  }

  judge(cursor: PartitionCursor, unit: AnyRecord | AnyRecord[], error: unknown, attempts: number): Verdict {
    const action = this.#action(attempts)
    const failure = callbackError(cursor, unit, error, attempts, action)
    this.#counters.callbackErrors++
    this.#counters.errorActions[action]++
    this.#events.emit('error', failure)
    // A record that cannot be deserialized is an error of its partition too, told once however often it is tried.
    if (this.#config.deliverErrors && attempts === 1 && failure.is('DESERIALIZATION_FAILED')) {
      cursor.delivery.sink.deliverError?.(cursor, failure)
    }
    return this.#carryOut(action, cursor, unit, failure, attempts)
  }

  /** A callback failed with what it was told (`deliverErrors`): an event, and nothing else. */
  errorRefused(cursor: PartitionCursor, cause: unknown): void {
    const text = `the callback failed when it was handed an error of ${cursor.topic}/${cursor.partition}`
    this.#events.emit('error', new MQError('CONSUME_FAILED', text, { reason: 'CALLBACK', ...cursor.tp }, { cause }))
  }

  #action(attempts: number): OnErrorPolicy {
    const { onError, errorRetries, errorFinal } = this.#config
    if (onError !== 'retry' || attempts <= errorRetries) return onError
    return errorFinal
  }

  #carryOut(
    action: OnErrorPolicy,
    cursor: PartitionCursor,
    unit: AnyRecord | AnyRecord[],
    failure: MQError,
    attempts: number,
  ): Verdict {
    if (action === 'retry') {
      this.#counters.retries++
      return { action, delayMs: backoffMs(attempts - 1, RETRY_BASE_MS, RETRY_MAX_MS, this.#random) }
    }
    if (action === 'dlq') {
      assert(this.#deadLetters !== null, 'dlq without a writer is refused at construction')
      return { action, letter: this.#deadLetters.letter(cursor, unit, failure) }
    }
    if (action === 'skip') this.#counters.skipped += Array.isArray(unit) ? unit.length : 1
    else this.stopError = failure
    return { action }
  }
}

function callbackError(
  cursor: PartitionCursor,
  unit: AnyRecord | AnyRecord[],
  cause: unknown,
  attempts: number,
  action: string,
): MQError {
  const first = Array.isArray(unit) ? unit[0] : unit
  const context = { ...cursor.tp, offset: first?.offset ?? cursor.position, attempts, action }
  if (cause instanceof MQError && cause.is('DESERIALIZATION_FAILED')) return cause.with(context)
  const at = `${cursor.topic}/${cursor.partition} offset ${context.offset}`
  return new MQError(
    'CONSUME_FAILED',
    `the callback failed for ${at}: ${action}`,
    { reason: 'CALLBACK', ...context },
    { cause },
  )
}
