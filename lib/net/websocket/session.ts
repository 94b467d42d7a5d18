/**
 * What one WebSocket connection remembers: its decoder, its place in the closing handshake, the pongs it owes.
 * Invariant: at most `MAX_PONGS` pongs wait for the operating system; of the pings beyond them only the last is answered
 * (RFC 6455 section 5.5.3 allows it), so a flood of pings fills no memory. After a close frame was sent nothing is.
 */
import { MQError } from '../../errors/index.js'
import type { TimerHandle } from '../../util/index.js'
import type { SendOptions } from '../server/types.js'
import { FrameDecoder } from './frame-decoder.js'
import { encodeControl } from './frame-encoder.js'
import { CLOSE_CODES, PONG } from './opcodes.js'
import type { FrameSettings } from './options.js'
import type { UpgradeRequest, WebSocketConnection, WebSocketFacts } from './types.js'

/** Pongs that wait to be sent: 128 of at most 127 bytes are 16 KiB. */
export const MAX_PONGS = 128

export class WebSocketSession implements WebSocketFacts {
  request: UpgradeRequest | undefined = undefined
  subprotocol: string | undefined = undefined
  closeCode: number = CLOSE_CODES.abnormal
  closeReason = ''
  pongs = 0
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
  #pongsOnTheirWay = 0
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
    if (this.#pongsOnTheirWay < MAX_PONGS) this.#send(payload)
    else this.#owedPong = Buffer.from(payload)
  }

  /** Our close frame is on its way. */
  closeSent(): void {
    this.isCloseSent = true
    this.isOpen = false
    this.#owedPong = null
  }

  #send(payload: Buffer): void {
    this.#pongsOnTheirWay++
    this.#c.sendPacked(encodeControl(PONG, payload), this.#pongOptions)
  }

  #pongSent(): void {
    this.#pongsOnTheirWay--
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
