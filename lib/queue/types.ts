/**
 * What a batch queue takes and tells: its options, the sender function, events, figures.
 * Terms: a position counts the items of a log from 0 and never ends; (incarnationId, position) names an item for ever.
 * Pending = accepted or about to be, not settled. Source: wal.md 7, features.md 2.3.
 */
import type { QueueInput, QueueSettings } from '../config/index.js'
import type { MQError } from '../errors/index.js'
import type { Buckets, CircuitState, Clock, Logger, RandomSource } from '../util/index.js'
import type { Wal, WalEvents, WalOptions } from '../wal/index.js'
import type { ItemCodec } from './codec.js'

/** What `send` is told about its batch. */
export interface SendContext {
  /** Aborted when `sendTimeoutMs` is over, the queue closes, or the batch has succeeded in an earlier call. */
  readonly signal: AbortSignal
  /** 1 for the first call with this batch, also after a restart. */
  readonly attempt: number
  /** The items were accepted by an earlier opening of the log; they may have been sent before. */
  readonly recovered: boolean
  /** Of the first item; the others follow without a gap. */
  readonly firstPosition: number
  /** Of the opening of the log that accepted the items. 16 hex digits. Stable, as positions are, over retries and restarts. */
  readonly incarnationId: string
}

/**
 * Sends a batch. It resolves when all of it is delivered; whatever it throws or rejects with means that some may not be,
 * and the whole batch is sent again. The list belongs to the queue: it must not be changed.
 */
export type SendFunc<T> = (batch: readonly T[], context: SendContext) => Promise<void>

/** Everything but `send` has a default; meaning, unit and range stand at each field of `QueueSettings`. */
export type QueueOptions<T> = QueueInput & {
  readonly send: SendFunc<T>
  /** How items become bytes of the log. Default `jsonCodec()`; not used with durability 'memory'. */
  readonly codec?: ItemCodec<T> | undefined
}

/** What tests and simulations replace. */
export interface QueueDeps {
  readonly clock?: Clock
  readonly random?: RandomSource
  readonly logger?: Logger
  /** Cores of the machine, for `concurrency: 'auto'`. */
  readonly cores?: number
  /** Default: `WriteAheadLog.open` on the real file system. */
  readonly openLog?: (options: WalOptions, events: WalEvents) => Promise<Wal>
}

export type QueueState = 'new' | 'starting' | 'running' | 'stopping' | 'stopped' | 'closing' | 'closed'

/** What the queue promises with these settings. */
export interface QueueGuarantee {
  /** best-effort: items in memory are lost with the process, or given up after `retries`. */
  readonly level: 'at-least-once' | 'best-effort'
  /** none: batches of parallel sends overtake each other. */
  readonly order: 'fifo' | 'none'
  /** Why it is not more. */
  readonly reasons: readonly string[]
}

/**
 * What has become of all items so far, also those of earlier openings that were recovered here:
 * enqueued + recovered = sent + failed + dropped + pending.
 */
export interface QueueReport {
  readonly sent: number
  readonly failed: number
  readonly dropped: number
  /** Still in the queue; after `close()`: in the log, to be sent by the next opening. */
  readonly pending: number
  /** Of `close()`: why the log had failed. */
  readonly failure?: MQError
}

/** Why items were dropped: at a limit by 'dropOldest', by `close()`, or because the log failed before it had them. */
export type DropReason = 'overflow' | 'closed' | 'walFailed'

export interface BatchFacts {
  readonly items: number
  readonly firstPosition: number
  readonly incarnationId: string
  readonly attempts: number
}

export interface QueueEvents<T> {
  /** The soft limit was reached. `used` and `limit` are items, or bytes of the log. */
  readonly backpressure: { readonly used: number; readonly limit: number }
  /** After `backpressure`: below the resume mark again. */
  readonly drain: { readonly used: number; readonly limit: number }
  /** The hard limit was reached and `overflow` applies; once until there is room again. */
  readonly overflow: { readonly policy: QueueSettings['overflow']; readonly used: number; readonly limit: number }
  /** A call of `send` failed; the batch is sent again after `delayMs`. */
  readonly retry: BatchFacts & { readonly error: MQError; readonly delayMs: number }
  /** Retries are used up and the batch stays at the head; once per batch. */
  readonly held: BatchFacts & { readonly error: MQError }
  /** Retries are used up and the batch was given up: these items are not sent any more. */
  readonly failed: {
    readonly items: readonly T[]
    readonly error: MQError
    readonly firstPosition: number
    readonly incarnationId: string
    readonly attempts: number
  }
  /** These items will not be sent. `count` may be more: of items that were only in a log that failed nothing is left. */
  readonly dropped: { readonly items: readonly T[]; readonly count: number; readonly reason: DropReason }
  readonly circuit: { readonly from: CircuitState; readonly to: CircuitState }
  /** Items of an earlier opening were found. */
  readonly recovered: { readonly items: number; readonly tornBytes: number; readonly lostRanges: number }
  /** A segment was given up after a disk error; the log goes on. */
  readonly walDegraded: MQError
  /** The log has failed: new items are refused. */
  readonly walFailed: MQError
  /** A sync took so long. Milliseconds. */
  readonly walSlowSync: { readonly ms: number }
  /** Whatever goes wrong in the background, and what listeners throw. */
  readonly error: MQError
}

/** A snapshot; counts are items unless the name says otherwise. */
export interface QueueMetrics {
  readonly enqueuedTotal: number
  readonly recoveredTotal: number
  readonly sentTotal: number
  readonly failedTotal: number
  readonly droppedTotal: number
  /** Refused at a limit: they were never enqueued. */
  readonly rejectedTotal: number
  readonly pending: number
  /** Batches. */
  readonly batchesSentTotal: number
  /** Calls of `send` that failed. */
  readonly errorsTotal: number
  /** Calls of `send` after the first with a batch. */
  readonly retriesTotal: number
  /** Items in memory, those under way included. */
  readonly memoryQueueSize: number
  /** Items that are only in the log. */
  readonly logQueueSize: number
  /** Bytes of log files that hold pending items. */
  readonly walSize: number
  /** Mean of all calls of `send` that succeeded; 0 before the first. */
  readonly avgSendLatencyMs: number
  readonly circuitState: CircuitState
  /** Items of the next batch. */
  readonly batchSize: number
  /** Calls of `send` under way. */
  readonly sending: number
  /** Seconds. One call of `enqueue` per batch is timed and stands for all since the one before. */
  readonly enqueueSeconds: Buckets
  /** Seconds from append to acceptance by the log, per item; empty without a log. */
  readonly acceptSeconds: Buckets
  /** Seconds of each call of `send`. */
  readonly sendSeconds: Buckets
}
