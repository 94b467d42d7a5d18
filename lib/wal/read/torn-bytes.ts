/**
 * How many bytes behind the last frame were being written when the log ended. Only for reports: no record depends on it.
 * Why it is not exact: a recycled segment is full of old bytes. A header that verifies under this salt proves a torn
 * frame; other bytes count only in a segment that is zero up to its end, hence new.
 */
import type { SegmentSource } from './segment-source.js'

/** A segment whose last bytes are zero was not filled before. */
const PROBE_BYTES = 512
const ZEROS = Buffer.alloc(2048)

/** `verifiedEnd`: behind the last body whose header verified. */
export async function tornBytesAt(
  source: SegmentSource,
  end: number,
  verifiedEnd: number,
  isClean: boolean,
): Promise<number> {
  if (verifiedEnd > end) return Math.min(verifiedEnd, source.end) - end
  if (isClean || end >= source.end) return 0
  await source.fill(Math.max(end, source.end - PROBE_BYTES), source.end)
  if (lastByte(source, Math.max(end, source.end - PROBE_BYTES), source.end) >= 0) return 0
  const to = Math.min(end + source.capacity, source.end)
  await source.fill(end, to)
  const last = lastByte(source, end, Math.min(to, source.filledTo))
  await source.close()
  return last < 0 ? 0 : last + 1 - end
}

/** Position of the last byte that is not zero; -1: none. */
function lastByte(source: SegmentSource, from: number, to: number): number {
  const { bytes, view, origin } = source
  // Most of what is behind the end of a log is zero: the native comparison finds that out ten times faster.
  while (to - from >= ZEROS.length && ZEROS.compare(bytes, to - ZEROS.length - origin, to - origin) === 0) {
    to -= ZEROS.length
  }
  let at = to - 1
  // Eight zeros at a time as long as there are eight.
  while (at - 7 >= from && view.getUint32(at - 3 - origin) === 0 && view.getUint32(at - 7 - origin) === 0) at -= 8
  for (; at >= from; at--) if (bytes[at - origin] !== 0) return at
  return -1
}
