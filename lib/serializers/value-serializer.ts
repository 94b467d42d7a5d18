/**
 * What all serializers of this room share: null is a tombstone and passes, and every failure is an MQError with the topic.
 * Why here too, although producer and consumer wrap what a serializer throws: these functions are also called directly,
 * and an MQError that already says SERIALIZATION_FAILED or DESERIALIZATION_FAILED is not wrapped a second time.
 * Invariant: what is read equals what was written, or there is an error; nothing is repaired in silence (CD-3).
 */
import type { Serializer } from '../config/index.js'
import { type ErrorContext, MQError } from '../errors/index.js'

/**
 * A `Serializer` that can be called directly as well: the topic may be left out. Null is a tombstone, which clients do
 * not hand to serializers; whoever does gets null back.
 */
export interface ValueSerializer<T> extends Serializer<T> {
  /** Throws SERIALIZATION_FAILED. */
  serialize(value: T, topic?: string): Buffer
  /** Throws DESERIALIZATION_FAILED. */
  deserialize(bytes: Uint8Array, topic?: string): T
}

/** One format: how its values become bytes and come back. Both throw anything; the text of an `Unfit` is shown. */
export interface Format<T> {
  /** For messages: 'JSON'. */
  readonly name: string
  readonly contentType: string
  write(value: T): Buffer
  read(bytes: Uint8Array): T
}

/** Content type of bytes that say nothing about themselves. */
export const OCTETS = 'application/octet-stream'

/** The types say Buffer, since nobody who follows them gets one. */
const TOMBSTONE = null as never

export function valueSerializer<T>(format: Format<T>): ValueSerializer<T> {
  const { name, contentType } = format
  return Object.freeze({
    contentType,
    serialize(value: T, topic?: string) {
      if (value === null) return TOMBSTONE
      try {
        return format.write(value)
      } catch (cause) {
        throw failure('SERIALIZATION_FAILED', `a value${to(topic)} cannot be written as ${name}`, topic, cause)
      }
    },
    deserialize(bytes: Uint8Array, topic?: string) {
      if (bytes === null) return bytes
      try {
        return format.read(checked(bytes))
      } catch (cause) {
        throw failure('DESERIALIZATION_FAILED', `bytes${of(topic)} cannot be read as ${name}`, topic, cause)
      }
    },
  })
}

/** A reason of ours, to be shown; what a parser says may hold a piece of the data, so that stays in `cause`. */
export class Unfit extends Error {}

/** For values of another kind than the types allow: callers without types, or with wrong ones. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  return Array.isArray(value) ? 'an array' : 'an object'
}

/** The same bytes as a Buffer, without a copy. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function checked(bytes: Uint8Array): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes
  throw new Unfit(`expected bytes (Buffer or Uint8Array), not ${kindOf(bytes)}`)
}

function failure(
  code: 'SERIALIZATION_FAILED' | 'DESERIALIZATION_FAILED',
  text: string,
  topic: string | undefined,
  thrown: unknown,
): MQError {
  if (thrown instanceof MQError && thrown.is(code)) return thrown
  const context: ErrorContext = isNamed(topic) ? { topic } : {}
  if (!(thrown instanceof Unfit)) return new MQError(code, text, context, { cause: thrown })
  return new MQError(code, `${text}: ${thrown.message}`, context, { cause: thrown.cause })
}

const isNamed = (topic: string | undefined): topic is string => topic !== undefined && topic !== ''
const to = (topic: string | undefined) => (isNamed(topic) ? ` for ${topic}` : '')
const of = (topic: string | undefined) => (isNamed(topic) ? ` of ${topic}` : '')
