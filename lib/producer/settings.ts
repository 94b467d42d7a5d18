/**
 * The producer's configuration in the form its inside wants: nothing optional, codecs looked up, limits derived.
 */
import { type ChannelSettings, channelSettings } from '../channel/index.js'
import { createCompressionCodec } from '../codec/index.js'
import type { ResolvedProducerConfig } from '../config/index.js'
import { AdaptiveSize } from '../util/index.js'
import type { CompressionPlan } from './finish-batch.js'

export interface ProducerSettings {
  readonly acks: -1 | 0 | 1
  readonly isIdempotent: boolean
  readonly maxInFlight: number // batches per lane
  readonly lingerMs: number
  readonly batchBytes: number
  readonly maxBatchBytes: number
  readonly requestTimeoutMs: number
  readonly deliveryTimeoutMs: number
  readonly maxRetries: number // Infinity when unset
  readonly retryBackoffMs: number
  readonly retryBackoffMaxMs: number
  readonly maxBlockMs: number
  readonly unknownTopicRetries: number | undefined
  /** When the active buffer of a lane may leave. */
  readonly channel: ChannelSettings
}

export function settingsOf(config: ResolvedProducerConfig): ProducerSettings {
  return {
    acks: config.acks,
    isIdempotent: config.idempotence,
    maxInFlight: config.maxInFlight,
    lingerMs: config.lingerMs,
    batchBytes: config.batchBytes,
    maxBatchBytes: config.maxBatchBytes,
    requestTimeoutMs: config.requestTimeoutMs,
    deliveryTimeoutMs: config.deliveryTimeoutMs,
    maxRetries: config.maxRetries ?? Number.POSITIVE_INFINITY,
    retryBackoffMs: config.retryBackoffMs,
    retryBackoffMaxMs: config.retryBackoffMaxMs,
    maxBlockMs: config.maxBlockMs,
    unknownTopicRetries: config.unknownTopicRetries,
    channel: channelSettings({
      switchStrategy: config.switchStrategy,
      timeWeight: config.timeWeight,
      sizeWeight: config.sizeWeight,
      threshold: config.threshold,
      fillPercent: config.fillPercent,
      windowMs: config.lingerMs,
      maxBytes: config.batchBytes,
      maxRecords: config.batchMaxRecords,
    }),
  }
}

/** Where the adaptive batch size begins and how far it may go; null when it is off. */
export function batchSizeOf(config: ResolvedProducerConfig): AdaptiveSize | null {
  const { enabled, minBytes, maxBytes, targetLatencyMs } = config.adaptiveBatch
  if (!enabled) return null
  const max = Math.min(maxBytes, config.maxBatchBytes)
  return new AdaptiveSize({ min: Math.min(minBytes, max), max, start: config.batchBytes, targetLatencyMs })
}

/** The same with another batch size: adapted, never above what a batch may have. */
export function withBatchBytes(settings: ProducerSettings, bytes: number): ProducerSettings {
  const batchBytes = Math.min(bytes, settings.maxBatchBytes)
  return { ...settings, batchBytes, channel: channelSettings({ maxBytes: batchBytes }, settings.channel) }
}

/** What applies to the batches of one topic: its override, else the producer's codec. */
export function compressionOf(config: ResolvedProducerConfig, topic: string): CompressionPlan {
  const override = config.topics[topic]
  const name = override?.compression ?? config.compression
  const { optimizeForSmallMessages, smallMessageThresholdBytes } = config.performance
  return {
    codec: name === 'none' ? null : createCompressionCodec(name),
    level: override?.compressionLevel ?? (override?.compression === undefined ? config.compressionLevel : undefined),
    optimizeForSmallMessages,
    smallMessageThresholdBytes,
  }
}
