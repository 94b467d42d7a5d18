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
  // A long piece is put together once, at its end: putting each chunk behind what is there takes quadratic time.
  let parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of source) {
    // Only the tail of what was searched already can hold the beginning of a delimiter.
    const tail = tailOf(parts, delimiter.length - 1)
    let rest = Buffer.concat([tail, chunk])
    let at = rest.indexOf(delimiter)
    if (at < 0) {
      parts.push(rest.subarray(tail.length))
      bytes += chunk.length
    } else {
      yield parts.length === 0 ? rest.subarray(0, at) : Buffer.concat([...parts, chunk], bytes - tail.length + at)
      rest = rest.subarray(at + delimiter.length)
      for (at = rest.indexOf(delimiter); at >= 0; at = rest.indexOf(delimiter)) {
        yield rest.subarray(0, at)
        rest = rest.subarray(at + delimiter.length)
      }
      parts = [rest]
      bytes = rest.length
    }
    if (bytes > limitBytes) throw new UsageError(`a record of more than ${limitBytes} B: is the delimiter -D right?`)
  }
  if (bytes > 0) yield Buffer.concat(parts)
}

/** The last bytes of what is there; parts may be many, and small. */
function tailOf(parts: readonly Buffer[], length: number): Buffer {
  const found: Buffer[] = []
  for (let at = parts.length - 1, left = length; at >= 0 && left > 0; at--) {
    const part = parts[at] as Buffer
    found.unshift(part.subarray(Math.max(0, part.length - left)))
    left -= part.length
  }
  return Buffer.concat(found)
}
