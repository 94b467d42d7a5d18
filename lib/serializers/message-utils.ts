/**
 * One value, serialized and compressed on its own: for what leaves Kafka's batches, such as a cache or a file.
 *
 *   [ codec id ][ payload ]     0 = raw, else the id of the codec that was really used (CD-4)
 *
 * Why the byte: whether compressing paid is decided per value, and the reader must not have to guess it.
 * Inside Kafka a producer compresses whole batches, which is smaller and cheaper; do not do both.
 * Invariant: nothing is allocated on behalf of a length in the input before it is known to be within the ceiling.
 */
import {
  type CodecName,
  type CompressionCodec,
  codecById,
  createCompressionCodec,
  DEFAULT_DECOMPRESS_CEILING,
} from '../codec/index.js'
import type { Serializer } from '../config/index.js'
import { findMQError, MQError, toMQError } from '../errors/index.js'
import { bufferOf, kindOf } from './value-serializer.js'

export interface MessageUtilsOptions {
  /** Most bytes a value may decompress to. Bytes, default 134217728 (128 MiB), from 1. */
  readonly ceilingBytes?: number
  /** Level of the codec. Default: its own. */
  readonly compressionLevel?: number
}

/** Below this many bytes a codec's own framing eats what it saves. */
const RAW_BELOW_BYTES = 100
/** Up to here small values: only codecs that answer at once. */
const SMALL_BELOW_BYTES = 1_024
const QUICK: readonly string[] = ['lz4', 'snappy']
/** A small value must shrink below this share of itself. */
const WORTH_RATIO = 0.9

const RAW = 0
const PREFIX_BYTES = 1

/**
 * Serializes and compresses single values, and says whether that pays (CD-4).
 *
 * ```ts
 * const utils = new MessageUtils(json<Order>(), 'lz4')
 * const bytes = await utils.serializeAndCompress({ id: 7 })
 * const order = await utils.decompressAndDeserialize(bytes)
 * ```
 * Throws INVALID_CONFIG for an unknown codec or an option out of range.
 */
export class MessageUtils<T> {
  readonly #serializer: Serializer<T>
  readonly #codec: CompressionCodec
  readonly #level: number | undefined
  readonly #ceilingBytes: number

  constructor(serializer: Serializer<T>, codec: CodecName | CompressionCodec, options: MessageUtilsOptions = {}) {
    const { ceilingBytes = DEFAULT_DECOMPRESS_CEILING, compressionLevel } = options
    if (!Number.isSafeInteger(ceilingBytes) || ceilingBytes < 1)
      throw new MQError('INVALID_CONFIG', `ceilingBytes is an integer from 1, not ${ceilingBytes}`, { ceilingBytes })
    if (!isSerializer(serializer))
      throw new MQError('INVALID_CONFIG', 'MessageUtils takes a serializer with serialize and deserialize', {})
    this.#serializer = serializer
    this.#codec = typeof codec === 'object' ? codec : createCompressionCodec(codec)
    this.#level = compressionLevel
    this.#ceilingBytes = ceilingBytes
  }

  /**
   * The value as bytes, compressed if that makes them smaller. Null, a tombstone, stays null.
   * Rejects with SERIALIZATION_FAILED or COMPRESSION_FAILED.
   */
  async serializeAndCompress(value: T, topic?: string): Promise<Buffer>
  async serializeAndCompress(value: T | null, topic?: string): Promise<Buffer | null>
  async serializeAndCompress(value: T | null, topic = ''): Promise<Buffer | null> {
    if (value === null) return null
    const data = this.#serialize(value, topic)
    return data === null ? null : this.#framed(data, await this.#compress(data))
  }

  /**
   * The value that `serializeAndCompress` has written, whatever codec this object has. Null stays null.
   * Rejects with DECOMPRESSION_FAILED (damaged, unknown codec, or more than `ceilingBytes`: reason TOO_LARGE) or
   * DESERIALIZATION_FAILED.
   */
  async decompressAndDeserialize(bytes: Uint8Array, topic?: string): Promise<T>
  async decompressAndDeserialize(bytes: Uint8Array | null, topic?: string): Promise<T | null>
  async decompressAndDeserialize(bytes: Uint8Array | null, topic = ''): Promise<T | null> {
    if (bytes === null) return null
    const data = await this.decompress(bytes)
    try {
      return this.#serializer.deserialize(data, topic)
    } catch (error) {
      throw named(error, 'DESERIALIZATION_FAILED', 'the deserializer threw', topic)
    }
  }

  /** The bytes behind a leading codec id, decompressed: undoes `optimizeForSmallMessages`. May be a view of `bytes`. */
  async decompress(bytes: Uint8Array): Promise<Buffer> {
    const id = bytesOf(bytes)[0]
    if (id === undefined) throw damaged('there is no byte at all, and the first names the codec', {})
    const codec = this.#codecOf(id)
    try {
      return bufferOf(await codec.decompress(bytes.subarray(PREFIX_BYTES), this.#ceilingBytes))
    } catch (error) {
      throw toMQError(error, 'DECOMPRESSION_FAILED', `the codec ${codec.type} failed`, { codec: codec.type })
    }
  }

  /** compressed / original, lower is better; 1 where compressing does not make it smaller, since it is left then. */
  async getCompressionRatio(data: Uint8Array): Promise<number> {
    const compressed = await this.#compress(bytesOf(data))
    return compressed === null ? 1 : compressed.length / data.length
  }

  /**
   * Does compressing pay? Below `thresholdBytes` no; below 1 KiB if it is tried and gives less than 0.9 of the
   * original; from 1 KiB yes, untried.
   */
  async isCompressionBeneficial(data: Uint8Array, thresholdBytes: number): Promise<boolean> {
    if (typeof thresholdBytes !== 'number' || !(thresholdBytes >= 0))
      throw new MQError('INVALID_CONFIG', `the threshold is a number of bytes from 0, not ${String(thresholdBytes)}`)
    if (bytesOf(data).length < thresholdBytes) return false
    return data.length >= SMALL_BELOW_BYTES || (await this.getCompressionRatio(data)) < WORTH_RATIO
  }

  /**
   * Bytes behind a codec id, by size: below 100 B raw, 100..1,023 B compressed by lz4 or snappy only, from 1,024 B by
   * the codec as configured; raw too where that does not make them smaller.
   */
  async optimizeForSmallMessages(data: Uint8Array): Promise<Buffer> {
    const { length } = bytesOf(data)
    const isQuick = length >= SMALL_BELOW_BYTES || QUICK.includes(this.#codec.type)
    const isTried = length >= RAW_BELOW_BYTES && isQuick
    return this.#framed(data, isTried ? await this.#compress(data) : null)
  }

  #serialize(value: T, topic: string): Uint8Array | null {
    let data: unknown
    try {
      data = this.#serializer.serialize(value, topic)
    } catch (error) {
      throw named(error, 'SERIALIZATION_FAILED', 'the serializer threw', topic)
    }
    if (data === null || data instanceof Uint8Array) return data
    if (typeof data === 'string') return Buffer.from(data)
    const text = `the serializer returned ${kindOf(data)}: expected Buffer, Uint8Array, string or null, at once`
    throw new MQError('SERIALIZATION_FAILED', text, topic === '' ? {} : { topic })
  }

  /** Null: it would not be smaller. */
  async #compress(data: Uint8Array): Promise<Uint8Array | null> {
    const { id, type } = this.#codec
    if (id === RAW || data.length === 0) return null
    try {
      const compressed = await this.#codec.compress(data, this.#level)
      return compressed.length < data.length ? compressed : null
    } catch (error) {
      throw toMQError(error, 'COMPRESSION_FAILED', `the codec ${type} failed`, { codec: type })
    }
  }

  #framed(data: Uint8Array, compressed: Uint8Array | null): Buffer {
    const payload = compressed ?? data
    const framed = Buffer.allocUnsafe(PREFIX_BYTES + payload.length)
    framed[0] = compressed === null ? RAW : this.#codec.id
    framed.set(payload, PREFIX_BYTES)
    return framed
  }

  #codecOf(id: number): CompressionCodec {
    if (id === this.#codec.id) return this.#codec
    try {
      return codecById(id)
    } catch (cause) {
      throw damaged(`its first byte is ${id}, and no codec has that id`, { codecId: id }, cause)
    }
  }
}

function isSerializer(
  given: { readonly serialize?: unknown; readonly deserialize?: unknown } | null | undefined,
): boolean {
  return typeof given?.serialize === 'function' && typeof given.deserialize === 'function'
}

function bytesOf(data: Uint8Array): Uint8Array {
  if (data instanceof Uint8Array) return data
  throw new MQError('INVALID_CONFIG', `expected bytes (Buffer or Uint8Array), not ${kindOf(data)}`, {})
}

function damaged(what: string, context: object, cause?: unknown): MQError {
  const text = `these bytes were not written by serializeAndCompress, or are damaged: ${what}`
  return new MQError('DECOMPRESSION_FAILED', text, { ...context }, { cause })
}

/** What says it already stays as it is; anything else is wrapped. */
function named(error: unknown, code: 'SERIALIZATION_FAILED' | 'DESERIALIZATION_FAILED', text: string, topic: string) {
  const known = findMQError(error)
  if (known?.is(code)) return known
  return new MQError(code, text, topic === '' ? {} : { topic }, { cause: error })
}
