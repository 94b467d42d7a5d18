/**
 * The lanes of one topic, by partition number: an array index instead of a composed string key.
 * While the topic's metadata is still unknown its records wait here, as they came; other topics are not held up (PR-24).
 */
import type { TopicMetadata } from '../cluster/index.js'
import type { RandomSource } from '../util/index.js'
import type { SettleToken } from './batch.js'
import type { EarlyRecords } from './early-records.js'
import type { CompressionPlan } from './finish-batch.js'
import { Lane, type LaneHost } from './lane.js'
import { type PartitionLoad, StickyPartition } from './partitioner.js'

export class TopicLanes implements PartitionLoad {
  readonly name: string
  readonly sticky: StickyPartition
  readonly #host: LaneHost
  #compression: CompressionPlan
  /** Index = partition; empty until the metadata came. */
  lanes: Lane[] = []
  partitionCount = 0
  topicId = ''
  /** True once partitions are known: the hot path's only question. */
  isReady = false
  /** Records that came before the metadata, and who waits for them. */
  early: EarlyRecords | null = null
  earlyTokens: SettleToken[] = []
  roundRobin = 0

  constructor(name: string, compression: CompressionPlan, host: LaneHost, random: RandomSource) {
    this.name = name
    this.#compression = compression
    this.#host = host
    this.sticky = new StickyPartition(this, random)
  }

  /** For batches that get their wire form from now on; what the lanes have learnt about their data is forgotten. */
  useCompression(plan: CompressionPlan): void {
    this.#compression = plan
    for (const lane of this.lanes) {
      lane.compression = plan
      lane.compressionHistory.skip = 0
    }
  }

  queuedBatches(partition: number): number {
    return this.lanes[partition]?.queuedBatches ?? 0
  }

  isAvailable(partition: number): boolean {
    return this.lanes[partition]?.isAvailable ?? false
  }

  /** Takes over the partitions the cluster has now; new ones are used for new records (P-18). */
  grow(metadata: TopicMetadata): void {
    for (let partition = this.lanes.length; partition < metadata.partitions.length; partition++) {
      this.lanes.push(new Lane(this.name, metadata.topicId, partition, this.#compression, this.#host))
    }
    this.partitionCount = metadata.partitions.length
    this.topicId = metadata.topicId
    this.isReady = this.partitionCount > 0
  }
}
