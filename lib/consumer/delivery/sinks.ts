/**
 * Makes what stands between fetched bytes and callbacks, as the settings ask.
 * Why here: the facade wires rooms and lifetimes; which way records go (`concurrencyBy`), what a failure means
 * (`onError`) and what a callback is wrapped in are one question, answered once at construction.
 * Invariant: a setting that cannot be served is refused here, not found out in production.
 */
import type { ResolvedConsumerConfig } from '../../config/index.js'
import { MQError } from '../../errors/index.js'
import type { Clock, Emitter, ProcessHook, RandomSource } from '../../util/index.js'
import type { ConsumerCounters } from '../counters.js'
import type { BatchCallback, Delivery, PartitionCursor, RecordCallback, RecordSink } from '../cursor.js'
import type { ConsumerEvents } from '../events.js'
import { CallbackTimes } from './callback-times.js'
import { checkDeadLetters, type DeadLetterSink, DeadLetters } from './dead-letter.js'
import { batchesOnce, DedupWindow, recordsOnce } from './dedup.js'
import { Dispatcher, type DispatcherHooks } from './dispatcher.js'
import { ErrorPolicy } from './error-policy.js'
import { KeyedDispatcher } from './keyed-dispatcher.js'
import { wrapsOf } from './observe.js'

export interface SinkParts {
  readonly config: ResolvedConsumerConfig
  readonly events: Emitter<ConsumerEvents>
  readonly counters: ConsumerCounters
  readonly clock: Clock
  readonly random: RandomSource
  /** Who writes dead letters; needed where the settings say 'dlq'. */
  readonly deadLetters?: DeadLetterSink | undefined
  /** Runs around callbacks. */
  readonly hooks?: ProcessHook | null | undefined
}

export interface SinkHooks {
  /** Buffered bytes cannot be read. */
  unreadable(cursor: PartitionCursor, error: unknown): void
  /** Delivery ended: a callback returned false (null), or its failure ended it. */
  stopped(error: MQError | null): void
  /** Work begins in this turn of the event loop. */
  readonly begins?: ((nowMs: number) => void) | undefined
  /** The turn that began then is over. */
  readonly ended?: ((startMs: number) => void) | undefined
}

export interface Sinks {
  /** Every sink of the consumer; what pulls adds its own. */
  readonly all: RecordSink[]
  /** Calls callbacks. */
  readonly callbacks: RecordSink
  perRecord(callback: RecordCallback): Delivery
  /** Throws INVALID_CONFIG where callbacks run by key. */
  perBatch(callback: BatchCallback): Delivery
  /** Ends what has a timer. */
  close(): void
}

/** Throws MISSING_CONFIG. */
function deadLettersOf(parts: SinkParts): DeadLetters | null {
  const { config, counters, random, events, deadLetters: sink } = parts
  checkDeadLetters(config, sink)
  if (sink === undefined) return null
  return new DeadLetters({ config, sink, counters, random, tell: (error) => events.emit('error', error) })
}

/** Throws MISSING_CONFIG when there is nobody to write dead letters. */
export function makeSinks(parts: SinkParts, hooks: SinkHooks): Sinks {
  const { config, events, counters, clock, random } = parts
  const policy = new ErrorPolicy(config, events, counters, random, deadLettersOf(parts))
  const isByKey = config.concurrencyBy === 'key'
  const callbackHooks: DispatcherHooks = {
    judge: policy.judge.bind(policy),
    errorRefused: policy.errorRefused.bind(policy),
    unreadable: hooks.unreadable,
    begins: hooks.begins,
    ended: hooks.ended,
    stopped: () => hooks.stopped(policy.stopError),
  }
  const times = new CallbackTimes(clock, counters.callbackSeconds)
  const callbacks = new (isByKey ? KeyedDispatcher : Dispatcher)(config, callbackHooks, counters, clock, times)
  const wraps = wrapsOf(config, parts.hooks ?? null)
  const seen = config.dedup.enabled ? new DedupWindow(config.dedup, counters, clock) : null
  return {
    all: [callbacks],
    callbacks,
    perRecord(callback) {
      const wrapped = wraps.record(callback)
      return {
        perRecord: seen === null ? wrapped : recordsOnce(seen, wrapped, times.skipped),
        perBatch: null,
        sink: callbacks,
      }
    },
    perBatch(callback) {
      if (isByKey) throw batchesByKey()
      const wrapped = wraps.batch(callback)
      return {
        perRecord: null,
        perBatch: seen === null ? wrapped : batchesOnce(seen, wrapped, times.skipped),
        sink: callbacks,
      }
    },
    close: () => seen?.close(),
  }
}

function batchesByKey(): MQError {
  const text =
    "a batch callback gets all records of a partition, concurrencyBy 'key' parts them: use 'partition', or a callback per record"
  return new MQError('INVALID_CONFIG', text, { path: 'concurrencyBy', value: 'key' })
}
