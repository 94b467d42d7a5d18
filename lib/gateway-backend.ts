/**
 * What the gateway asks of Kafka, answered by our own producer, consumers and admin client. GW-1.
 *
 *   open(orders, 0, 900) --> first consumer of the pool that does not read orders/0   [ live feeds        ]
 *   open(orders, 0, 100) -->                                                          [ readers of the past ]
 *
 * Why a pool: a consumer reads a partition once, the gateway reads it at several places. Feeds come first, so that they
 * share the first consumer, and readers of older records do not stand in their way.
 * Why no offset reset: the gateway has to know when a place was deleted; it would not notice a consumer that goes elsewhere.
 * Invariant: what a consumer has fetched is bounded; bytes that leave here are copies, which keep no fetch in
 * memory; one (consumer, partition) belongs to one reader from `open` until its `unassign`.
 */
import type { AdminClient } from './admin/index.js'
import type { ConsumerConfig } from './config/index.js'
import type { Consumer, RecordView, TopicPartition } from './consumer/index.js'
import { MQError, toMQError } from './errors/index.js'
import type { Feed, FeedRecord, FeedSink, GatewayBackend, PublishOptions } from './gateway/index.js'
import type { RecordMetadata, SendSyncOptions } from './producer/index.js'
import { bytes } from './serializers/index.js'
import type { Clock, TimerHandle } from './util/index.js'

/** What a consumer has fetched and asked for: the first, which has the feeds, and each of the others. Bytes. */
const PREFETCH_BYTES = 16 * 1024 * 1024
const PAST_PREFETCH_BYTES = 4 * 1024 * 1024
const PARTITION_BYTES = 1024 * 1024
/** A partition that is added waits so long, at most, for the answer that the others wait for. Milliseconds. */
const FETCH_WAIT_MS = 100
/** Records that are handed over at once. */
const BATCH_RECORDS = 1_000
/** How long finding a partition may take; then its reader fails, and may be opened again. Milliseconds. */
const FIND_MS = 10_000
/** How long a consumer without partitions is kept. Milliseconds. */
const REST_MS = 30_000
/** Payloads below `SMALL_BYTES` are copied into pieces. Bytes. */
const PIECE_BYTES = 16 * 1024
const SMALL_BYTES = 4 * 1024
const NO_BYTES = Buffer.alloc(0)

export interface GatewayParts {
  /** A record of bytes, whatever serializers the instance has. */
  readonly sendSync: (
    topic: string,
    value: Uint8Array | null,
    options: SendSyncOptions<Uint8Array>,
  ) => Promise<RecordMetadata>
  readonly admin: Pick<AdminClient, 'getTopicMetadata' | 'getTopicOffsets'>
  /** With these settings over those of the instance; its `error` events are told by the instance. */
  readonly createConsumer: (config: ConsumerConfig) => Consumer
  readonly clock: Clock
}

type Offsets = Awaited<ReturnType<AdminClient['getTopicOffsets']>>

/** `close` closes the consumers that it made, nothing else. */
export function gatewayBackend(parts: GatewayParts): GatewayBackend {
  return new KafkaBackend(parts)
}

class KafkaBackend implements GatewayBackend {
  readonly #parts: GatewayParts
  readonly #pool: PooledConsumer[] = []
  /** Questions under way: a thousand clients that come back together ask once. */
  readonly #asked = new Map<string, Promise<Offsets>>()
  readonly #closing = new Set<Promise<void>>()
  #isClosed = false

  constructor(parts: GatewayParts) {
    this.#parts = parts
  }

  async publish(topic: string, value: Uint8Array | null, options: PublishOptions) {
    const { partition, offset, timestamp } = await this.#parts.sendSync(topic, value, options)
    return { partition, offset, timestamp }
  }

  async partitionsOf(topic: string): Promise<readonly number[]> {
    const { partitions } = await this.#parts.admin.getTopicMetadata(topic)
    return partitions.map(({ partition }) => partition)
  }

  async positions(topic: string, partition: number) {
    const found = (await this.#offsetsOf(topic)).find((one) => one.partition === partition)
    if (found === undefined) {
      throw new MQError('PARTITION_NOT_FOUND', `${topic} has no partition ${partition}`, { topic, partition })
    }
    return { earliest: found.logStart, next: found.logEnd }
  }

  open(topic: string, partition: number, from: number, sink: FeedSink): Feed {
    if (this.#isClosed) throw new MQError('CONSUMER_CLOSED', 'the gateway is closed: nothing is read any more', {})
    const name = nameOf(topic, partition)
    const pooled = this.#pool.find((one) => !one.readers.has(name)) ?? this.#another()
    const ports = { positions: () => this.positions(topic, partition), ended: () => this.#left(pooled) }
    const reader = new PartitionReader(pooled, { topic, partition }, from, sink, ports)
    pooled.readers.set(name, reader)
    pooled.rest?.cancel()
    pooled.rest = null
    reader.open()
    return reader
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const pooled of [...this.#pool]) this.#retire(pooled)
    await Promise.all(this.#closing)
  }

  #offsetsOf(topic: string): Promise<Offsets> {
    const known = this.#asked.get(topic)
    if (known !== undefined) return known
    const asked = this.#parts.admin.getTopicOffsets(topic).finally(() => this.#asked.delete(topic))
    this.#asked.set(topic, asked)
    return asked
  }

  #another(): PooledConsumer {
    const prefetchBytes = this.#pool.length === 0 ? PREFETCH_BYTES : PAST_PREFETCH_BYTES
    const consumer = this.#parts.createConsumer({
      autoOffsetReset: 'none',
      readMode: 'zeroCopy', // What leaves is copied once, here.
      keyDeserializer: bytes(),
      valueDeserializer: bytes(),
      dedup: { enabled: false },
      trace: { enabled: false },
      concurrency: 1,
      concurrencyBy: 'partition',
      deliverErrors: false,
      maxPollRecords: BATCH_RECORDS,
      prefetchBytes,
      fetchMinBytes: 1,
      fetchMaxBytes: prefetchBytes,
      maxPartitionFetchBytes: PARTITION_BYTES,
      fetchMaxWaitMs: FETCH_WAIT_MS,
    })
    const made: PooledConsumer = { consumer, readers: new Map(), rest: null }
    consumer.on('error', (error) => {
      const { topic, partition } = error.context
      if (typeof topic !== 'string' || typeof partition !== 'number') return
      const reader = made.readers.get(nameOf(topic, partition))
      // Later: the consumer is about to say when it asks again, and must not be in the midst of it when that is called off.
      this.#parts.clock.defer(() => reader?.wasRefused(error))
    })
    this.#pool.push(made)
    return made
  }

  /** Kept for a while: connections and metadata are there already for the next reader. */
  #left(pooled: PooledConsumer): void {
    if (pooled.readers.size > 0 || this.#isClosed) return
    pooled.rest ??= this.#parts.clock.setTimer(() => this.#retire(pooled), REST_MS)
  }

  #retire(pooled: PooledConsumer): void {
    pooled.rest?.cancel()
    this.#pool.splice(this.#pool.indexOf(pooled), 1)
    for (const reader of pooled.readers.values()) reader.close()
    const closing = pooled.consumer.close()
    this.#closing.add(closing)
    // What goes wrong then is an `error` event of the consumer, and of `close` where that is waited for.
    closing.then(
      () => this.#closing.delete(closing),
      () => {},
    )
  }
}

interface PooledConsumer {
  readonly consumer: Consumer
  /** By topic and partition: a consumer reads each once. */
  readonly readers: Map<string, PartitionReader>
  rest: TimerHandle | null
}

interface ReaderPorts {
  readonly positions: () => Promise<{ readonly earliest: number }>
  /** It has let go of its consumer. */
  readonly ended: () => void
}

/** One reader of one partition, on one consumer. */
class PartitionReader implements Feed {
  readonly #pooled: PooledConsumer
  readonly #tp: TopicPartition
  readonly #from: number
  readonly #sink: FeedSink
  readonly #ports: ReaderPorts
  #isAssigned = false
  #isPaused = false
  #isClosed = false
  #hasRead = false
  #isSeeking = false

  constructor(pooled: PooledConsumer, tp: TopicPartition, from: number, sink: FeedSink, ports: ReaderPorts) {
    this.#pooled = pooled
    this.#tp = tp
    this.#from = from
    this.#sink = sink
    this.#ports = ports
  }

  open(): void {
    const onBatch = (records: readonly RecordView[]) => this.#records(records)
    this.#pooled.consumer.assignBatch([{ ...this.#tp, offset: this.#from }], onBatch, { timeoutMs: FIND_MS }).then(
      () => this.#assigned(),
      (error: unknown) => {
        this.#leave()
        this.#fail(toMQError(error, 'CONSUME_FAILED', 'a partition cannot be assigned', { ...this.#tp }))
      },
    )
  }

  pause(): void {
    if (this.#isPaused || this.#isClosed) return
    this.#isPaused = true
    if (this.#isAssigned) this.#pooled.consumer.pause([this.#tp])
  }

  resume(): void {
    if (!this.#isPaused || this.#isClosed) return
    this.#isPaused = false
    if (this.#isAssigned) this.#pooled.consumer.resume([this.#tp])
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#isAssigned) this.#unassign()
  }

  /**
   * The consumer has told an error of the partition. What passes by itself is not one of ours: it goes on asking.
   * A place that was deleted before anything was read is none either: reading begins with what there is.
   */
  wasRefused(error: MQError): void {
    if (this.#isClosed) return
    if (error.context.reason === 'OFFSET_OUT_OF_RANGE' && !this.#hasRead) this.#beginLater(error)
    else if (!error.retryable || error.is('TOPIC_NOT_FOUND')) this.#fail(error)
  }

  #assigned(): void {
    this.#isAssigned = true
    if (this.#isClosed) this.#unassign()
    else if (this.#isPaused) this.#pooled.consumer.pause([this.#tp])
  }

  #records(records: readonly RecordView[]): void {
    if (this.#isClosed) return
    this.#hasRead = true
    try {
      this.#sink.records(copies(records))
    } catch (error) {
      // The consumer would hand the batch over again; who reads here goes on where it stands by opening again.
      this.#fail(toMQError(error, 'CONSUME_FAILED', 'a feed could not take its records', { ...this.#tp }))
    }
  }

  #beginLater(refused: MQError): void {
    if (this.#isSeeking) return
    this.#isSeeking = true
    this.#ports.positions().then(
      ({ earliest }) => {
        this.#isSeeking = false
        if (this.#isClosed) return
        if (earliest > this.#from) this.#pooled.consumer.seek(this.#tp, earliest)
        else this.#fail(refused)
      },
      (error: unknown) => this.#fail(toMQError(error, 'CONSUME_FAILED', 'positions are not known', { ...this.#tp })),
    )
  }

  #fail(error: MQError): void {
    if (this.#isClosed) return
    this.close()
    this.#sink.failed(error)
  }

  #unassign(): void {
    const { consumer } = this.#pooled
    if (consumer.state === 'open') consumer.unassign([this.#tp])
    this.#leave()
  }

  #leave(): void {
    this.#pooled.readers.delete(nameOf(this.#tp.topic, this.#tp.partition))
    this.#ports.ended()
  }
}

function nameOf(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

/** Bytes of their own, which nobody changes and which keep no fetch in memory. */
function copies(records: readonly RecordView[]): FeedRecord[] {
  const pieces = new Pieces(records.reduce((sum, record) => sum + smallBytes(record), 0))
  return records.map((record) => ({
    offset: record.offset,
    timestamp: record.timestamp,
    key: pieces.copy(record.key),
    value: pieces.copy(record.value),
    headers: record.headers.map(([name, value]) => [name, pieces.copy(value)] as const),
  }))
}

function smallBytes({ key, value, headers }: RecordView): number {
  let sum = smallLength(key) + smallLength(value)
  for (const [, header] of headers) sum += smallLength(header)
  return sum
}

function smallLength(source: Uint8Array | null): number {
  return source === null || source.length >= SMALL_BYTES ? 0 : source.length
}

/** Memory for small copies, cut from pieces that are no larger than what is still to come: a lone record has its own. */
class Pieces {
  #left: number
  #piece = NO_BYTES
  #used = 0

  /** `total`: bytes of all small copies. */
  constructor(total: number) {
    this.#left = total
  }

  copy(source: Uint8Array | null): Buffer | null {
    if (source === null) return null
    const { length } = source
    if (length >= SMALL_BYTES) return copyOf(source)
    if (this.#used + length > this.#piece.length) {
      this.#piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, this.#left))
      this.#used = 0
    }
    const copy = this.#piece.subarray(this.#used, this.#used + length)
    copy.set(source)
    this.#used += length
    this.#left -= length
    return copy
  }
}

function copyOf(source: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(source.length)
  copy.set(source)
  return copy
}
