/**
 * Typed frames for messages of Protocol Buffers, or of any other encoding. Hot path. NT-5.
 * Why the type travels: a message of Protocol Buffers does not say what it is, and one connection carries many kinds.
 * Invariant: both lengths are judged before a frame is waited for: a frame that lies closes the connection, none is guessed at.
 * Source: the original's protobuf plugin, without its crash when the type was longer than the frame.
 *
 *   [ u32 length = 2 + typeLength + dataLength ][ u16 typeLength ][ type, UTF-8 ][ data ]       big-endian
 */
import { isUtf8 } from 'node:buffer'
import { MQError } from '../../../errors/index.js'
import type { RingBuffer } from '../ring-buffer.js'
import type { Packed, Protocol, Unpacked } from '../types.js'
import { checkWhole, MAX_FRAME_BYTES, malformedFrame, tooLargeFrame, tooLargeMessage } from './frames.js'

const LENGTH_BYTES = 4
const TYPE_LENGTH_BYTES = 2
const MAX_TYPE_BYTES = 0xffff
const MAX_LENGTH = 0xffffffff

/** How messages of one type become bytes and back. What generated classes of protobuf libraries look like. */
export interface MessageCodec<Message = unknown> {
  encode(message: Message): Uint8Array | { finish(): Uint8Array }
  /** May keep `bytes`: they are its own. */
  decode(bytes: Buffer): Message
}

/** One message of a type. */
export interface TypedMessage<Data = Uint8Array> {
  readonly type: string
  readonly data: Data
}

export interface ProtobufOptions {
  /** Longest frame behind its length (2 + type + data), in bytes. Default 100 MiB, at least 2. */
  readonly maxFrameBytes?: number
}

export interface ProtobufCodecOptions extends ProtobufOptions {
  /** By type. A frame of another type closes the connection; sending one throws SERIALIZATION_FAILED. */
  readonly codecs: Readonly<Record<string, MessageCodec>>
}

/**
 * Typed frames: `ctx` is the type, `data` its bytes (they belong to the handler), or with `codecs` the decoded message. Sent is
 * `{ type, data }`. Throws INVALID_CONFIG for options that are none. Frames whose lengths lie, types that are not UTF-8 or not
 * known, and messages that cannot be decoded close the connection: CONNECTION_FAILED with reason TOO_LARGE or MALFORMED_FRAME,
 * or DESERIALIZATION_FAILED. Sending throws MESSAGE_TOO_LARGE, SERIALIZATION_FAILED.
 */
export function protobufProtocol(options?: ProtobufOptions): Protocol<string, Buffer, TypedMessage<Uint8Array | string>>
export function protobufProtocol(options: ProtobufCodecOptions): Protocol<string, unknown, TypedMessage<unknown>>
export function protobufProtocol(
  options: ProtobufOptions | ProtobufCodecOptions = {},
): Protocol<string, Buffer, TypedMessage<Uint8Array | string>> | Protocol<string, unknown, TypedMessage<unknown>> {
  const frames = new TypedFrames(options)
  return 'codecs' in options ? new Coded(frames, options.codecs) : frames
}

class TypedFrames implements Protocol<string, Buffer, TypedMessage<Uint8Array | string>> {
  readonly #maxFrameBytes: number

  constructor({ maxFrameBytes = MAX_FRAME_BYTES }: ProtobufOptions) {
    this.#maxFrameBytes = checkWhole('maxFrameBytes', maxFrameBytes, TYPE_LENGTH_BYTES, MAX_LENGTH)
  }

  unpack(_: unknown, ring: RingBuffer): Unpacked<string, Buffer> | undefined {
    const length = ring.peekUint32()
    if (length === undefined) return undefined
    if (length > this.#maxFrameBytes) throw tooLargeFrame(length, this.#maxFrameBytes)
    if (length < TYPE_LENGTH_BYTES) throw lying(length)
    const typeBytes = ring.peekUint16(LENGTH_BYTES)
    if (typeBytes === undefined) return undefined
    if (TYPE_LENGTH_BYTES + typeBytes > length) throw lying(length, typeBytes)
    if (ring.length < LENGTH_BYTES + length) return undefined
    ring.retrieve(LENGTH_BYTES + TYPE_LENGTH_BYTES)
    const type = ring.take(typeBytes)
    if (!isUtf8(type)) throw malformedFrame(`a type of ${typeBytes} bytes is not UTF-8`, { length, typeBytes })
    return { ctx: type.toString('utf8'), data: ring.take(length - TYPE_LENGTH_BYTES - typeBytes) }
  }

  pack(_: unknown, { type, data }: TypedMessage<Uint8Array | string>): Packed {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    const typeBytes = Buffer.byteLength(type)
    if (typeBytes > MAX_TYPE_BYTES) throw tooLargeMessage(typeBytes, MAX_TYPE_BYTES, 'maxTypeBytes')
    const length = TYPE_LENGTH_BYTES + typeBytes + bytes.length
    if (length > this.#maxFrameBytes) throw tooLargeMessage(length, this.#maxFrameBytes)
    const header = Buffer.allocUnsafe(LENGTH_BYTES + TYPE_LENGTH_BYTES + typeBytes)
    header.writeUInt32BE(length, 0)
    header.writeUInt16BE(typeBytes, LENGTH_BYTES)
    header.write(type, LENGTH_BYTES + TYPE_LENGTH_BYTES)
    return [header, bytes]
  }
}

/** Typed frames whose data is decoded by their type. */
class Coded implements Protocol<string, unknown, TypedMessage<unknown>> {
  readonly #frames: TypedFrames
  readonly #codecs: ReadonlyMap<string, MessageCodec>

  constructor(frames: TypedFrames, codecs: Readonly<Record<string, MessageCodec>>) {
    this.#frames = frames
    this.#codecs = new Map(Object.entries(codecs))
  }

  unpack(c: unknown, ring: RingBuffer): Unpacked<string, unknown> | undefined {
    const frame = this.#frames.unpack(c, ring)
    if (frame === undefined) return undefined
    const codec = this.#codecs.get(frame.ctx)
    if (codec === undefined) throw malformedFrame(this.#unknownType(frame.ctx), { type: frame.ctx })
    try {
      return { ctx: frame.ctx, data: codec.decode(frame.data) }
    } catch (cause) {
      const text = `a message of type ${frame.ctx} and ${frame.data.length} bytes could not be decoded`
      throw new MQError('DESERIALIZATION_FAILED', text, { type: frame.ctx, bytes: frame.data.length }, { cause })
    }
  }

  pack(c: unknown, { type, data }: TypedMessage<unknown>): Packed {
    const codec = this.#codecs.get(type)
    if (codec === undefined) throw new MQError('SERIALIZATION_FAILED', this.#unknownType(type), { type })
    return this.#frames.pack(c, { type, data: encoded(type, codec, data) })
  }

  #unknownType(type: string): string {
    return `no codec for a message of type ${JSON.stringify(type.slice(0, 100))}: ${this.#codecs.size} types are known`
  }
}

function encoded(type: string, codec: MessageCodec, data: unknown): Uint8Array {
  try {
    const result = codec.encode(data)
    return result instanceof Uint8Array ? result : result.finish()
  } catch (cause) {
    throw new MQError('SERIALIZATION_FAILED', `a message of type ${type} could not be encoded`, { type }, { cause })
  }
}

function lying(length: number, typeBytes?: number): MQError {
  const least = TYPE_LENGTH_BYTES + (typeBytes ?? 0)
  const text = `a frame of ${length} bytes cannot hold the ${least} that its type takes: lengths of a typed frame contradict each other`
  return malformedFrame(text, { length, typeBytes })
}
