/**
 * From an item to bytes that the log copies: one buffer for all items, as large as the largest so far. Hot path.
 * Invariant: `bytes` holds the item encoded last, until the next call.
 */
import { MQError, toMQError } from '../errors/index.js'
import { walError } from '../wal/index.js'
import type { ItemCodec } from './codec.js'

const FIRST_BYTES = 4_096
/** How often a codec may ask for more room before it is taken to be broken. */
const MOST_CALLS = 3

export class Encoder<T> {
  bytes: Uint8Array = Buffer.allocUnsafeSlow(FIRST_BYTES)
  readonly #codec: ItemCodec<T>
  readonly #maxBytes: number

  constructor(codec: ItemCodec<T>, maxBytes: number) {
    this.#codec = codec
    this.#maxBytes = maxBytes
  }

  /** The length of the item, whose bytes stand in `bytes`. Throws SERIALIZATION_FAILED, WAL_FRAME_TOO_LARGE. */
  encode(item: T): number {
    for (let call = 1; ; call++) {
      const length = this.#lengthOf(item)
      if (length <= this.bytes.length) return this.#checked(length)
      this.#checked(length)
      if (call === MOST_CALLS) {
        throw refusal(
          item,
          new TypeError(`the codec asks for ever more room: ${length} B after ${this.bytes.length} B`),
        )
      }
      this.bytes = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.bytes.length))
    }
  }

  #lengthOf(item: T): number {
    let length: number
    try {
      length = this.#codec.encode(item, this.bytes)
    } catch (cause) {
      throw refusal(item, cause)
    }
    if (Number.isSafeInteger(length) && length >= 0) return length
    throw refusal(item, new TypeError(`the codec gave ${String(length)} instead of a length in bytes`))
  }

  #checked(length: number): number {
    if (length <= this.#maxBytes) return length
    const text = `an item of ${length} B is larger than a frame of the log may be (${this.#maxBytes} B): raise walMaxBytes, or split it`
    throw walError('WAL_FRAME_TOO_LARGE', text, { bytes: length, maxBytes: this.#maxBytes })
  }
}

function refusal(item: unknown, cause: unknown): MQError {
  const { message } = toMQError(cause, 'SERIALIZATION_FAILED', 'the codec threw')
  const text = `the codec cannot represent the item ${shown(item)}: ${message}`
  return new MQError('SERIALIZATION_FAILED', text, { item: shown(item) }, { cause })
}

/** Short, and whatever the item is. */
function shown(item: unknown): string {
  try {
    if (typeof item === 'object' && item !== null)
      return `${item.constructor?.name ?? 'object'} {${Object.keys(item).slice(0, 8).join(', ')}}`
    return String(item).slice(0, 60)
  } catch {
    return '[unreadable]'
  }
}
