export { addressText, type DialOptions, dial, type Lookup, type TlsOptions } from './dial.js'
export { FrameSplitter } from './frame-splitter.js'
export { type Listener, type ListenOptions, listen, type Peer, type TlsServerOptions } from './listen.js'
export { SIZE_BYTES, type Transport, WRITE_BUFFER_BYTES } from './transport.js'
