/**
 * Lines, or whatever a delimiter ends. Hot path. NT-4.
 * Why text is checked: a byte that is no UTF-8 would reach the handler as another one, silently.
 * Invariant: of a line that has not ended no byte is searched twice (`protocolState` is how far it was searched), and not more
 * of it is waited for than `maxFrameBytes`.
 */
import { isUtf8 } from 'node:buffer'
import { MQError } from '../../../errors/index.js'
import type { RingBuffer } from '../ring-buffer.js'
import type { Connection, Packed, Protocol, Unpacked } from '../types.js'
import { checkWhole, MAX_FRAME_BYTES, malformedFrame, tooLargeFrame, tooLargeMessage, unknownOption } from './frames.js'

const DEFAULT_MAX_LINE = 1024 * 1024
const CARRIAGE_RETURN = 0x0d
const LINE_FEED = 0x0a

export interface LineOptions {
  /** What ends a line: text or bytes, at least one. Default a line feed, and a carriage return before it is dropped. */
  readonly delimiter?: string | Uint8Array
  /** Drops a carriage return before the delimiter. Default: true for the default delimiter, else false. */
  readonly stripCarriageReturn?: boolean
  /** Longest line without its end, in bytes; a longer one closes the connection. Default 1 MiB, at most 100 MiB. */
  readonly maxFrameBytes?: number
}

/**
 * Lines of UTF-8 text, as strings, or of any bytes with `encoding: 'bytes'`, which belong to the handler. An empty line is a
 * message. Throws INVALID_CONFIG for options that are none. A line that is too long, or not UTF-8, closes the connection:
 * CONNECTION_FAILED with reason TOO_LARGE or MALFORMED_FRAME. Sending a message that is too long throws MESSAGE_TOO_LARGE; one
 * that contains the delimiter, SERIALIZATION_FAILED: it would arrive as two.
 */
export function lineProtocol(
  options?: LineOptions & { readonly encoding?: 'utf8' },
): Protocol<undefined, string, Uint8Array | string>
export function lineProtocol(
  options: LineOptions & { readonly encoding: 'bytes' },
): Protocol<undefined, Buffer, Uint8Array | string>
export function lineProtocol(
  options: LineOptions & { readonly encoding?: 'utf8' | 'bytes' } = {},
): Protocol<undefined, string, Uint8Array | string> | Protocol<undefined, Buffer, Uint8Array | string> {
  const encoding: unknown = options.encoding ?? 'utf8'
  const lines = new Lines(options)
  if (encoding === 'bytes') return new ByteLines(lines)
  if (encoding === 'utf8') return new TextLines(lines)
  throw unknownOption('encoding', encoding, ['utf8', 'bytes'])
}

class TextLines implements Protocol<undefined, string, Uint8Array | string> {
  readonly #lines: Lines
  constructor(lines: Lines) {
    this.#lines = lines
  }

  unpack(c: Connection<undefined, string>, ring: RingBuffer): Unpacked<undefined, string> | undefined {
    const line = this.#lines.next(c, ring)
    if (line === undefined) return undefined
    if (isUtf8(line)) return { ctx: undefined, data: line.toString('utf8') }
    const text = `a line of ${line.length} bytes is not UTF-8: use encoding 'bytes', or does the peer speak this protocol?`
    throw malformedFrame(text, { bytes: line.length })
  }

  pack(_: unknown, data: Uint8Array | string): Packed {
    return this.#lines.pack(data)
  }
}

class ByteLines implements Protocol<undefined, Buffer, Uint8Array | string> {
  readonly #lines: Lines
  constructor(lines: Lines) {
    this.#lines = lines
  }

  unpack(c: Connection, ring: RingBuffer): Unpacked<undefined, Buffer> | undefined {
    const data = this.#lines.next(c, ring)
    return data === undefined ? undefined : { ctx: undefined, data }
  }

  pack(_: unknown, data: Uint8Array | string): Packed {
    return this.#lines.pack(data)
  }
}

/** Where a line ends. */
class Lines {
  readonly #delimiter: Buffer
  readonly #last: number
  readonly #strips: boolean
  readonly #maxFrameBytes: number

  constructor({ delimiter, stripCarriageReturn, maxFrameBytes = DEFAULT_MAX_LINE }: LineOptions) {
    this.#delimiter = typeof delimiter === 'string' ? Buffer.from(delimiter) : Buffer.from(delimiter ?? [LINE_FEED])
    if (this.#delimiter.length === 0)
      throw new MQError('INVALID_CONFIG', 'delimiter has 0 bytes: a line needs at least 1')
    this.#last = this.#delimiter[this.#delimiter.length - 1] as number
    this.#strips = stripCarriageReturn ?? delimiter === undefined
    this.#maxFrameBytes = checkWhole('maxFrameBytes', maxFrameBytes, 1, MAX_FRAME_BYTES)
  }

  /** The next line without its end. */
  next(c: { protocolState: unknown }, ring: RingBuffer): Buffer | undefined {
    const searched = typeof c.protocolState === 'number' ? c.protocolState : 0
    const end = this.#endOf(ring, searched)
    const delimiterBytes = this.#delimiter.length
    if (end < 0) {
      this.#checkLength(ring, Math.max(0, ring.length - (delimiterBytes - 1)))
      if (ring.length !== searched) c.protocolState = ring.length
      return undefined
    }
    if (searched !== 0) c.protocolState = 0
    this.#checkLength(ring, end)
    const isStripped = this.#strips && end > 0 && ring.peekUint8(end - 1) === CARRIAGE_RETURN
    const line = ring.take(isStripped ? end - 1 : end)
    ring.retrieve(isStripped ? delimiterBytes + 1 : delimiterBytes)
    return line
  }

  /** A carriage return that may still turn out to be one of the end is not counted. */
  #checkLength(ring: RingBuffer, bytes: number): void {
    if (bytes <= this.#maxFrameBytes) return
    const isEnd = this.#strips && bytes === this.#maxFrameBytes + 1 && ring.peekUint8(bytes - 1) === CARRIAGE_RETURN
    if (!isEnd) throw tooLargeFrame(bytes, this.#maxFrameBytes)
  }

  /** Where the first delimiter begins, of which the bytes before `searched` are not the last one; or -1. */
  #endOf(ring: RingBuffer, searched: number): number {
    const delimiter = this.#delimiter
    const first = Math.max(searched, delimiter.length - 1)
    for (let at = ring.indexOf(this.#last, first); at >= 0; at = ring.indexOf(this.#last, at + 1)) {
      const begin = at - delimiter.length + 1
      let same = 0
      while (same < delimiter.length - 1 && ring.peekUint8(begin + same) === delimiter[same]) same++
      if (same === delimiter.length - 1) return begin
    }
    return -1
  }

  pack(data: Uint8Array | string): Buffer {
    const bytes = typeof data === 'string' ? Buffer.byteLength(data) : data.length
    if (bytes > this.#maxFrameBytes) throw tooLargeMessage(bytes, this.#maxFrameBytes)
    const line = Buffer.allocUnsafe(bytes + this.#delimiter.length)
    if (typeof data === 'string') line.write(data, 0)
    else line.set(data, 0)
    line.set(this.#delimiter, bytes)
    if (line.indexOf(this.#delimiter) !== bytes) {
      const text = `a message of ${bytes} bytes contains the delimiter and would arrive as several: send it as several`
      throw new MQError('SERIALIZATION_FAILED', text, { bytes, at: line.indexOf(this.#delimiter) })
    }
    return line
  }
}
