/**
 * The words between a channel and those who build on it: its buffer, its owner, what it tells and how it ends.
 */
import type { MQError } from '../errors/index.js'
import type { Buckets, Clock } from '../util/index.js'

/** What the channel must know of a buffer. All fields exist from the start; -1 = not yet. */
export interface ChannelBuffer {
  /** Kept up to date by the writer, before it calls `wrote()`. Unchanged while the buffer is taken. */
  records: number
  bytes: number
  /** Seal number, set by `seal()`, -1 before. */
  sequence: number
  /** Monotonic time of the first record, set by the channel, -1 before. */
  firstAtMs: number
}

/**
 * Who uses the channel. A lane implements this itself, so that no closure exists per channel.
 * Every call comes after the channel has finished its own change of state.
 */
export interface ChannelOwner<B extends ChannelBuffer> {
  /** A new, empty buffer. May throw: then nothing was sealed. */
  createBuffer(): B
  /** Makes a spent buffer ready for its next generation; the channel resets the four fields of `ChannelBuffer`. */
  clearBuffer?(buffer: B): void
  /** A cleared buffer that nobody will use again. */
  discardBuffer?(buffer: B): void
  /** `sealOn: 'demand'`: the active buffer is due; called once per buffer generation. */
  onDue?(): void
  /** The channel sealed by itself: `sealOn: 'due'`, or closing. The buffer waits in the heap, `take()` hands it out. */
  onSealed?(buffer: B): void
  /** Settings changed; one call for all updates of one turn of the event loop. */
  onConfig?(configVersion: number): void
  /** A strategy function threw. */
  onError?(error: MQError): void
  /** Readers that wait, for `stats()`. */
  waiting?(): number
}

/** Where seal numbers come from: several channels may share one order. */
export interface Sequencer {
  /** Higher than every number before. */
  next(): number
}

export class CountingSequencer implements Sequencer {
  #last: number
  constructor(last = 0) {
    this.#last = last
  }
  next(): number {
    return ++this.#last
  }
}

export interface DoubleBufferOptions {
  readonly clock?: Clock
  /** 'due': seals by itself. 'demand': says `onDue` and keeps filling until the owner seals. Default 'due'. */
  readonly sealOn?: 'due' | 'demand'
  readonly sequencer?: Sequencer
  /** Most spent buffers kept for reuse. Default 2. */
  readonly maxSpares?: number
  /** Observes each seal, from the decision until the next buffer is active. Seconds; null or unset: not observed. */
  readonly switchSeconds?: Buckets | null
}

export interface ChannelStats {
  readonly activeRecords: number
  readonly activeBytes: number
  readonly sealedBuffers: number
  readonly sealedBytes: number
  readonly pooledBuffers: number
  /** Number of the last seal, 0 before the first. */
  readonly sequence: number
  readonly switches: number
  /** Deadline checks that sealed nothing. */
  readonly skippedSwitches: number
  readonly waiters: number
}

export interface CloseOptions {
  /** Longest wait for readers. Milliseconds, default 30,000. */
  readonly timeoutMs?: number
  /** False: discard what is pending at once. Default true. */
  readonly drain?: boolean
}

/** Of the records that were pending when `close` was called. */
export interface CloseResult {
  readonly delivered: number
  readonly undelivered: number
}

export type ChannelState = 'open' | 'closing' | 'closed'
