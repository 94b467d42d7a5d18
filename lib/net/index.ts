export type { Peer, TlsServerOptions } from './acceptor.js'
export { addressText, type DialOptions, dial, type Lookup } from './dial.js'
export { FrameSplitter } from './frame-splitter.js'
export { type Listener, type ListenOptions, listen } from './listen.js'
export { type LoadBalance, type LoopFacts, leastConnection, roundRobin } from './server/balance.js'
export type { NetMeasures, NetReadings } from './server/measures.js'
export type { ConnectionLimits, ResolvedServerOptions, ServerOptions } from './server/options.js'
export {
  type Adoption,
  Server,
  type ServerAddress,
  type ServerEvents,
  type ServerState,
  type StopOptions,
} from './server/server.js'
export type {
  Connection,
  ConnectionState,
  Handler,
  Packed,
  Protocol,
  Reply,
  SendOptions,
  ServerFacts,
  Unpacked,
} from './server/types.js'
export { type PemSetting, type TlsIdentity, type TlsOptions, tlsOptionsOf } from './tls-options.js'
export { SIZE_BYTES, type Transport, WRITE_BUFFER_BYTES } from './transport.js'
