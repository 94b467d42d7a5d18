/**
 * Decodes one raw lz4 block in JavaScript, into a buffer that may hold the blocks before it.
 * Why: the native decoder takes independent blocks only and cannot say why it stopped; linked blocks (rare in Kafka,
 * legal in lz4) and the last block below a ceiling come here. Three to five times slower than the native one.
 * Invariant: writes only inside [at, limit), reads only inside the block and [start, at).
 */

/** Not enough room below `limit`: the block is longer than its caller allows. */
export const BLOCK_TOO_LONG = -1
/** Not a legal block: it ends too early, or copies from before the start of the output. */
export const BLOCK_BROKEN = -2

/** The position behind the decoded bytes, or one of the two failures above. `out[start..at)` is the dictionary. */
export function decodeLz4Block(block: Uint8Array, out: Uint8Array, start: number, at: number, limit: number): number {
  const end = block.length
  let from = 0
  while (from < end) {
    const token = block[from++] as number
    let literals = token >>> 4
    if (literals === 15) {
      let byte = 255
      while (byte === 255) {
        if (from >= end) return BLOCK_BROKEN
        byte = block[from++] as number
        literals += byte
      }
    }
    if (literals > end - from) return BLOCK_BROKEN
    if (literals > limit - at) return BLOCK_TOO_LONG
    for (let i = 0; i < literals; i++) out[at++] = block[from++] as number
    if (from === end) return at // The last sequence has literals only.
    if (from + 2 > end) return BLOCK_BROKEN
    const distance = (block[from] as number) | ((block[from + 1] as number) << 8)
    from += 2
    if (distance === 0 || distance > at - start) return BLOCK_BROKEN
    let length = (token & 15) + 4
    if (length === 19) {
      let byte = 255
      while (byte === 255) {
        if (from >= end) return BLOCK_BROKEN
        byte = block[from++] as number
        length += byte
      }
    }
    if (length > limit - at) return BLOCK_TOO_LONG
    // Byte by byte: source and target overlap when the distance is shorter than the length, and repeat then.
    for (let source = at - distance, stop = at + length; at < stop; ) out[at++] = out[source++] as number
  }
  return BLOCK_BROKEN // A block ends with literals, so it is never empty and never ends with a copy.
}
