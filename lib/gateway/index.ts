/** The door of the gateway: browsers and TCP clients publish to and subscribe from topics. */

export type { BackendStats, GatewayStats, StatsFrame } from './browser/stats-shape.js'
export { FeedBlock } from './frames/block.js'
export { decodeFrame, formatOf } from './frames/decode.js'
export { frameBytes, wireOf } from './frames/wire.js'
export type * from './types.js'
