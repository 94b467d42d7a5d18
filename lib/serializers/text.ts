/**
 * Text and bytes as values.
 * Why strict: Buffer puts U+FFFD in the place of what is no UTF-8, in both directions, and nobody notices. What is read
 * here equals what was written, or there is an error (CD-3).
 */
import { bufferOf, kindOf, OCTETS, Unfit, type ValueSerializer, valueSerializer } from './value-serializer.js'

/** Half of a surrogate pair: text that was cut in the middle of a character. It has no UTF-8. */
const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Strings as UTF-8. Refuses anything but strings, text with half a character (a lone surrogate), and bytes that are no
 * UTF-8: SERIALIZATION_FAILED, DESERIALIZATION_FAILED.
 *
 * ```ts
 * const producer = new Producer<string, string>({ keySerializer: string(), valueSerializer: string() })
 * ```
 */
export function string(): ValueSerializer<string> {
  return strings
}

/** Any bytes in, a Buffer out. */
export interface BytesSerializer {
  readonly contentType: string
  /** Throws SERIALIZATION_FAILED. */
  serialize(value: Uint8Array, topic?: string): Buffer
  /** Throws DESERIALIZATION_FAILED. */
  deserialize(bytes: Uint8Array, topic?: string): Buffer
}

/**
 * Bytes as they are, without a copy: what is read is a Buffer over the same memory. Refuses anything but Buffer and
 * Uint8Array. Clients without a serializer do the same; it is for where one is asked for.
 *
 * ```ts
 * const utils = new MessageUtils(bytes(), 'zstd')
 * ```
 */
export function bytes(): BytesSerializer {
  return octets as BytesSerializer
}

const strings = valueSerializer<string>({
  name: 'text',
  contentType: 'text/plain; charset=utf-8',
  write(value) {
    if (typeof value !== 'string') throw new Unfit(`expected a string, not ${kindOf(value)}`)
    if (LONE_SURROGATE.test(value))
      throw new Unfit('it holds half a character (a lone surrogate), which UTF-8 cannot say')
    return Buffer.from(value)
  },
  read: (data) => textOf(data, utf8),
})

const octets = valueSerializer<Uint8Array>({
  name: 'bytes',
  contentType: OCTETS,
  write(value) {
    if (!(value instanceof Uint8Array)) throw new Unfit(`expected Buffer or Uint8Array, not ${kindOf(value)}`)
    return bufferOf(value)
  },
  read: bufferOf,
})

/** `decoder` is a fatal one. */
export function textOf(data: Uint8Array, decoder: InstanceType<typeof TextDecoder>): string {
  try {
    return decoder.decode(data)
  } catch (cause) {
    throw new Unfit('they are not UTF-8', { cause })
  }
}
