/** The door of channel: the double buffer, when it switches, and the memory below it. */
export { Arena } from './arena.js'
export { ArenaPool, type ArenaPoolOptions, type ArenaPoolStats, smallArenaPool } from './arena-pool.js'
export { BufferQueue } from './buffer-queue.js'
export { BufferedChannel } from './buffered-channel.js'
export type {
  BufferedChannelEvents,
  BufferedChannelOptions,
  ChannelCounters,
  ChannelMetrics,
} from './buffered-types.js'
export { ByteChannel, type ByteChannelOptions, type Chunk } from './byte-channel.js'
export type { OnFull } from './channel-errors.js'
export {
  type ChannelBuffer,
  type ChannelOwner,
  type ChannelState,
  type ChannelStats,
  type CloseOptions,
  type CloseResult,
  CountingSequencer,
  type DoubleBufferOptions,
  type Sequencer,
} from './channel-types.js'
export { DoubleBufferChannel } from './double-buffer-channel.js'
export {
  type EvictMetrics,
  type EvictPolicy,
  type EvictStats,
  type WaterMarkOptions,
  WaterMarkPolicy,
} from './evict-policy.js'
export { ItemBuffer, ItemChannel, type ItemChannelOptions, type SpillCodec } from './item-channel.js'
export { type ChannelMeasures, SWITCH_SECONDS } from './measures.js'
export { type BudgetLimits, MemoryBudget } from './memory-budget.js'
export { SealedHeap, type Sequenced } from './sealed-heap.js'
export { type ChannelSettings, type ChannelTuning, type ChannelUpdate, channelSettings } from './settings.js'
export type { SpillLog } from './spill/spill-log.js'
export type {
  ReadableOptions,
  ReadableStreamOptions,
  WritableOptions,
  WritableStreamOptions,
} from './streams/stream-port.js'
export {
  makeStrategy,
  type StrategyConfig,
  type SwitchStats,
  type SwitchStrategy,
  type SwitchStrategyChoice,
} from './switch-strategy.js'
export { type Waiter, WaiterQueue, type WaitOptions } from './waiters.js'
