/**
 * What happens when a callback fails: `onError` (CO-15).
 * `retry` calls again with the same record after a growing wait, `errorRetries` times, then `errorFinal` decides.
 * Every failure is told as an `error` event with what is done about it; nothing stops in silence (K-20).
 */
import type { ResolvedConsumerConfig } from '../config/index.js'
import { MQError } from '../errors/index.js'
import { backoffMs, type Emitter, type RandomSource } from '../util/index.js'
import type { ConsumerCounters } from './counters.js'
import type { AnyRecord, PartitionCursor } from './cursor.js'
import type { Verdict } from './dispatcher.js'
import type { ConsumerEvents } from './events.js'

/** First and longest wait before a callback is called again. Milliseconds. */
const RETRY_BASE_MS = 100
const RETRY_MAX_MS = 5_000

export class ErrorPolicy {
  readonly #config: ResolvedConsumerConfig
  readonly #events: Emitter<ConsumerEvents>
  readonly #counters: ConsumerCounters
  readonly #random: RandomSource
  /** What ended delivery, for `run()`. */
  stopError: MQError | null = null

  constructor(
    config: ResolvedConsumerConfig,
    events: Emitter<ConsumerEvents>,
    counters: ConsumerCounters,
    random: RandomSource,
  ) {
    this.#config = config
    this.#events = events
    this.#counters = counters
    this.#random = random
  }

  judge(cursor: PartitionCursor, unit: AnyRecord | AnyRecord[], error: unknown): Verdict {
    const verdict = this.#verdict(cursor.attempts)
    const failure = callbackError(cursor, unit, error, verdict.action)
    this.#counters.callbackErrors++
    if (verdict.action === 'retry') this.#counters.retries++
    if (verdict.action === 'skip') this.#counters.skipped += Array.isArray(unit) ? unit.length : 1
    if (verdict.action === 'stop') this.stopError = failure
    this.#events.emit('error', failure)
    return verdict
  }

  #verdict(attempts: number): Verdict {
    const { onError, errorRetries, errorFinal } = this.#config
    if (onError === 'retry' && attempts <= errorRetries) {
      return { action: 'retry', delayMs: backoffMs(attempts - 1, RETRY_BASE_MS, RETRY_MAX_MS, this.#random) }
    }
    const final = onError === 'retry' ? errorFinal : onError
    return { action: final === 'skip' ? 'skip' : 'stop' }
  }
}

function callbackError(
  cursor: PartitionCursor,
  unit: AnyRecord | AnyRecord[],
  cause: unknown,
  action: string,
): MQError {
  const first = Array.isArray(unit) ? unit[0] : unit
  const context = { ...cursor.tp, offset: first?.offset ?? cursor.position, attempts: cursor.attempts, action }
  if (cause instanceof MQError && cause.is('DESERIALIZATION_FAILED')) return cause.with(context)
  const at = `${cursor.topic}/${cursor.partition} offset ${context.offset}`
  return new MQError(
    'CONSUME_FAILED',
    `the callback failed for ${at}: ${action}`,
    { reason: 'CALLBACK', ...context },
    { cause },
  )
}
