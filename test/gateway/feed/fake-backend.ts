/** A Kafka of arrays for tests of feeds: logs that grow, lose their beginning, have holes, and whose readers can fail. */
import { MQError } from '../../../lib/errors/index.js'
import type { Feed, FeedRecord, FeedSink, GatewayBackend, Published } from '../../../lib/gateway/types.js'
import type { Clock } from '../../../lib/util/index.js'

export class FakeLog {
  records: FeedRecord[] = []
  earliest = 0
  next = 0

  append(key: string | null, value: string | null = null): FeedRecord {
    const record = {
      offset: this.next++,
      timestamp: 0,
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
      headers: [],
    }
    this.records.push(record)
    return record
  }

  /** An offset without a record, as a transaction's end or compaction leave. */
  hole(): void {
    this.next++
  }

  deleteBefore(offset: number): void {
    this.earliest = Math.max(this.earliest, Math.min(offset, this.next))
    this.records = this.records.filter((record) => record.offset >= this.earliest)
  }

  /** Index of the first record at or behind `offset`. */
  indexAt(offset: number): number {
    let low = 0
    let high = this.records.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.records[middle] as FeedRecord).offset < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}

class FakeFeed implements Feed {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly #log: FakeLog
  readonly #backend: FakeBackend
  readonly sink: FeedSink
  #next: number
  isPaused = false
  isClosed = false
  #isDue = false

  constructor(backend: FakeBackend, topic: string, partition: number, from: number, sink: FeedSink) {
    this.#backend = backend
    this.topic = topic
    this.partition = partition
    this.from = from
    this.#log = backend.log(topic, partition)
    this.#next = Math.max(from, this.#log.earliest)
    this.sink = sink
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.soon()
  }

  close(): void {
    this.isClosed = true
    this.#backend.feeds.delete(this)
  }

  fail(error: MQError): void {
    this.close()
    this.sink.failed(error)
  }

  soon(): void {
    if (this.#isDue) return
    this.#isDue = true
    this.#backend.clock.defer(() => this.#deliver())
  }

  #deliver(): void {
    this.#isDue = false
    if (this.isPaused || this.isClosed) return
    if (this.#next < this.#log.earliest) {
      return this.fail(new MQError('INVALID_OFFSET', 'deleted', { reason: 'OFFSET_OUT_OF_RANGE' }))
    }
    const from = this.#log.indexAt(this.#next)
    const batch = this.#log.records.slice(from, from + this.#backend.batchRecords())
    const last = batch[batch.length - 1]
    if (last === undefined) return
    this.#next = last.offset + 1
    this.#backend.delivered += batch.length
    this.sink.records(batch)
    this.soon()
  }
}

export class FakeBackend implements GatewayBackend {
  readonly clock: Clock
  readonly logs = new Map<string, FakeLog>()
  readonly partitions = new Map<string, number>()
  readonly feeds = new Set<FakeFeed>()
  /** Of `open`, in order. */
  readonly opened: { topic: string; partition: number; from: number }[] = []
  mostOpen = 0
  delivered = 0
  positionCalls = 0
  /** What calls reject with, until it is null again. */
  refuses: MQError | null = null
  batchRecords: () => number = () => 100

  constructor(clock: Clock) {
    this.clock = clock
  }

  topic(name: string, partitions: number): void {
    this.partitions.set(name, partitions)
    for (const feed of this.feeds) if (feed.topic === name) feed.soon()
  }

  log(topic: string, partition: number): FakeLog {
    const name = `${topic}/${partition}`
    let log = this.logs.get(name)
    if (log === undefined) {
      log = new FakeLog()
      this.logs.set(name, log)
    }
    return log
  }

  /** Values `<topic>/<partition>@<offset>`. */
  produce(topic: string, partition: number, count: number, key: (index: number) => string | null = () => null): void {
    const log = this.log(topic, partition)
    for (let index = 0; index < count; index++) log.append(key(index), `${topic}/${partition}@${log.next}`)
    this.wake(topic, partition)
  }

  wake(topic: string, partition: number): void {
    for (const feed of this.feeds) if (feed.topic === topic && feed.partition === partition) feed.soon()
  }

  async publish(): Promise<Published> {
    throw new Error('feeds do not publish')
  }

  async partitionsOf(topic: string): Promise<readonly number[]> {
    if (this.refuses !== null) throw this.refuses
    const count = this.partitions.get(topic)
    if (count === undefined) throw new MQError('TOPIC_NOT_FOUND', `no topic ${topic}`, { topic })
    return Array.from({ length: count }, (_, partition) => partition)
  }

  async positions(topic: string, partition: number): Promise<{ earliest: number; next: number }> {
    this.positionCalls++
    if (this.refuses !== null) throw this.refuses
    const { earliest, next } = this.log(topic, partition)
    return { earliest, next }
  }

  open(topic: string, partition: number, from: number, sink: FeedSink): Feed {
    const feed = new FakeFeed(this, topic, partition, from, sink)
    this.opened.push({ topic, partition, from })
    this.feeds.add(feed)
    this.mostOpen = Math.max(this.mostOpen, this.feeds.size)
    feed.soon()
    return feed
  }

  async close(): Promise<void> {}
}
