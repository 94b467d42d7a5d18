/**
 * Everything known about one assigned partition: where reading stands, who leads it, what is buffered.
 *
 *   fetchOffset  next offset to ask the broker for   (ahead, by what is buffered)
 *   position     next offset to process              (moves when a callback has returned)
 *
 * Invariant: position <= fetchOffset; `generation` changes with every seek, reset and revocation, and whatever was
 * started under an older one (an answer, a decompression, a callback's promise) must not move anything.
 * Fields are plain and public inside this room: fetcher, dispatcher and consumer each own those named below.
 */
import type { MQError } from '../errors/index.js'
import { ZERO_UUID } from '../protocol/index.js'
import type { TimerHandle } from '../util/index.js'
import type { DeadLetter } from './delivery/verdict.js'
import { PartitionReader, type ReaderSettings } from './records/partition-reader.js'
import type { RecordView } from './records/record-view.js'

/** A topic and a partition: the second argument of every callback, one frozen object per assigned partition. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** `false`: stop cleanly after this record. A promise is awaited before the next record of the partition. */
// biome-ignore lint/suspicious/noConfusingVoidType: `async () => {}` is a callback too, and its type says void.
export type CallbackResult = boolean | undefined | void | Promise<boolean | undefined | void>
export type AnyRecord = RecordView<never, never>
/** `error` is null, except with `deliverErrors`: then `record` is null (`records` empty) where `error` is not. */
export type RecordCallback = (record: AnyRecord, tp: TopicPartition, error: MQError | null) => CallbackResult
export type BatchCallback = (records: AnyRecord[], tp: TopicPartition, error: MQError | null) => CallbackResult

/**
 * Where records of a partition go: one sink per way of reading (callbacks by partition, by key, pulled).
 * Why an interface: fetcher and group know that records leave and when a partition is at rest, not how.
 * Invariant: a cursor belongs to one sink for life; a sink moves `cursor.position` only over records whose processing
 * has ended, contiguously, under the generation they were handed out in.
 */
export interface RecordSink {
  /** The cursor may have work: data, or a record to try again. Calls nothing; `pump` does. */
  enqueue(cursor: PartitionCursor): void
  /** Hands out what is ready. */
  pump(): void
  /** `pump` in a later turn of the loop: for callers that must not run callbacks themselves. */
  pumpSoon(): void
  /** With `deliverErrors`: an error of the partition goes to its callback too, soon and never beside another call. */
  deliverError?(cursor: PartitionCursor, error: MQError): void
  /** No further record leaves; those that are out may end. */
  stop(): void
  /** Calls once when nothing handed out is open any more. */
  whenIdle(task: () => void): void
  /** Callbacks, or pulled records, whose end is open. */
  readonly running: number
}

/** Who gets the records, and by which way: at most one of the callbacks, none where records are pulled. */
export interface Delivery {
  readonly perRecord: RecordCallback | null
  readonly perBatch: BatchCallback | null
  readonly sink: RecordSink
}

/** Why a partition is not asked for. Bits, because several may hold at once. */
export const HOLD = {
  /** No position yet, or it is being looked up. */
  position: 1,
  paused: 2,
  /** Its share of the prefetch is used up. */
  full: 4,
  /** Waiting before another attempt. */
  backoff: 8,
  /** Failed for good: until a seek. */
  failed: 16,
  revoked: 32,
  /** Being given back to the group: what runs may end, nothing new begins. */
  leaving: 64,
  /** A callback of an earlier assignment of the partition has not ended. */
  follows: 128,
} as const

const NOT_DELIVERED = HOLD.paused | HOLD.revoked | HOLD.leaving | HOLD.follows

export interface CursorOwner {
  /** Buffered bytes of this cursor became fewer. */
  freed(cursor: PartitionCursor, bytes: number): void
}

export class PartitionCursor {
  readonly tp: TopicPartition
  readonly topic: string
  readonly partition: number
  readonly delivery: Delivery
  readonly reader: PartitionReader

  // Owned by the consumer.
  topicId = ZERO_UUID
  generation = 0
  leaderEpoch = -1
  committed = -1 // what the coordinator has stored, as far as we know
  mayGoBack = false // a seek or a truncation came since: the next commit may be lower (CO-9)
  onUnplaced: (() => void) | null = null // it was to be placed, and what came between has failed: of a group's partitions
  end = -1 // high watermark, or last stable offset under read_committed

  // Owned by the fetcher.
  brokerId = -1 // who is asked: the leader, or a near replica
  replicaId = -1 // a replica near us that the leader has named (KIP-392); -1: ask the leader
  replicaUntilMs = 0 // then the leader is asked for its advice again
  holds: number = HOLD.position
  fetchOffset = -1
  lastFetchedEpoch = -1
  failures = 0
  corruptAt = -1 // offset of a batch that was corrupt once and is being fetched again
  failure: MQError | null = null
  reportedCode = 0 // broker error told to the user already, so that its repetitions stay silent
  timer: TimerHandle | null = null
  positionAtFetch = -1

  // Owned by the sink.
  position = -1
  positionEpoch = -1 // leader epoch of the batch the position stands in: goes into commits (KIP-320)
  isQueued = false
  isBusy = false // something handed out has not ended: a callback's promise, a pulled record
  isOpening = false // a batch is being decompressed
  isInterrupted = false // seek, pause, revocation: the turn ends after the present record
  left = 0
  attempts = 0
  pending: AnyRecord | AnyRecord[] | null = null
  pendingEnd = -1
  pendingGeneration = -1
  opening: Promise<void> | null = null
  onResolved: ((value: unknown) => void) | null = null
  onRejected: ((error: unknown) => void) | null = null
  retryTimer: TimerHandle | null = null
  letter: DeadLetter | null = null // `pending` is to be written elsewhere, not to be tried again
  errors: MQError[] | null = null // for the callback (deliverErrors), oldest first; null when there is none
  busySinceMs = -1 // monotonic, of the oldest that has not ended
  takenEnd = -1 // by key: behind the last record taken out of the reader, processed or not
  onMoved: (() => void) | null = null // `moveTo` was called: what was taken belongs to the past
  #onIdle: (() => void) | null = null

  constructor(topic: string, partition: number, delivery: Delivery, settings: ReaderSettings, owner: CursorOwner) {
    this.topic = topic
    this.partition = partition
    this.tp = Object.freeze({ topic, partition })
    this.delivery = delivery
    this.reader = new PartitionReader(topic, partition, settings, (bytes) => owner.freed(this, bytes))
  }

  get isFetchable(): boolean {
    return this.holds === 0 && this.fetchOffset >= 0
  }

  get isPaused(): boolean {
    return (this.holds & HOLD.paused) !== 0
  }

  get isRevoked(): boolean {
    return (this.holds & HOLD.revoked) !== 0
  }

  /** No record of it may be handed out now. */
  get isHeldBack(): boolean {
    return (this.holds & NOT_DELIVERED) !== 0
  }

  /** Calls once when nothing of it is open any more: at once, or when the sink says so (`rests`). */
  whenIdle(task: () => void): void {
    if (!this.isBusy) return task()
    const earlier = this.#onIdle
    this.#onIdle =
      earlier === null
        ? task
        : () => {
            earlier()
            task()
          }
  }

  /** Told by the sink, behind the change of position: nothing of the partition is open. */
  rests(): void {
    const task = this.#onIdle
    if (task === null || this.isBusy) return
    this.#onIdle = null
    task()
  }

  hold(reason: number): void {
    this.holds |= reason
  }

  release(reason: number): void {
    this.holds &= ~reason
  }

  /** The coordinator has stored this offset. */
  wasCommitted(offset: number): void {
    this.committed = offset
    this.mayGoBack = false
  }

  /** There is something new to commit. What the caller has committed ahead of the position stays (CO-9). */
  get isUncommitted(): boolean {
    return (
      this.position >= 0 && (this.position > this.committed || (this.mayGoBack && this.position !== this.committed))
    )
  }

  /** Goes on at `offset`: what is buffered, asked for or being retried belongs to the past. `leaderEpoch`: of the record before it. */
  moveTo(offset: number, leaderEpoch = -1): void {
    this.generation++
    this.isInterrupted = true
    this.opening = null
    this.reader.clear(offset)
    this.fetchOffset = offset
    this.position = offset
    this.mayGoBack = true
    this.positionEpoch = leaderEpoch
    this.lastFetchedEpoch = leaderEpoch
    this.corruptAt = -1
    this.failure = null
    this.failures = 0
    this.dropRetry()
    this.release(HOLD.position | HOLD.failed | HOLD.backoff | HOLD.full)
    this.timer?.cancel()
    this.timer = null
    this.takenEnd = -1
    this.onMoved?.()
  }

  /** Where reading goes on: behind what a callback is working on, and what waits for its turn by key. */
  get nextOffset(): number {
    if (this.isBusy && this.pendingGeneration === this.generation) return this.pendingEnd
    return Math.max(this.position, this.takenEnd)
  }

  /** Fetches again from where processing stands, without anything that is buffered; a running callback still counts. */
  rewind(): void {
    const from = this.nextOffset
    const isCounted = this.isBusy && this.pendingGeneration === this.generation
    this.generation++
    if (isCounted) this.pendingGeneration = this.generation
    this.isInterrupted = true
    this.opening = null
    this.reader.clear(from)
    this.fetchOffset = from
    this.lastFetchedEpoch = -1
    this.dropRetry()
    this.release(HOLD.full)
  }

  dropRetry(): void {
    if (!this.isBusy) {
      this.pending = null
      this.letter = null
    }
    this.attempts = 0
    this.retryTimer?.cancel()
    this.retryTimer = null
  }

  /** The end of what this consumer may read: high watermark, or last stable offset under read_committed. */
  sawEnd(end: number): void {
    if (end > this.end) this.end = end
  }

  /** How far behind the end; -1 while unknown. */
  get lag(): number {
    return this.end < 0 || this.position < 0 ? -1 : Math.max(0, this.end - this.position)
  }
}
