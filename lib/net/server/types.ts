/**
 * The words of the reactor: who handles connections, and how bytes become messages. NT-1, NT-4, NT-6.
 * Why interfaces: protocols know no sockets, the server knows no frames, tests hand either of them the other.
 */
import type { RingBuffer } from './ring-buffer.js'

/** Bytes to write: one piece, or several that are written together. */
export type Packed = Uint8Array | readonly Uint8Array[]

/** One complete message that a protocol cut off. Empty data is legal: a frame exists, whatever is in it. */
export interface Unpacked<Ctx, In> {
  /** What the header said: type, flags; undefined when a protocol has none. */
  readonly ctx: Ctx
  readonly data: In
}

/**
 * How a stream of bytes is cut into messages, and messages become bytes. One object serves all connections of a server;
 * what it must remember of one it keeps in `c.protocolState`.
 */
export interface Protocol<Ctx = undefined, In = Buffer, Out = Uint8Array | string> {
  /**
   * Takes exactly one message off the front of `ring`, or gives undefined when more bytes are needed: it is called again
   * when they came. `data` may be a view into the ring, valid until the handler has returned; a protocol that copies says so.
   * Throws an MQError for bytes that can never become a message: the connection is closed with it.
   */
  unpack(c: Connection<Ctx, In, Out>, ring: RingBuffer): Unpacked<Ctx, In> | undefined
  /** The bytes of one message. What it throws goes to whoever sent. */
  pack(c: Connection<Ctx, In, Out>, data: Out): Packed
  /** A connection begins: sets `c.protocolState`, may write a greeting. */
  opened?(c: Connection<Ctx, In, Out>): void
  /** Bytes that end a connection politely (a close frame), sent before it is closed with this error; null = by us, without one. */
  farewell?(c: Connection<Ctx, In, Out>, error: Error | null): Packed | undefined
  /** The connection is gone: ends its timers. Once, before `onClose`. */
  closed?(c: Connection<Ctx, In, Out>): void
}

export interface SendOptions {
  /** Once: null when the operating system took every byte, an MQError CONNECTION_CLOSED when the connection ended before. */
  readonly onSent?: (error: Error | null) => void
}

export type ConnectionState = 'open' | 'closing' | 'closed'

/** One connection, as handlers and protocols see it. NT-6. */
export interface Connection<Ctx = undefined, In = Buffer, Out = Uint8Array | string> {
  /** Counts up from 1 in one server. */
  readonly id: number
  /** Peer as host:port. */
  readonly peerAddr: string
  readonly state: ConnectionState
  /** `state === 'open'`. */
  readonly connected: boolean
  /** Bytes that came and are no complete message yet. */
  readonly userBuffer: RingBuffer
  readonly readBufferLength: number
  /** Bytes sent that the operating system has not taken: always the present number. */
  readonly writeBufferLength: number
  /** Free for the user. */
  context: unknown
  /** Belongs to the protocol. */
  protocolState: unknown
  get(key: string): unknown
  set(key: string, value: unknown): void
  delete(key: string): boolean
  /**
   * Queues one message. False: the write buffer is above `writeBufferBytes`, wait for `onDrain`; the message is queued all the
   * same. Throws CONNECTION_CLOSED (and tells `onSent`) when the connection is not open.
   */
  send(data: Out, options?: SendOptions): boolean
  /** As `send` with bytes that are packed already. */
  sendPacked(bytes: Packed, options?: SendOptions): boolean
  /** Ends our side after what is queued; what the peer still sends is read. */
  shutdownWrite(): void
  /** Stops and resumes reading: the peer meets a full window, nothing is lost. */
  pause(): void
  resume(): void
  /** Sends what is queued (at most `closeTimeoutMs`), then ends. Idempotent. `onClose` follows exactly once. */
  close(error?: Error): void
  /** Ends at once; what is queued is lost. */
  destroy(error?: Error): void
  readonly protocol: Protocol<Ctx, In, Out>
  readonly server: ServerFacts
}

/** What a connection may know of its server. */
export interface ServerFacts {
  readonly connections: number
  /** Longest message that the server takes: a protocol without a limit of its own compares lengths with it. Bytes. */
  readonly maxFrameBytes: number
}

/** What a handler answers: a message, or nothing. */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler without a return statement answers nothing
export type Reply<Out> = Out | undefined | void

/** Who handles connections. What it throws closes that connection only, and raises `error` on the server (trap 25). NT-1. */
export interface Handler<Ctx = undefined, In = Buffer, Out = Uint8Array | string> {
  onConnect?(c: Connection<Ctx, In, Out>): void
  /**
   * One complete message. What it returns (or what its promise gives) is packed and sent; undefined = nothing.
   * Promises are awaited in order per connection, reading goes on meanwhile as far as `maxPendingMessages` allows.
   */
  onMessage(c: Connection<Ctx, In, Out>, ctx: Ctx, data: In): Reply<Out> | Promise<Reply<Out>>
  /** Exactly once per connection that `onConnect` was told of, also on `stop()`. */
  onClose?(c: Connection<Ctx, In, Out>, error: Error | null): void
  /** `send` gave false before, and everything was taken since. */
  onDrain?(c: Connection<Ctx, In, Out>): void
}
