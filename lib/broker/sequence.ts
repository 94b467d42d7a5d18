/**
 * Arithmetic of producer sequence numbers as a broker sees it.
 * Why here again: the client has its own copy on purpose, so that one mistake cannot hide the other (F-5).
 * Invariant: a sequence is 0..2^31-1 and 0 follows 2147483647 (kafka.md R-4).
 */
const SEQUENCES = 2 ** 31

/** `count` sequences after `sequence`, modulo 2^31. */
export function sequenceAfter(sequence: number, count: number): number {
  return (((sequence + count) % SEQUENCES) + SEQUENCES) % SEQUENCES
}
