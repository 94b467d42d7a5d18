/**
 * Between clients and feeds: a client says what it wants and when it can take more, a feed gives it bytes that are ready to
 * send. GW-1, GW-3.
 * Why bytes: records are encoded once per wire and shared; what a client costs is one write per block.
 */
import type { MQError } from '../../errors/index.js'
import type { Wire } from '../frames/wire.js'
import type { StartAt } from '../types.js'

/**
 * What becomes of a client that reads too slowly. GW-3. Slow is who had everything there was and fell behind; who is still
 * reading older records is given them as fast as it takes them, whatever is chosen here.
 */
export type SlowClient = 'pause' | 'drop' | 'disconnect'

/** A client, as feeds see it. Nothing of it is called inside a call of its own reader, except `sendFrames`. */
export interface FeedClient {
  readonly wire: Wire
  /** False: its write buffer is above the limit; `drained()` of its reader follows. Asked before each `sendFrames`. */
  readonly isWritable: boolean
  /** Whole frames, header included, of `records` records. The bytes are shared: they never change. */
  sendFrames(bytes: Buffer, records: number): void
  /** Records `from` to `to` (inclusive) will not come; sent in order with the records around them. */
  gap(topic: string, partition: number, from: number, to: number, reason: 'dropped' | 'deleted'): void
  /** A subscription ended by itself: the topic was deleted or made anew, or may not be read any more. */
  failed(topic: string, error: MQError): void
  /** `slowClient: 'disconnect'`: it is behind. */
  tooSlow(): void
}

/** One client's subscriptions and where it is in each partition. */
export interface FeedReader {
  /** Topics it is subscribed to, with or without a key; those included that are being looked up. */
  readonly topics: number
  /**
   * Adds topics (with a key: only its records; several keys of one topic add up; without a key after one: all records).
   * Resolves with the next offset of each partition; records come after that, in ascending order, each once. A topic that is
   * subscribed already keeps its place, unless `from` names offsets for it: then it moves there.
   * An offset below the first that exists begins there, behind a gap ('deleted').
   * Rejects with TOPIC_NOT_FOUND and the like, PARTITION_NOT_FOUND for an offset of a partition that is not there,
   * INVALID_OFFSET for one beyond the end, and then nothing of the call is subscribed.
   */
  subscribe(
    topics: readonly string[],
    key: Uint8Array | undefined,
    from: StartAt,
  ): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>>
  /** Ends subscriptions, all when `topics` is empty; with a key only that key. Gives how many topics are left. */
  unsubscribe(topics: readonly string[], key: Uint8Array | undefined): number
  /** `isWritable` is true again. */
  drained(): void
  close(): void
}

export interface FeedsOptions {
  /** Recent blocks of all partitions together. Bytes. */
  readonly cacheBytes: number
  /** Readers of Kafka for clients that are behind the cache, at one time. */
  readonly maxCatchUps: number
  readonly slowClient: SlowClient
}

export interface FeedMeasures {
  /** Partitions that are read. */
  readonly feeds: number
  readonly cachedBytes: number
  readonly catchUps: number
  /** Records sent to clients, and skipped for slow ones (what was not cached any more counts by its offsets). */
  readonly sentRecords: number
  readonly droppedRecords: number
}

/** `new Feeds(backend, options, clock)` in feeds.ts. */
export interface FeedSource {
  reader(client: FeedClient): FeedReader
  measures(): FeedMeasures
  close(): Promise<void>
}
