/**
 * WebSocket as a protocol of the reactor: the upgrade, then frames as messages (RFC 6455). GW-2.
 * `webSocketProtocol` does all of it on raw TCP; `webSocketFrames` begins where node:http has done the upgrade (upgrade.ts).
 * Invariant: a message reaches the handler whole, in order, once; pings, pongs and close frames never do. Its data belong
 * to the handler: unmasking has to write them anyway.
 *
 *   request -> refused (4xx, end)
 *      |-> open -> close frame sent -> theirs came -> end          (or closeTimeoutMs ran out)
 *            |---> theirs came -> ours sent -> end
 */
import { isUtf8 } from 'node:buffer'
import { MQError } from '../../errors/index.js'
import type { RingBuffer } from '../server/ring-buffer.js'
import type { Packed, Protocol, Unpacked } from '../server/types.js'
import { closeCodeOf, closeReasonOf } from './failures.js'
import { MORE } from './frame-decoder.js'
import { encodeClose, encodeControl, encodeFrame, encodeText } from './frame-encoder.js'
import { type Accepted, judge, parseRequest } from './handshake.js'
import { endOfHead } from './http-head.js'
import {
  BINARY,
  CLOSE,
  CLOSE_CODES,
  isSendableCloseCode,
  MAX_CONTROL_BYTES,
  MAX_REASON_BYTES,
  PING,
  TEXT,
} from './opcodes.js'
import {
  type FrameSettings,
  frameSettings,
  type HandshakeSettings,
  handshakeSettings,
  headSettings,
  type WebSocketFramesOptions,
  type WebSocketOptions,
} from './options.js'
import { refusal, refusalBytes } from './refusal.js'
import { sessionOf, WebSocketSession } from './session.js'
import type { WebSocketConnection, WebSocketContext, WebSocketFacts, WebSocketOut } from './types.js'

export type WebSocketProtocol = Protocol<WebSocketContext, Buffer, WebSocketOut>

const TEXT_MESSAGE: WebSocketContext = Object.freeze({ opcode: 'text' })
const BINARY_MESSAGE: WebSocketContext = Object.freeze({ opcode: 'binary' })
const EMPTY = Buffer.alloc(0)

/**
 * WebSocket on the raw reactor. A refused upgrade is answered with its status and ends the connection.
 * Throws INVALID_CONFIG on settings out of bounds.
 *
 * ```ts
 * const server = new Server({ onMessage: (c, { opcode }, data) => ({ opcode, data }) }, { protocol: webSocketProtocol() })
 * ```
 */
export function webSocketProtocol(options: WebSocketOptions = {}): WebSocketProtocol {
  return new RawWebSocket(options)
}

/** Frames only: for connections that came through `upgrade()` and `Server.adopt`. Throws INVALID_CONFIG as above. */
export function webSocketFrames(options: WebSocketFramesOptions = {}): WebSocketProtocol {
  return new WebSocketFrames(options)
}

/** What is known of a WebSocket connection. Throws INVALID_CONFIG when `c` is none. */
export function webSocketOf(c: WebSocketConnection): WebSocketFacts {
  return sessionOf(c)
}

class WebSocketFrames implements WebSocketProtocol {
  protected readonly settings: FrameSettings

  constructor(options: WebSocketFramesOptions) {
    this.settings = frameSettings(options)
  }

  opened(c: WebSocketConnection): void {
    const session = new WebSocketSession(c, this.settings)
    session.isOpen = true
    session.request = this.settings.upgraded?.request
    session.subprotocol = this.settings.upgraded?.subprotocol
    c.protocolState = session
  }

  unpack(c: WebSocketConnection, ring: RingBuffer): Unpacked<WebSocketContext, Buffer> | undefined {
    const session = sessionOf(c)
    while (!session.isCloseReceived) {
      switch (session.decoder.next(ring)) {
        case MORE:
          return undefined
        case TEXT:
          return { ctx: TEXT_MESSAGE, data: session.decoder.payload }
        case BINARY:
          return { ctx: BINARY_MESSAGE, data: session.decoder.payload }
        case PING:
          session.pong(session.decoder.payload)
          break
        case CLOSE:
          this.#closedByPeer(c, session)
          break
        default: // a pong: it is never answered (trap 21)
          session.pongs++
      }
    }
    ring.retrieveAll()
    return undefined
  }

  pack(c: WebSocketConnection, data: WebSocketOut): Packed {
    const session = sessionOf(c)
    if (!session.isOpen) throw notOpen(session)
    if (typeof data === 'string') return encodeText(data)
    if (data instanceof Uint8Array) return encodeFrame(BINARY, data)
    switch (data.opcode) {
      case 'text':
        return typeof data.data === 'string' ? encodeText(data.data) : encodeFrame(TEXT, checkedText(data.data))
      case 'binary':
        return encodeFrame(BINARY, typeof data.data === 'string' ? Buffer.from(data.data) : data.data)
      case 'ping':
        return encodeControl(PING, checkedPing(data.data ?? EMPTY))
      case 'close':
        return this.#beginClose(c, session, data.code ?? CLOSE_CODES.normal, data.reason ?? '')
    }
  }

  /** The close frame that says why; nothing when one was sent. */
  farewell(c: WebSocketConnection, error: Error | null): Packed | undefined {
    const session = sessionOf(c)
    session.stopTimer()
    if (!session.isOpen) return undefined
    session.closeSent()
    return encodeClose(closeCodeOf(error), closeReasonOf(error))
  }

  closed(c: WebSocketConnection): void {
    sessionOf(c).stopTimer()
  }

  /** Their close frame came: it is answered in kind, unless it was the answer (section 5.5.1). */
  #closedByPeer(c: WebSocketConnection, session: WebSocketSession): void {
    const { closeCode, closeReason } = session.decoder
    session.isCloseReceived = true
    session.closeCode = closeCode
    session.closeReason = closeReason
    session.stopTimer()
    if (session.isOpen && c.state === 'open') {
      session.closeSent()
      c.sendPacked(encodeClose(closeCode))
    }
    c.close()
  }

  #beginClose(c: WebSocketConnection, session: WebSocketSession, code: number, reason: string): Packed {
    const isRight = isSendableCloseCode(code) && Buffer.byteLength(reason) <= MAX_REASON_BYTES
    if (!isRight) {
      const text = `a close frame needs a code that may be sent (1000, 3000..4999) and a reason of at most 123 bytes, got ${code}`
      throw new MQError('INVALID_CONFIG', text, { code, reasonBytes: Buffer.byteLength(reason) })
    }
    session.closeSent()
    const { clock, closeTimeoutMs } = this.settings
    const text = `the peer did not answer the close frame within closeTimeoutMs ${closeTimeoutMs}`
    session.startTimer(
      clock.setTimer(() => c.destroy(new MQError('CONNECTION_TIMEOUT', text, { closeTimeoutMs })), closeTimeoutMs),
    )
    return encodeClose(code, reason)
  }
}

class RawWebSocket extends WebSocketFrames {
  readonly #handshake: HandshakeSettings
  readonly #maxHeaderBytes: number
  readonly #handshakeTimeoutMs: number
  readonly #onOpen: ((c: WebSocketConnection) => void) | undefined

  constructor(options: WebSocketOptions) {
    super(options)
    const { maxHeaderBytes, handshakeTimeoutMs } = headSettings(options)
    this.#handshake = handshakeSettings(options)
    this.#maxHeaderBytes = maxHeaderBytes
    this.#handshakeTimeoutMs = handshakeTimeoutMs
    this.#onOpen = options.onOpen
  }

  override opened(c: WebSocketConnection): void {
    const session = new WebSocketSession(c, this.settings)
    c.protocolState = session
    const text = `the request did not come within handshakeTimeoutMs ${this.#handshakeTimeoutMs}`
    session.startTimer(this.settings.clock.setTimer(() => c.close(refusal(408, text)), this.#handshakeTimeoutMs))
  }

  override unpack(c: WebSocketConnection, ring: RingBuffer): Unpacked<WebSocketContext, Buffer> | undefined {
    const session = sessionOf(c)
    if (session.request === undefined && !this.#upgrade(c, session, ring)) return undefined
    return c.state === 'open' ? super.unpack(c, ring) : undefined
  }

  /** Before the upgrade a farewell is a response. */
  override farewell(c: WebSocketConnection, error: Error | null): Packed | undefined {
    const session = sessionOf(c)
    if (session.request !== undefined) return super.farewell(c, error)
    session.stopTimer()
    return (
      refusalBytes(error) ??
      refusalBytes(
        isOurFault(error) ? refusal(500, 'the upgrade failed') : refusal(503, 'the server ends this connection'),
      )
    )
  }

  /** True when the upgrade is done. Throws the refusal. */
  #upgrade(c: WebSocketConnection, session: WebSocketSession, ring: RingBuffer): boolean {
    const head = this.#readHead(session, ring)
    if (head === undefined) return false
    const { request, subprotocol, response }: Accepted = judge(parseRequest(head), this.#handshake)
    session.stopTimer()
    session.request = request
    session.subprotocol = subprotocol
    session.isOpen = true
    c.sendPacked(response)
    this.#onOpen?.(c)
    return true
  }

  #readHead(session: WebSocketSession, ring: RingBuffer): Buffer | undefined {
    const bytes = endOfHead(ring, session.scannedBytes)
    if ((bytes === -1 ? ring.length : bytes) > this.#maxHeaderBytes) {
      throw refusal(431, `the request's head exceeds maxHeaderBytes ${this.#maxHeaderBytes}`)
    }
    if (bytes !== -1) return ring.take(bytes)
    session.scannedBytes = ring.length
    return undefined
  }
}

/** Something threw, and it was not the bytes of the client. */
function isOurFault(error: Error | null): boolean {
  return error !== null && !(error instanceof MQError && error.code === 'CONNECTION_CLOSED')
}

function notOpen(session: WebSocketSession): MQError {
  if (session.isCloseSent) return new MQError('CONNECTION_CLOSED', 'a close frame was sent: nothing may follow it')
  return new MQError('CONNECTION_FAILED', 'the upgrade is not done: send from `onOpen` on, not in `onConnect`')
}

function checkedText(bytes: Uint8Array): Uint8Array {
  if (isUtf8(bytes)) return bytes
  throw new MQError('SERIALIZATION_FAILED', 'bytes sent as text must be UTF-8: send them as binary', {
    bytes: bytes.length,
  })
}

function checkedPing(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= MAX_CONTROL_BYTES) return bytes
  const text = `a ping carries at most ${MAX_CONTROL_BYTES} bytes, got ${bytes.length}`
  throw new MQError('MESSAGE_TOO_LARGE', text, { bytes: bytes.length })
}
