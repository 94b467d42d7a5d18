/**
 * Copying and searching in a part of a buffer. Hot path.
 * Why: `set` and `indexOf` want whole arrays, and a view costs more than the copy of a few bytes.
 */

/** Below this a loop is faster than a view and `set`. */
const LOOP_BYTES = 24

/** `source[from, end)` to `target[at, ...)`. */
export function copy(source: Uint8Array, from: number, end: number, target: Uint8Array, at: number): void {
  if (end - from >= LOOP_BYTES) {
    target.set(from === 0 && end === source.length ? source : source.subarray(from, end), at)
    return
  }
  for (let index = from, to = at; index < end; index++, to++) target[to] = source[index] as number
}

/** Index of the first `byte` in `bytes[from, end)`, or -1. */
export function find(bytes: Buffer, byte: number, from: number, end: number): number {
  if (from >= end) return -1
  if (end === bytes.length) return bytes.indexOf(byte, from)
  const found = bytes.subarray(from, end).indexOf(byte)
  return found < 0 ? -1 : found + from
}
