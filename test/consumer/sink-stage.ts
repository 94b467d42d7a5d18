/** Sinks as a consumer makes them, fed by hand: no network, time stands still. */
import { type ConsumerConfig, resolveConsumerConfig } from '../../lib/config/index.js'
import { ConsumerCounters } from '../../lib/consumer/counters.js'
import { type BatchCallback, PartitionCursor, type RecordCallback } from '../../lib/consumer/cursor.js'
import type { DeadLetterOptions, DeadLetterSink } from '../../lib/consumer/delivery/dead-letter.js'
import { makeSinks, type Sinks } from '../../lib/consumer/delivery/sinks.js'
import type { ConsumerEvents } from '../../lib/consumer/events.js'
import type { ReaderSettings } from '../../lib/consumer/records/partition-reader.js'
import { MQError } from '../../lib/errors/index.js'
import {
  type Deferred,
  deferred,
  Emitter,
  FakeClock,
  type ProcessHook,
  seededRandom,
  silentLogger,
} from '../../lib/util/index.js'
import { numbered } from './batches.js'

export interface Letter {
  readonly topic: string
  readonly value: string | null
  readonly key: string | null
  readonly headers: readonly (readonly [string, string | null])[]
}

/** Keeps what was acknowledged; the test says when, and whether. */
export class LetterBox implements DeadLetterSink {
  readonly written: Letter[] = []
  readonly held: { readonly letter: Letter; readonly done: Deferred<unknown> }[] = []
  isHeld = false
  refuses = 0 // so many of the next writes

  sendSync(topic: string, value: Uint8Array | null, options: DeadLetterOptions): Promise<unknown> {
    const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString())
    const headers = options.headers.map(([name, bytes]) => [name, text(bytes)] as const)
    const letter = { topic, value: text(value), key: text(options.key), headers }
    if (this.refuses > 0) {
      this.refuses--
      throw new MQError('TIMEOUT', 'no broker in time')
    }
    if (!this.isHeld) {
      this.written.push(letter)
      return Promise.resolve({ offset: 0 })
    }
    const done = deferred<unknown>()
    this.held.push({ letter, done })
    return done.promise.then(() => this.written.push(letter))
  }
}

export interface StageOptions {
  readonly config?: ConsumerConfig
  readonly deadLetters?: DeadLetterSink
  readonly settings?: Partial<ReaderSettings>
  readonly hooks?: ProcessHook
}

export class SinkStage {
  readonly clock = new FakeClock()
  readonly counters: ConsumerCounters
  readonly errors: MQError[] = []
  readonly stops: (MQError | null)[] = []
  readonly unreadable: unknown[] = []
  readonly sinks: Sinks
  readonly #settings: ReaderSettings
  /** How often somebody has looked at the clock. */
  looks = 0
  #workedMs = 0

  constructor({ config = {}, deadLetters, settings = {}, hooks }: StageOptions = {}) {
    this.#settings = {
      copies: true,
      checkCrcs: true,
      keyDeserializer: undefined,
      valueDeserializer: undefined,
      ...settings,
    }
    const events = new Emitter<ConsumerEvents>()
    events.on('error', (error) => this.errors.push(error))
    const resolved = resolveConsumerConfig({ logger: silentLogger, ...config })
    this.counters = new ConsumerCounters(resolved.metrics.enabled)
    this.#watchClock()
    const shared = { config: resolved, events, counters: this.counters, clock: this.clock, random: seededRandom(4) }
    this.sinks = makeSinks(
      { ...shared, deadLetters, hooks },
      {
        unreadable: (_cursor, error) => void this.unreadable.push(error),
        stopped: (error) => void this.stops.push(error),
      },
    )
  }

  perRecord(partition: number, callback: RecordCallback, topic = 't'): PartitionCursor {
    return this.#cursor(topic, partition, this.sinks.perRecord(callback))
  }

  perBatch(partition: number, callback: BatchCallback, topic = 't'): PartitionCursor {
    return this.#cursor(topic, partition, this.sinks.perBatch(callback))
  }

  /** Bytes as if an answer had brought them; a number: so many numbered values from the start. */
  push(cursor: PartitionCursor, what: Buffer | number): void {
    const bytes = typeof what === 'number' ? numbered(0, what) : what
    cursor.reader.push({ bytes, length: bytes.length, arrivedMs: 0, aborted: null })
    cursor.delivery.sink.enqueue(cursor)
  }

  /** Lets everything that is ready run. */
  async turn(): Promise<void> {
    for (const sink of this.sinks.all) sink.pump()
    for (let round = 0; round < 5; round++) {
      for (let step = 0; step < 20; step++) await Promise.resolve()
      this.clock.runDeferred()
    }
  }

  /** Time that a callback takes before it returns: no timer rings meanwhile. */
  work(ms: number): void {
    this.#workedMs += ms
  }

  #watchClock(): void {
    const monotonicMs = this.clock.monotonicMs.bind(this.clock)
    this.clock.monotonicMs = () => {
      this.looks++
      return monotonicMs() + this.#workedMs
    }
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms)
    await this.turn()
  }

  #cursor(topic: string, partition: number, delivery: PartitionCursor['delivery']): PartitionCursor {
    const made = new PartitionCursor(topic, partition, delivery, this.#settings, { freed: () => {} })
    made.moveTo(0)
    return made
  }
}
