/**
 * A stream of bytes, cut at a delimiter.
 * Why by bytes: a delimiter may be any bytes, and a value need not be text. Invariant: at most one piece plus one chunk
 * is in memory; a piece above `limitBytes` is refused instead of growing without end.
 */
import { UsageError } from './usage.js'

export async function* split(
  source: AsyncIterable<Uint8Array>,
  delimiter: Uint8Array,
  limitBytes: number,
): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of source) {
    // Only the tail of what was searched already can hold the beginning of a delimiter.
    const searched = Math.max(0, rest.length - delimiter.length + 1)
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    let from = 0
    for (let at = rest.indexOf(delimiter, searched); at >= 0; at = rest.indexOf(delimiter, from)) {
      yield rest.subarray(from, at)
      from = at + delimiter.length
    }
    rest = rest.subarray(from)
    if (rest.length > limitBytes)
      throw new UsageError(`a record of more than ${limitBytes} B: is the delimiter -D right?`)
  }
  if (rest.length > 0) yield rest
}
