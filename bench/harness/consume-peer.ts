/**
 * What the consume benchmark asks of a client, and the tally that judges what the client brought.
 * Why one tally for all: each client pays for the same few checks per record, and none of them judges itself.
 * Invariant: a topic holds offsets 0, 1, 2 .. in each partition, so "the offset I expect next" proves order, no gap and
 * no repetition at once; together with the count nothing can be missing at the end.
 */
import { crc32c } from '../../lib/util/index.js'
import type { Compression } from './peer.js'

/** How a record is used: `touched` reads the value, `untouched` only the offset, `content` proves every byte. */
export type Use = 'touched' | 'untouched' | 'content'

export interface ConsumeJob {
  readonly client: string
  readonly brokers: readonly string[]
  readonly topic: string
  readonly group: string
  readonly records: number
  readonly valueBytes: number
  readonly partitions: number
  /** Read first, with every byte checked; also what warms the client up. */
  readonly warmupTopic: string
  readonly warmupGroup: string
  readonly warmupRecords: number
  readonly compression: Compression
  readonly use: 'touched' | 'untouched'
  /** Of ours: `metrics.enabled`. */
  readonly isMeasured: boolean
  /** Whether ours reads as a member of a group or by assignment; the other clients only know groups. */
  readonly way: 'group' | 'assign'
}

export interface ConsumeMeasurement {
  readonly version: string
  readonly settings: ConsumerPeer['settings']
  /** From the moment the client may read (its assignment is known) to the last record. */
  readonly seconds: number
  /** From the first record to the last: leaves out the first fetch, which brings a slow client much of a short topic. */
  readonly secondsFromFirst: number
  /** User and system, from before the client connects until the last record. */
  readonly cpuSeconds: number
  /** The same until the client is closed. */
  readonly wholeCpuSeconds: number
  /** Of the client's process, loader and warm-up included. */
  readonly peakRssBytes: number
  /** Before the client and its package were there: Node, the loader and the payloads. */
  readonly idleRssBytes: number
}

export interface ConsumerPeer {
  readonly version: string
  /** The settings that matter, as they are in effect; printed with the result. */
  readonly settings: Readonly<Record<string, string | number | boolean>>
  /** Reads the topic from its beginning and gives each record to the tally, until the client is closed. */
  read(topic: string, group: string, tally: Tally, use: Use): Promise<void>
  close(): Promise<void>
}

export type ConsumerPeerFactory = (job: ConsumeJob) => Promise<ConsumerPeer>

export class Tally {
  readonly #expected: number
  readonly #next: Float64Array // per partition, the offset that must come
  #count = 0
  #valueBytes = 0
  #checksum = 0
  #outOfOrder = 0
  #beginNs = 0n
  #firstNs = 0n
  #lastNs = 0n
  #lastCpu: NodeJS.CpuUsage | null = null
  #resolve: () => void = () => {}
  /** Resolves with the last expected record. */
  readonly complete: Promise<void>

  constructor(expected: number, partitions: number) {
    this.#expected = expected
    this.#next = new Float64Array(partitions)
    this.complete = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  get seconds(): number {
    return Number(this.#lastNs - this.#beginNs) / 1e9
  }

  get secondsFromFirst(): number {
    return Number(this.#lastNs - this.#firstNs) / 1e9
  }

  get count(): number {
    return this.#count
  }

  /** The client may fetch from now on. Called by the peer; the first call counts. */
  begin(): void {
    if (this.#beginNs === 0n) this.#beginNs = process.hrtime.bigint()
  }

  /** CPU seconds from `since` to the last record. */
  cpuSecondsSince(since: NodeJS.CpuUsage): number {
    const last = this.#lastCpu ?? process.cpuUsage()
    return (last.user + last.system - since.user - since.system) / 1e6
  }

  add(partition: number, offset: number, valueBytes: number): void {
    if (this.#count === 0) this.#firstNs = process.hrtime.bigint()
    if (offset !== this.#next[partition]) this.#outOfOrder++
    this.#next[partition] = offset + 1
    this.#valueBytes += valueBytes
    if (++this.#count === this.#expected) this.#finish()
  }

  /** As `add`, with a checksum over the content that does not depend on the order between partitions. */
  addContent(partition: number, offset: number, value: Uint8Array | null): void {
    if (value !== null) this.#checksum += crc32c(value)
    this.add(partition, offset, value?.length ?? 0)
  }

  /** Why the run does not count, or null. */
  verdict(use: Use, values: readonly Uint8Array[]): string | null {
    const records = this.#expected
    if (this.#beginNs === 0n) return 'its peer forgot to say when it may read'
    if (this.#count !== records) return `expected ${records} records, got ${this.#count}`
    if (this.#outOfOrder > 0) return `${this.#outOfOrder} records came out of order, twice or behind a gap`
    const bytes = sumOf(values, records, (value) => value.length)
    if (use !== 'untouched' && this.#valueBytes !== bytes) return `expected ${bytes} B, got ${this.#valueBytes}`
    const checksum = use === 'content' ? sumOf(values, records, crc32c) : this.#checksum
    return checksum === this.#checksum ? null : 'the bytes of the values are not those that were produced'
  }

  #finish(): void {
    this.#lastNs = process.hrtime.bigint()
    this.#lastCpu = process.cpuUsage()
    this.#resolve()
  }
}

/** Over what the producer sent: the values in turn, `records` of them. Exact below 2^53. */
function sumOf(values: readonly Uint8Array[], records: number, of: (value: Uint8Array) => number): number {
  const rounds = Math.floor(records / values.length)
  const rest = records % values.length
  return values.reduce((sum, value, index) => sum + of(value) * (rounds + (index < rest ? 1 : 0)), 0)
}
