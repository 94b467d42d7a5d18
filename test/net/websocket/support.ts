/** Frames made by hand, from the drawings of RFC 6455 alone: the code under test does not judge itself. */
import { MQError } from '../../../lib/errors/index.js'
import { RingBuffer } from '../../../lib/net/server/ring-buffer.js'
import type { ConnectionState, Packed, SendOptions } from '../../../lib/net/server/types.js'
import { FrameDecoder, MORE, type PeerRole } from '../../../lib/net/websocket/frame-decoder.js'
import type { WebSocketConnection, WebSocketOut } from '../../../lib/net/websocket/types.js'
import type { WebSocketProtocol } from '../../../lib/net/websocket/websocket-protocol.js'

export interface FrameParts {
  readonly fin?: boolean
  readonly rsv?: number
  readonly opcode: number
  readonly payload?: string | Uint8Array
  /** Four bytes; null = not masked. Default: some mask, as clients must. */
  readonly mask?: readonly number[] | null
  /** Length field to use in place of the minimal one. */
  readonly lengthBits?: 7 | 16 | 64
  /** Length to claim in place of the true one. */
  readonly claim?: bigint
}

const MASK = [0x37, 0xfa, 0x21, 0x3d]

export function frame({
  fin = true,
  rsv = 0,
  opcode,
  payload = '',
  mask = MASK,
  lengthBits,
  claim,
}: FrameParts): Buffer {
  const bytes = Buffer.from(payload as string)
  const length = claim ?? BigInt(bytes.length)
  const bits = lengthBits ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64)
  const head = Buffer.from([(fin ? 0x80 : 0) | (rsv << 4) | opcode, mask === null ? 0 : 0x80])
  head[1] = (head[1] as number) | (bits === 7 ? Number(length) : bits === 16 ? 126 : 127)
  const extended = Buffer.alloc(bits === 7 ? 0 : bits / 8)
  if (bits === 16) extended.writeUInt16BE(Number(length))
  if (bits === 64) extended.writeBigUInt64BE(length)
  if (mask === null) return Buffer.concat([head, extended, bytes])
  const masked = bytes.map((byte, at) => byte ^ (mask[at % 4] as number))
  return Buffer.concat([head, extended, Buffer.from(mask), masked])
}

export const text = (payload: string | Uint8Array, fin = true): Buffer => frame({ opcode: 1, payload, fin })
export const binary = (payload: string | Uint8Array, fin = true): Buffer => frame({ opcode: 2, payload, fin })
export const more = (payload: string | Uint8Array, fin = false): Buffer => frame({ opcode: 0, payload, fin })
export const ping = (payload: string | Uint8Array = ''): Buffer => frame({ opcode: 9, payload })
export const pong = (payload: string | Uint8Array = ''): Buffer => frame({ opcode: 10, payload })
export const close = (code?: number, reason: string | Uint8Array = ''): Buffer => {
  if (code === undefined) return frame({ opcode: 8 })
  return frame({
    opcode: 8,
    payload: Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason as string)]),
  })
}

/** What a decoder told: `text:abc`, `ping:`, `close:1000:bye`, or `error:1002`. */
export type Told = string

const NAMES: Readonly<Record<number, string>> = { 1: 'text', 2: 'binary', 8: 'close', 9: 'ping', 10: 'pong' }

export class DecoderProbe {
  readonly told: Told[] = []
  readonly decoder: FrameDecoder
  readonly ring: RingBuffer
  error: MQError | null = null

  constructor(maxPayloadBytes = 1024 * 1024, peer: PeerRole = 'client') {
    this.decoder = new FrameDecoder(peer, maxPayloadBytes)
    this.ring = new RingBuffer(0, 64 * 1024 * 1024)
  }

  /** As the server does: the chunk is lent, worked off, and what is left kept. The bytes of the caller stay as they are. */
  push(chunk: Uint8Array): this {
    if (this.error !== null) return this
    this.ring.withData(Buffer.from(chunk))
    try {
      for (;;) {
        const opcode = this.decoder.next(this.ring)
        if (opcode === MORE) break
        this.told.push(this.#describe(opcode))
      }
    } catch (error) {
      if (!(error instanceof MQError)) throw error
      this.error = error
      this.told.push(`error:${String(error.context.closeCode)}`)
    }
    this.ring.keep()
    return this
  }

  #describe(opcode: number): Told {
    const { payload, closeCode, closeReason } = this.decoder
    if (opcode === 8) return `close:${closeCode}:${closeReason}`
    return `${NAMES[opcode] ?? opcode}:${payload.toString(opcode === 1 ? 'utf8' : 'latin1')}`
  }
}

export function decoded(bytes: readonly Uint8Array[], maxPayloadBytes?: number, peer?: PeerRole): Told[] {
  return new DecoderProbe(maxPayloadBytes, peer).push(Buffer.concat(bytes)).told
}

/** A connection without a socket: what was sent lies in `sent`, `taken()` says that the operating system took it. */
export class FakeConnection implements WebSocketConnection {
  readonly id = 1
  readonly peerAddr = 'peer:1'
  state: ConnectionState = 'open'
  readonly userBuffer = new RingBuffer(0, 64 * 1024 * 1024)
  context: unknown
  protocolState: unknown
  readonly sent: Buffer[] = []
  endedWith: Error | null | undefined
  readonly server = { connections: 1, maxFrameBytes: 100 * 1024 * 1024 }
  readonly protocol: WebSocketProtocol
  readonly #waiting: SendOptions[] = []

  constructor(protocol: WebSocketProtocol) {
    this.protocol = protocol
    protocol.opened?.(this)
  }

  get connected(): boolean {
    return this.state === 'open'
  }
  get readBufferLength(): number {
    return this.userBuffer.length
  }
  get writeBufferLength(): number {
    return this.#waiting.length
  }
  get(): unknown {
    return undefined
  }
  set(): void {}
  delete(): boolean {
    return false
  }
  send(data: WebSocketOut, options?: SendOptions): boolean {
    return this.sendPacked(this.protocol.pack(this, data), options)
  }
  sendPacked(bytes: Packed, options: SendOptions = {}): boolean {
    if (this.state !== 'open') throw new MQError('CONNECTION_CLOSED', 'closed')
    this.sent.push(bytesOf(bytes))
    this.#waiting.push(options)
    return true
  }
  shutdownWrite(): void {}
  pause(): void {}
  resume(): void {}
  close(error?: Error): void {
    if (this.state !== 'open') return
    const farewell = this.protocol.farewell?.(this, error ?? null)
    if (farewell !== undefined) this.sent.push(bytesOf(farewell))
    this.#end('closing', error)
  }
  destroy(error?: Error): void {
    if (this.state !== 'closed') this.#end('closed', error)
  }

  /** Everything sent so far has left, and what is sent because of that. */
  taken(): void {
    for (const { onSent } of this.#waiting.splice(0)) onSent?.(null)
  }

  /** Bytes of the peer; gives the messages they complete. What unpack throws closes, as on a server. */
  receive(bytes: Uint8Array): { opcode: string; data: string }[] {
    const messages: { opcode: string; data: string }[] = []
    this.userBuffer.withData(Buffer.from(bytes))
    try {
      while (this.state === 'open') {
        const message = this.protocol.unpack(this, this.userBuffer)
        if (message === undefined) break
        messages.push({ opcode: message.ctx.opcode, data: message.data.toString() })
      }
    } catch (error) {
      this.close(error as Error)
    }
    this.userBuffer.keep()
    return messages
  }

  #end(state: ConnectionState, error: Error | undefined): void {
    this.state = state
    this.endedWith ??= error ?? null
    if (state === 'closed') this.protocol.closed?.(this)
  }
}

function bytesOf(packed: Packed): Buffer {
  return packed instanceof Uint8Array ? Buffer.from(packed) : Buffer.concat(packed)
}

/** What a client reads of `bytes`: the frames of a server. */
export function readServer(bytes: readonly Uint8Array[]): Told[] {
  return decoded(bytes, 64 * 1024 * 1024, 'server')
}
