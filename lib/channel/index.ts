/** The door of channel: the double buffer, when it switches, and the memory below it. */
export { Arena } from './arena.js'
export { ArenaPool, type ArenaPoolOptions, type ArenaPoolStats, smallArenaPool } from './arena-pool.js'
export {
  type ChannelBuffer,
  type ChannelOwner,
  type ChannelState,
  type ChannelStats,
  type CloseOptions,
  type CloseResult,
  CountingSequencer,
  DoubleBufferChannel,
  type DoubleBufferOptions,
  type Sequencer,
} from './double-buffer-channel.js'
export { type BudgetLimits, MemoryBudget } from './memory-budget.js'
export { SealedHeap, type Sequenced } from './sealed-heap.js'
export { type ChannelSettings, type ChannelTuning, type ChannelUpdate, channelSettings } from './settings.js'
export {
  makeStrategy,
  type StrategyConfig,
  type SwitchStats,
  type SwitchStrategy,
  type SwitchStrategyChoice,
} from './switch-strategy.js'
export { type Waiter, WaiterQueue, type WaitOptions } from './waiters.js'
