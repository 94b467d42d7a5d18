/**
 * Sequence arithmetic: int32 without sign, 2147483647 is followed by 0. No other arithmetic on sequences anywhere.
 * Source: kafka.md R-4.
 */
const RANGE = 2 ** 31

/** The sequence `count` records later. */
export function seqAdd(sequence: number, count: number): number {
  return (sequence + count) % RANGE
}

/** Signed distance a - b in +-2^30: positive when `a` comes after `b`. */
export function seqDiff(a: number, b: number): number {
  const distance = (((a - b) % RANGE) + RANGE) % RANGE
  return distance >= RANGE / 2 ? distance - RANGE : distance
}

/** Last sequence of a batch that begins at `base`. */
export function lastSequence(base: number, count: number): number {
  return seqAdd(base, count - 1)
}
