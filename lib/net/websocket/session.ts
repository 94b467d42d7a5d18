/**
 * What one WebSocket connection remembers: its decoder, its place in the closing handshake, the pongs it owes.
 * Invariant: at most `MAX_PONGS` pongs wait for the operating system; of the pings beyond them only the last is answered
 * (RFC 6455 section 5.5.3 allows it), so a flood of pings fills no memory. After a close frame was sent nothing is.
 */
import { MQError } from '../../errors/index.js'
import type { TimerHandle } from '../../util/index.js'
import type { Connection, SendOptions } from '../server/types.js'
import { FrameDecoder } from './frame-decoder.js'
import { encodeFrame } from './frame-encoder.js'
import type { UpgradeRequest } from './handshake.js'
import { CLOSE_CODES, PONG } from './opcodes.js'
import type { FrameSettings } from './options.js'

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

/** Pongs that wait to be sent: 128 of at most 127 bytes are 16 KiB. */
export const MAX_PONGS = 128

/** Facts of a connection for handlers, by `webSocketOf(c)`. */
export interface WebSocketFacts {
  /** Undefined until the upgrade is done, or when node:http did it. */
  readonly request: UpgradeRequest | undefined
  readonly subprotocol: string | undefined
  /** Of the peer's close frame: 1005 when it had none in it, 1006 while none came. Section 7.1.5. */
  readonly closeCode: number
  readonly closeReason: string
}

export class WebSocketSession implements WebSocketFacts {
  request: UpgradeRequest | undefined = undefined
  subprotocol: string | undefined = undefined
  closeCode: number = CLOSE_CODES.abnormal
  closeReason = ''
  readonly decoder: FrameDecoder
  /** Frames may be sent: the upgrade is done, and our close frame has not been sent. */
  isOpen = false
  isCloseSent = false
  /** The peer's close frame came: what it sends from here on is not read. */
  isCloseReceived = false
  /** Bytes of the request that have been looked through for its end. */
  scannedBytes = 0
  readonly #c: WebSocketConnection
  readonly #pongOptions: SendOptions = { onSent: () => this.#pongSent() }
  #timer: TimerHandle | null = null
  #pongs = 0
  #owedPong: Buffer | null = null

  constructor(c: WebSocketConnection, settings: FrameSettings) {
    this.#c = c
    this.decoder = new FrameDecoder('client', settings.maxPayloadBytes)
  }

  /** One limit runs at a time: that of the request, later that of the closing handshake. */
  startTimer(timer: TimerHandle): void {
    this.#timer?.cancel()
    this.#timer = timer
  }

  stopTimer(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  /** Answers a ping, at once or when the pongs before it have been taken. `payload` is copied. */
  pong(payload: Buffer): void {
    if (!this.isOpen || this.#c.state !== 'open') return
    if (this.#pongs < MAX_PONGS) this.#send(payload)
    else this.#owedPong = Buffer.from(payload)
  }

  /** Our close frame is on its way. */
  closeSent(): void {
    this.isCloseSent = true
    this.isOpen = false
    this.#owedPong = null
  }

  #send(payload: Buffer): void {
    this.#pongs++
    this.#c.sendPacked(encodeFrame(PONG, payload), this.#pongOptions)
  }

  #pongSent(): void {
    this.#pongs--
    const owed = this.#owedPong
    if (owed === null || this.#c.state !== 'open') return
    this.#owedPong = null
    this.#send(owed)
  }
}

/** The session of a connection whose protocol is one of ours. Throws INVALID_CONFIG on another. */
export function sessionOf(c: WebSocketConnection): WebSocketSession {
  if (c.protocolState instanceof WebSocketSession) return c.protocolState
  throw new MQError('INVALID_CONFIG', 'this connection does not speak WebSocket: give its server webSocketProtocol()')
}
