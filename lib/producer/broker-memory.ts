/**
 * What a leader can tell about a batch long after it took it: its memory of the producer id (DescribeProducers), and
 * the headers of the log itself.
 * Why one file: a live lane (resolver.ts) and the resolution after a crash (log/resolution) ask the same questions.
 * Invariant: nothing here decides; an answer is what the broker said, `null` means that nobody answered usably.
 * Source: KIP-664, kafka.md 3.6.
 */
import type { Cluster } from '../cluster/index.js'
import { findMQError } from '../errors/index.js'
import {
  type BatchHeader,
  DescribeProducers,
  Fetch,
  kafkaError,
  ListOffsets,
  readBatchHeader,
  ZERO_UUID,
} from '../protocol/index.js'

/** A topic-partition and who is asked about it. */
export interface AskedPlace {
  readonly topic: string
  /** `ZERO_UUID`: not known. */
  readonly topicId: string
  readonly partition: number
  /** Negative: nobody leads now. */
  readonly leaderId: number
}

/** The leader's memory of our producer id on one partition. */
export type BrokerState =
  | { readonly kind: 'known'; readonly epoch: number; readonly lastSequence: number }
  | { readonly kind: 'absent' }
  /** It does not tell. The log itself can still be read where only the api is missing (Kafka before 2.8). */
  | { readonly kind: 'silent'; readonly isLogReadable: boolean }

export interface HeaderPage {
  /** The offset asked for is not in the log. */
  readonly isOutOfRange: boolean
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly headers: readonly BatchHeader[]
}

const LEADER_NOT_AVAILABLE = 5
const OFFSET_OUT_OF_RANGE = 1
const AUTHORIZATION_FAILED = 29
const SCAN_BYTES = 1024 * 1024
const EARLIEST = -2
const LATEST = -1

export class BrokerMemory {
  readonly #cluster: Pick<Cluster, 'request' | 'refresh'>

  constructor(cluster: Pick<Cluster, 'request' | 'refresh'>) {
    this.#cluster = cluster
  }

  /** One question; after `null` the metadata is fresh. */
  async stateOf(place: AskedPlace, producerId: bigint): Promise<BrokerState | null> {
    if (place.leaderId < 0) {
      await this.#refreshFor(LEADER_NOT_AVAILABLE)
      return null
    }
    try {
      const answer = await this.#cluster.request(
        DescribeProducers,
        { topics: [{ name: place.topic, partitionIndexes: [place.partition] }] },
        { brokerId: place.leaderId },
      )
      const partition = answer.topics[0]?.partitions[0]
      if (partition === undefined) return null
      if (partition.errorCode === AUTHORIZATION_FAILED) return { kind: 'silent', isLogReadable: false }
      if (partition.errorCode !== 0) {
        await this.#refreshFor(partition.errorCode)
        return null
      }
      const own = partition.activeProducers.find((one) => one.producerId === producerId)
      return own === undefined
        ? { kind: 'absent' }
        : { kind: 'known', epoch: own.producerEpoch, lastSequence: own.lastSequence }
    } catch (error) {
      const known = findMQError(error)
      if (known?.context.reason === 'UNSUPPORTED_VERSION') return { kind: 'silent', isLogReadable: true }
      await this.#refreshFor(-1)
      return null
    }
  }

  /** Headers from the batch that holds `offset` on, up to the high watermark; 'refused': READ is not permitted. */
  async headersFrom(place: AskedPlace, offset: number, maxBytes = SCAN_BYTES): Promise<HeaderPage | 'refused' | null> {
    try {
      const answer = await this.#cluster.request(
        Fetch,
        {
          maxWaitMs: 0,
          minBytes: 0,
          maxBytes,
          isolationLevel: 0,
          sessionId: 0,
          sessionEpoch: -1,
          topics: [
            {
              topic: place.topic,
              topicId: place.topicId,
              partitions: [
                {
                  partition: place.partition,
                  currentLeaderEpoch: -1,
                  fetchOffset: offset,
                  logStartOffset: -1,
                  partitionMaxBytes: maxBytes,
                },
              ],
            },
          ],
        },
        { brokerId: place.leaderId, maxVersion: place.topicId === ZERO_UUID ? 12 : undefined },
      )
      const partition = answer.responses[0]?.partitions[0]
      if (partition === undefined) return null
      const isOutOfRange = partition.errorCode === OFFSET_OUT_OF_RANGE
      if (partition.errorCode !== 0 && !isOutOfRange) {
        await this.#refreshFor(partition.errorCode)
        return partition.errorCode === AUTHORIZATION_FAILED ? 'refused' : null
      }
      const logStartOffset = isOutOfRange ? await this.offsetByTime(place, EARLIEST) : partition.logStartOffset
      if (logStartOffset < 0) return null
      const { highWatermark, records } = partition
      return { isOutOfRange, logStartOffset, highWatermark, headers: headersIn(records) }
    } catch {
      await this.#refreshFor(-1)
      return null
    }
  }

  /** First offset at or after a time; the log's end when nothing is; -1 when nobody answered. */
  async offsetByTime(place: AskedPlace, timestamp: number): Promise<number> {
    const found = await this.#listOffset(place, timestamp)
    return found === null ? -1 : found >= 0 ? found : ((await this.#listOffset(place, LATEST)) ?? -1)
  }

  /**
   * True: the leader itself says that this is its epoch. Epochs only grow, so it was one and the same since the moment
   * at which somebody else told us that number. False also when it was not answered.
   */
  async stillLeads(place: AskedPlace, leaderEpoch: number): Promise<boolean> {
    return leaderEpoch >= 0 && (await this.#listOffset(place, LATEST, leaderEpoch)) !== null
  }

  async #listOffset(place: AskedPlace, timestamp: number, currentLeaderEpoch = -1): Promise<number | null> {
    try {
      const answer = await this.#cluster.request(
        ListOffsets,
        {
          replicaId: -1,
          isolationLevel: 0,
          topics: [
            { name: place.topic, partitions: [{ partitionIndex: place.partition, currentLeaderEpoch, timestamp }] },
          ],
        },
        { brokerId: place.leaderId },
      )
      const partition = answer.topics[0]?.partitions[0]
      return partition === undefined || partition.errorCode !== 0 ? null : partition.offset
    } catch {
      return null
    }
  }

  async #refreshFor(errorCode: number): Promise<void> {
    await this.#cluster.refresh(`resolving a batch: ${kafkaError(errorCode).name}`).catch(() => {})
  }
}

function headersIn(records: Uint8Array | null): BatchHeader[] {
  const headers: BatchHeader[] = []
  if (records === null) return headers
  for (let at = 0; at < records.length; ) {
    const header = readBatchHeader(records, at)
    if (header === 'partial') break
    headers.push(header)
    at += header.sizeInBytes
  }
  return headers
}
