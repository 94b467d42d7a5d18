/** The door of queue: the batch queue, and how its items become bytes. */
export { BatchQueue } from './batch-queue.js'
export { bytesCodec, type ItemCodec, jsonCodec } from './codec.js'
export { recommendedMemoryItems } from './sizing.js'
export type {
  BatchFacts,
  DropReason,
  QueueDeps,
  QueueEvents,
  QueueGuarantee,
  QueueMetrics,
  QueueOptions,
  QueueReport,
  QueueState,
  SendContext,
  SendFunc,
} from './types.js'
