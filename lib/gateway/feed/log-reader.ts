/**
 * Reads one partition onwards from an offset, whatever happens to the reader of the backend below it.
 *
 *   open --> records, records .. --> failed --> back-off --> positions --> open at `position`
 *
 * What was deleted: a hole between `position` and the first record after an `open` may be Kafka's own (compaction,
 * transactions) or mean that records are gone; the earliest offset that exists tells which. Later holes are Kafka's own:
 * a reader whose place was deleted fails, and is opened anew.
 * A log that ends before `position` is another log (a topic made anew, an election that lost records): nothing that could
 * be sent from it would continue what clients have. Then it ends. Source: features.md GW-1.
 */
import { MQError, toMQError } from '../../errors/index.js'
import { backoffMs, type Clock, type RandomSource, type TimerHandle } from '../../util/index.js'
import type { Feed, FeedRecord, FeedSink, GatewayBackend } from '../types.js'

/** Between attempts, with full jitter. Milliseconds. */
const RETRY_MS = 100
const RETRY_MAX_MS = 10_000

/** No attempt could go better: the topic is not there, or not ours to read. */
const FINAL = ['TOPIC_NOT_FOUND', 'PARTITION_NOT_FOUND', 'INVALID_TOPIC', 'INVALID_PARTITION', 'AUTHORIZATION_FAILED']

export interface LogReaderParts {
  readonly backend: GatewayBackend
  readonly clock: Clock
  readonly random: RandomSource
}

export interface LogReaderOwner {
  /** Behind all before. Offsets from the position before up to, not including, `deletedBefore` were deleted; -1: none. */
  read(records: readonly FeedRecord[], deletedBefore: number): void
  /** For good. */
  ended(error: MQError): void
}

export function isFinal(error: MQError): boolean {
  return FINAL.some((code) => error.code === code)
}

export class LogReader {
  readonly #parts: LogReaderParts
  readonly #topic: string
  readonly #partition: number
  readonly #owner: LogReaderOwner
  /** Next offset to read. */
  #position: number
  #feed: Feed | null = null
  /** What an earlier opening says, or was asked, belongs to the past. */
  #opening = 0
  #isPaused = false
  #isFirst = true
  /** Waits for the answer whether something before it was deleted. */
  #unproven: FeedRecord[] | null = null
  #failures = 0
  #timer: TimerHandle | null = null

  constructor(parts: LogReaderParts, topic: string, partition: number, from: number, owner: LogReaderOwner) {
    this.#parts = parts
    this.#topic = topic
    this.#partition = partition
    this.#position = from
    this.#owner = owner
  }

  get position(): number {
    return this.#position
  }

  open(): void {
    const opening = ++this.#opening
    const sink: FeedSink = {
      records: (batch) => {
        if (opening === this.#opening) this.#records(batch)
      },
      failed: (error) => {
        if (opening === this.#opening) this.#failed(error)
      },
    }
    this.#isFirst = true
    try {
      const feed = this.#parts.backend.open(this.#topic, this.#partition, this.#position, sink)
      if (opening !== this.#opening) return feed.close() // It was told at once that it is over.
      this.#feed = feed
      if (this.#isPaused) feed.pause()
    } catch (error) {
      this.#failed(toMQError(error, 'CONSUME_FAILED', 'a partition cannot be opened'))
    }
  }

  pause(): void {
    this.#isPaused = true
    this.#feed?.pause()
  }

  resume(): void {
    this.#isPaused = false
    if (this.#unproven === null) this.#feed?.resume()
  }

  close(): void {
    this.#opening++
    this.#timer?.cancel()
    this.#timer = null
    this.#unproven = null
    this.#feed?.close()
    this.#feed = null
  }

  #records(batch: readonly FeedRecord[]): void {
    this.#failures = 0
    if (this.#unproven !== null) {
      this.#unproven.push(...batch)
      return
    }
    const first = batch[0]
    if (first === undefined) return
    if (this.#isFirst && first.offset > this.#position) this.#prove([...batch])
    else this.#deliver(batch, -1)
    this.#isFirst = false
  }

  #deliver(batch: readonly FeedRecord[], deletedBefore: number): void {
    const isBehind = (batch[0] as FeedRecord).offset < this.#position
    const fresh = isBehind ? batch.filter(({ offset }) => offset >= this.#position) : batch
    const last = fresh[fresh.length - 1]
    if (last === undefined) return
    this.#position = last.offset + 1
    this.#owner.read(fresh, deletedBefore)
  }

  #prove(batch: FeedRecord[]): void {
    const opening = this.#opening
    this.#unproven = batch
    this.#feed?.pause()
    this.#parts.backend.positions(this.#topic, this.#partition).then(
      ({ earliest }) => {
        if (opening === this.#opening) this.#proven(earliest)
      },
      (error: unknown) => {
        if (opening === this.#opening) this.#failed(toMQError(error, 'CONSUME_FAILED', 'positions are not known'))
      },
    )
  }

  #proven(earliest: number): void {
    const batch = this.#unproven as FeedRecord[]
    this.#unproven = null
    if (!this.#isPaused) this.#feed?.resume()
    const deletedBefore = Math.min(earliest, (batch[0] as FeedRecord).offset)
    this.#deliver(batch, deletedBefore > this.#position ? deletedBefore : -1)
  }

  #failed(error: MQError): void {
    this.close()
    if (isFinal(error)) return this.#owner.ended(error)
    const delayMs = backoffMs(this.#failures++, RETRY_MS, RETRY_MAX_MS, this.#parts.random)
    this.#timer = this.#parts.clock.setTimer(() => this.#reopen(), delayMs)
  }

  /** Looks at the log first: it may be another one. */
  #reopen(): void {
    const opening = ++this.#opening
    this.#timer = null
    this.#parts.backend.positions(this.#topic, this.#partition).then(
      ({ next }) => {
        if (opening !== this.#opening) return
        if (next < this.#position) this.#cut(next)
        else this.open()
      },
      (error: unknown) => {
        if (opening === this.#opening) this.#failed(toMQError(error, 'CONSUME_FAILED', 'positions are not known'))
      },
    )
  }

  #cut(next: number): void {
    const [topic, partition, offset] = [this.#topic, this.#partition, this.#position]
    const text =
      `${topic}/${partition} was read up to offset ${offset} and now ends at ${next}: ` +
      'it was made anew or has lost records; subscribe again'
    this.close()
    this.#owner.ended(new MQError('INVALID_OFFSET', text, { topic, partition, offset, next }))
  }
}
