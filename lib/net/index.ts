export type { Peer, TlsServerOptions } from './acceptor.js'
export { addressText, type DialOptions, dial, type Lookup } from './dial.js'
export { FrameSplitter } from './frame-splitter.js'
export { type Listener, type ListenOptions, listen } from './listen.js'
export { type LoadBalance, type LoopFacts, leastConnection, roundRobin } from './server/balance.js'
export type { NetMeasures, NetReadings } from './server/measures.js'
export type { ConnectionLimits, ResolvedServerOptions, ServerOptions } from './server/options.js'
export { type KafkaFramingOptions, kafkaProtocol } from './server/protocols/kafka.js'
export { type LengthPrefixedOptions, lengthPrefixedProtocol } from './server/protocols/length-prefixed.js'
export { type LineOptions, lineProtocol } from './server/protocols/line.js'
export {
  type MessageCodec,
  type ProtobufCodecOptions,
  type ProtobufOptions,
  protobufProtocol,
  type TypedMessage,
} from './server/protocols/protobuf.js'
export { rawProtocol } from './server/protocols/raw.js'
export { RingBuffer } from './server/ring-buffer.js'
export {
  type Adoption,
  Server,
  type ServerAddress,
  type ServerEvents,
  type ServerState,
  type StopOptions,
} from './server/server.js'
export { StoragePool } from './server/storage-pool.js'
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
export { TimingWheel, type TimingWheelOptions } from './timing-wheel.js'
export { type PemSetting, type TlsIdentity, type TlsOptions, tlsOptionsOf } from './tls-options.js'
export { SIZE_BYTES, type Transport, WRITE_BUFFER_BYTES } from './transport.js'
export { HeaderFields } from './websocket/http-head.js'
export type { HandshakeOptions, WebSocketFramesOptions, WebSocketOptions } from './websocket/options.js'
export type { Refusal } from './websocket/refusal.js'
export type {
  Upgraded,
  UpgradeRequest,
  WebSocketConnection,
  WebSocketContext,
  WebSocketFacts,
  WebSocketOut,
} from './websocket/types.js'
export { upgrade } from './websocket/upgrade.js'
export {
  type WebSocketProtocol,
  webSocketFrames,
  webSocketOf,
  webSocketProtocol,
} from './websocket/websocket-protocol.js'
export type { IdleHandle, WheelHandle } from './wheel/timer.js'
