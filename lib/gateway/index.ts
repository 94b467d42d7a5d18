/** The door of the gateway: browsers and TCP clients publish to and subscribe from topics. */

export type { BackendStats, GatewayStats, StatsFrame } from './browser/stats-shape.js'
export { FeedBlock } from './frames/block.js'
export { decodeFrame, formatOf } from './frames/decode.js'
export { frameBytes, wireOf } from './frames/wire.js'
export { Gateway, type GatewayAddresses, type GatewayDeps, type GatewayEvents, type GatewayState } from './gateway.js'
export type { ClientFacts } from './host.js'
export type { GatewayMeasures, GatewayReadings } from './measures.js'
export type { Authenticate, GatewayOptions, ResolvedGatewayOptions } from './options.js'
export type {
  ClientFrame,
  Credentials,
  Feed,
  FeedRecord,
  FeedSink,
  Format,
  FrameId,
  GatewayBackend,
  HeaderList,
  Identity,
  Published,
  PublishOptions,
  ServerFrame,
  StartAt,
  Transport,
} from './types.js'
