/** The door of `producer`: records out. */
export type { RecordMetadata, SendCallback } from './batch.js'
export type { BatchResult, BatchToSend, MessageToSend } from './batch-send.js'
export type { CircuitEvent } from './circuits.js'
export type { ProducerMetrics } from './counters.js'
export type { DataLoss } from './data-loss.js'
export type { DurableReceipt } from './log/durable-send.js'
export type { Guarantee, GuaranteeReason } from './log/guarantee.js'
export type { OpenWal, ProducerWalMeasures, WalRecovery } from './log/log-life.js'
export type { EdgeAction, EdgeCase, EdgeStatus, HeldStream, WalEdge } from './log/resolution/types.js'
export { BATCH_BYTES, BATCH_RECORDS, type CircuitLevel, COMPRESSION_RATIO, type ProducerMeasures } from './measures.js'
export { murmur2 } from './murmur2.js'
export {
  type CloseReport,
  Producer,
  type ProducerDeps,
  type ProducerEvents,
  type ProducerState,
  type SendOptions,
  type SendSyncOptions,
  type WritesKeys,
  type WritesValues,
} from './producer.js'
