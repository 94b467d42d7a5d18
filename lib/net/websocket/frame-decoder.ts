/**
 * Bytes into WebSocket messages and control frames, as they come in. Hot path.
 * Why it consumes the ring while a frame is still incomplete: text must fail at its first wrong byte, and a message may be
 * larger than the ring.
 * Invariant: nothing is allocated for a length that was only claimed; what is kept of one connection is at most
 * `maxPayloadBytes` of a message (however many fragments) and one control frame of 125 bytes.
 * After it threw it is finished: it throws the same error again. Source: RFC 6455 sections 5 and 8.1, GW-2, trap 21.
 *
 *   head (2 bytes) -> rest of the header (length, mask) -> payload -> head ...
 *                                                              |-> a message or a control frame is complete
 */
import { isUtf8 } from 'node:buffer'
import type { MQError } from '../../errors/index.js'
import type { RingBuffer } from '../server/ring-buffer.js'
import { invalidUtf8, protocolError, tooBig } from './failures.js'
import { xorMask } from './mask.js'
import {
  BINARY,
  CLOSE,
  CLOSE_CODES,
  CONTINUATION,
  FIN_BIT,
  FIRST_CONTROL,
  isSendableCloseCode,
  LENGTH_16,
  LENGTH_64,
  LENGTH_BITS,
  MASK_BIT,
  MASK_BYTES,
  MAX_CONTROL_BYTES,
  OPCODE_BITS,
  PONG,
  RSV_BITS,
  TEXT,
} from './opcodes.js'
import { Utf8Validator } from './utf8.js'

/** What the decoder needs of a ring buffer. */
export type ByteSource = Pick<RingBuffer, 'length' | 'peekUint16' | 'peekUint32' | 'retrieve' | 'take' | 'read'>

/** Whose bytes these are: a client's are masked, a server's are not (section 5.1). */
export type PeerRole = 'client' | 'server'

/** `next()`: the rest has not come yet. */
export const MORE = -1

const HEAD_BYTES = 2
/** A message that comes in pieces starts with this much memory, and doubles. */
const FIRST_MESSAGE_BYTES = 1024
const EMPTY = Buffer.alloc(0)
const MAX_UINT16 = 0xffff
const UINT32 = 0x1_0000_0000

type Step = 'head' | 'length' | 'payload'

export class FrameDecoder {
  /** Of what `next()` told last. A message's belongs to the caller, a control frame's is valid until the next call. */
  payload: Buffer = EMPTY
  /** Of the close frame that `next()` told; 1005 when it had none. */
  closeCode: number = CLOSE_CODES.noStatus
  closeReason = ''
  readonly #maxPayloadBytes: number
  readonly #isMasked: boolean
  readonly #utf8 = new Utf8Validator()
  #error: MQError | null = null
  #step: Step = 'head'
  #frameOpcode = CONTINUATION
  #isFinal = false
  #length7 = 0
  #mask = 0
  #length = 0 // of the payload of the present frame
  #taken = 0 // bytes of it that came
  #messageOpcode = CONTINUATION // of the message whose fragments come in; CONTINUATION = none
  #message: Buffer = EMPTY
  #messageBytes = 0 // of #message that are filled
  #control: Buffer = EMPTY

  constructor(peer: PeerRole, maxPayloadBytes: number) {
    this.#isMasked = peer === 'client'
    this.#maxPayloadBytes = maxPayloadBytes
  }

  /** Bytes that are kept for messages that are not complete. */
  get heldBytes(): number {
    return this.#message.length + this.#control.length
  }

  /** TEXT, BINARY, CLOSE, PING or PONG, one at a time, or MORE. Throws what ends the connection. */
  next(source: ByteSource): number {
    if (this.#error !== null) throw this.#error
    try {
      return this.#next(source)
    } catch (error) {
      this.#error = error as MQError
      this.#message = EMPTY
      throw error
    }
  }

  #next(source: ByteSource): number {
    for (;;) {
      if (this.#step === 'head') {
        if (source.length < HEAD_BYTES) return MORE
        this.#readHead(source.peekUint16() as number)
        source.retrieve(HEAD_BYTES)
      }
      if (this.#step === 'length') {
        const bytes = this.#restOfHeader()
        if (source.length < bytes) return MORE
        this.#readRest(source)
        source.retrieve(bytes)
      }
      this.#readPayload(source)
      if (this.#taken < this.#length) return MORE
      this.#step = 'head'
      if (this.#frameOpcode >= FIRST_CONTROL) return this.#finishControl()
      if (this.#isFinal) return this.#finishMessage()
    }
  }

  #readHead(head: number): void {
    const first = head >>> 8
    const second = head & 0xff
    const opcode = first & OPCODE_BITS
    this.#frameOpcode = opcode
    this.#isFinal = (first & FIN_BIT) !== 0
    this.#length7 = second & LENGTH_BITS
    if ((first & RSV_BITS) !== 0) throw protocolError('reserved bits are set, but no extension was negotiated')
    if (opcode >= FIRST_CONTROL) this.#checkControl(opcode)
    else this.#checkData(opcode)
    if (((second & MASK_BIT) !== 0) !== this.#isMasked) {
      throw protocolError(
        this.#isMasked ? 'frames of a client must be masked' : 'frames of a server must not be masked',
      )
    }
    this.#step = 'length'
  }

  #checkControl(opcode: number): void {
    if (opcode > PONG) throw protocolError(`opcode ${opcode} is reserved`)
    if (!this.#isFinal) throw protocolError('a control frame must not be fragmented')
    if (this.#length7 > MAX_CONTROL_BYTES) throw protocolError('a control frame carries at most 125 bytes')
  }

  #checkData(opcode: number): void {
    if (opcode > BINARY) throw protocolError(`opcode ${opcode} is reserved`)
    const isInside = this.#messageOpcode !== CONTINUATION
    if (opcode === CONTINUATION) {
      if (!isInside) throw protocolError('a continuation frame continues nothing')
    } else if (isInside) {
      throw protocolError('a new message began before the last fragment of the one before')
    } else {
      this.#messageOpcode = opcode
    }
  }

  #restOfHeader(): number {
    const lengthBytes = this.#length7 === LENGTH_64 ? 8 : this.#length7 === LENGTH_16 ? 2 : 0
    return lengthBytes + (this.#isMasked ? MASK_BYTES : 0)
  }

  #readRest(source: ByteSource): void {
    this.#length = this.#readLength(source)
    if (this.#frameOpcode < FIRST_CONTROL) {
      const total = this.#messageBytes + this.#length
      if (total > this.#maxPayloadBytes) throw tooBig(total, this.#maxPayloadBytes)
    }
    this.#mask = this.#isMasked ? (source.peekUint32(this.#restOfHeader() - MASK_BYTES) as number) | 0 : 0
    this.#taken = 0
    this.#step = 'payload'
  }

  /** Section 5.2: the minimal number of bytes must be used, and the topmost bit of the longest form is 0. */
  #readLength(source: ByteSource): number {
    if (this.#length7 < LENGTH_16) return this.#length7
    if (this.#length7 === LENGTH_16) {
      const length = source.peekUint16() as number
      if (length < LENGTH_16) throw protocolError(`length ${length} is encoded in 16 bits, but fits into 7`)
      return length
    }
    const high = source.peekUint32() as number
    const length = high * UINT32 + (source.peekUint32(4) as number)
    if (high >= UINT32 / 2) throw protocolError('the first bit of a length of 64 bits must be 0')
    if (length <= MAX_UINT16) throw protocolError(`length ${length} is encoded in 64 bits, but fits into 16`)
    return length
  }

  #readPayload(source: ByteSource): void {
    const count = Math.min(source.length, this.#length - this.#taken)
    if (count === 0) return
    if (this.#frameOpcode >= FIRST_CONTROL) this.#readInto(source, this.#controlRoom(), this.#taken, count)
    else {
      const from = this.#messageBytes
      if (from === 0 && this.#isFinal && count === this.#length) this.#takeWhole(source, count)
      else this.#readInto(source, this.#messageRoom(count), from, count)
      this.#messageBytes += count
      if (this.#messageOpcode === TEXT) this.#checkText(from, from + count)
    }
    this.#taken += count
  }

  /** The usual case: the message is one frame that has come completely, and stays where it lies. */
  #takeWhole(source: ByteSource, count: number): void {
    this.#message = source.take(count)
    xorMask(this.#message, 0, count, this.#mask, 0)
  }

  #readInto(source: ByteSource, target: Buffer, from: number, count: number): void {
    source.read(target.subarray(from, from + count))
    xorMask(target, from, from + count, this.#mask, this.#taken)
  }

  #controlRoom(): Buffer {
    if (this.#control.length === 0) this.#control = Buffer.allocUnsafeSlow(MAX_CONTROL_BYTES)
    return this.#control
  }

  /** A message that is complete with these bytes gets exactly its size, another one grows with the bytes that come. */
  #messageRoom(count: number): Buffer {
    const needed = this.#messageBytes + count
    if (needed <= this.#message.length) return this.#message
    const end = this.#messageBytes + this.#length - this.#taken
    const most = this.#isFinal ? end : this.#maxPayloadBytes
    const doubled = Math.max(FIRST_MESSAGE_BYTES, 2 * this.#message.length)
    const grown = Buffer.allocUnsafe(Math.min(most, Math.max(needed, doubled)))
    grown.set(this.#message.subarray(0, this.#messageBytes))
    this.#message = grown
    return grown
  }

  #checkText(from: number, to: number): void {
    const bytes = this.#message
    const piece = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
    if (!this.#utf8.push(piece)) throw invalidUtf8('a text message')
  }

  #finishMessage(): number {
    const opcode = this.#messageOpcode
    if (opcode === TEXT && !this.#utf8.isComplete) throw invalidUtf8('a text message that ends inside a character')
    const bytes = this.#messageBytes
    this.payload = bytes === this.#message.length ? this.#message : this.#message.subarray(0, bytes)
    this.#message = EMPTY
    this.#messageBytes = 0
    this.#messageOpcode = CONTINUATION
    return opcode
  }

  #finishControl(): number {
    this.payload = this.#length === 0 ? EMPTY : this.#control.subarray(0, this.#length)
    if (this.#frameOpcode === CLOSE) this.#readClose(this.payload)
    return this.#frameOpcode
  }

  #readClose(payload: Buffer): void {
    if (payload.length === 0) return
    if (payload.length === 1) throw protocolError('a close frame with one byte has no complete code')
    const code = payload.readUInt16BE(0)
    if (!isSendableCloseCode(code)) throw protocolError(`${code} is no close code that may be sent`)
    const reason = payload.subarray(2)
    if (!isUtf8(reason)) throw invalidUtf8('a close reason')
    this.closeCode = code
    this.closeReason = reason.toString()
  }
}
