/** The words of WebSockets: what is asked, what is agreed, what a message is, what is known of a connection. */
import type { Connection } from '../server/types.js'
import type { HeaderFields } from './http-head.js'

/** A request for an upgrade, before it is accepted. */
export interface UpgradeRequest {
  /** Path and query, as sent. */
  readonly target: string
  readonly headers: HeaderFields
  /** What the client offers, in its order of preference. */
  readonly subprotocols: readonly string[]
  /** Undefined: not a browser, or one that hides it. */
  readonly origin: string | undefined
}

/** What was agreed. */
export interface Upgraded {
  readonly request: UpgradeRequest
  readonly subprotocol: string | undefined
}

/** What a message is; its data are bytes either way, those of text are UTF-8. */
export interface WebSocketContext {
  readonly opcode: 'text' | 'binary'
}

/** What can be sent: a string is text, bytes are binary; the rest says what it is. */
export type WebSocketOut =
  | string
  | Uint8Array
  | { readonly opcode: 'text' | 'binary'; readonly data: string | Uint8Array }
  /** At most 125 bytes; the pong is not shown. */
  | { readonly opcode: 'ping'; readonly data?: Uint8Array }
  /** Begins the closing handshake. Code 1000 (default) or 3000..4999, reason of at most 123 bytes of UTF-8. */
  | { readonly opcode: 'close'; readonly code?: number; readonly reason?: string }

export type WebSocketConnection = Connection<WebSocketContext, Buffer, WebSocketOut>

/** Facts of a connection for handlers, by `webSocketOf(c)`. */
export interface WebSocketFacts {
  /** Undefined until the upgrade is done, and behind node:http unless `webSocketFrames` was given `upgraded`. */
  readonly request: UpgradeRequest | undefined
  readonly subprotocol: string | undefined
  /** Of the peer's close frame: 1005 when it had none in it, 1006 while none came. Section 7.1.5. */
  readonly closeCode: number
  readonly closeReason: string
  /** Pongs that came. A ping that is answered by none within your limit shows a peer that is gone. */
  readonly pongs: number
}
