/**
 * Options, events and counts that the byte and the item channel share.
 */
import type { MQError } from '../errors/index.js'
import type { Clock } from '../util/index.js'
import type { OnFull } from './channel-errors.js'
import type { ChannelBuffer, Sequencer } from './channel-types.js'
import type { EvictPolicy } from './evict-policy.js'
import type { ChannelMeasures } from './measures.js'
import type { ChannelSettings, ChannelUpdate } from './settings.js'
import type { SpillLog } from './spill/spill-log.js'

/** A buffer that is read record by record. */
export interface ReadableBuffer extends ChannelBuffer {
  /** Bytes of the budget that the unread records hold. */
  heldBytes: number
  /** Records read so far. */
  readRecords: number
}

export interface BufferedChannelOptions extends ChannelUpdate {
  /** Bound of active, sealed and leased bytes. Default 64 MiB. */
  readonly bufferMemoryBytes?: number
  /** Bound of active, sealed and leased records. Default unset. */
  readonly bufferMaxRecords?: number
  /** Percent of both bounds: events at 80 and 60, `onFull` from 95. */
  readonly softPercent?: number
  readonly resumePercent?: number
  readonly hardPercent?: number
  /**
   * What becomes of a record at the hard limit. Default 'block': `writeAsync` waits, `write` throws. 'spill': it goes into
   * `spillLog`, and so does every later one until the log is empty again.
   */
  readonly onFull?: OnFull
  /**
   * The log of 'spill' (`openSpillLog` of tandem-mq/wal); one channel has it. What it holds already is read first. The channel
   * does not close it: close the channel, then the log; what was not read by then is in it for the next one.
   */
  readonly spillLog?: SpillLog
  /** Decides for 'dropOldest'. Default: from 80 % down to 50 %. */
  readonly evictPolicy?: EvictPolicy
  /** Longest wait of `writeAsync`. Milliseconds, default 60,000. */
  readonly maxBlockMs?: number
  /** Where the thirteen series of the channel are shown (`mq.metrics`, `createMetrics()`): until the end of `close`. */
  readonly metrics?: ChannelMetrics
  readonly clock?: Clock
  readonly sequencer?: Sequencer
  /** Most spent buffers kept for reuse. Default 2. */
  readonly maxSpares?: number
}

/** Who asks channels for their counts; `Metrics` is one. */
export interface ChannelMetrics {
  /** Gives the function that detaches; the totals stay counted. */
  attachChannel(source: { measures(): ChannelMeasures }): () => void
  /** Called and awaited once the channel was detached; bounded, and never rejects. */
  flush?(): Promise<void>
}

export interface BufferedChannelEvents {
  /** The soft limit was crossed; once per crossing. */
  backpressure: { readonly usedBytes: number; readonly limitBytes: number }
  /** Back at the resume limit; once per crossing. */
  drain: { readonly usedBytes: number; readonly limitBytes: number }
  /** Settings changed; one event for all updates of one turn. */
  config: { readonly configVersion: number; readonly settings: ChannelSettings }
  /** Records were thrown away under 'dropOldest'. */
  dropped: { readonly records: number; readonly bytes: number; readonly policy: string }
  error: MQError
}

/** Running totals. */
export interface ChannelCounters {
  readonly writtenRecords: number
  readonly writtenBytes: number
  /** Writes that threw: closed, full, too large. */
  readonly refusedWrites: number
  readonly readRecords: number
  readonly readBytes: number
  readonly failedReads: number
  /** Evicted under 'dropOldest'. */
  readonly droppedRecords: number
  /** Still unread when `close` ended; those in the spill log stay in it. */
  readonly discardedRecords: number
  /** Written to the spill log, because memory was full. */
  readonly spilledRecords: number
  /** Of the pending records, those that are only in the spill log. No running total, a level. */
  readonly inLogRecords: number
}
