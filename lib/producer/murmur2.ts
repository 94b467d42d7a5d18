/**
 * The key hash of Kafka's default partitioner. Hot path for keyed records.
 * Invariant: equals the Java client bit for bit, so that a key stays on its partition whoever writes it.
 * Source: MurmurHash2 by Austin Appleby (public domain), 32 bit, seed 0x9747b28c, little-endian words.
 */
const SEED = 0x9747b28c
const M = 0x5bd1e995
const R = 24

/** Signed 32-bit hash of the bytes from `from` to `end`. */
export function murmur2(bytes: Uint8Array, from = 0, end = bytes.length): number {
  let at = from
  let hash = SEED ^ (end - from)
  for (; at + 4 <= end; at += 4) {
    let word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    word = Math.imul(word, M)
    word ^= word >>> R
    hash = Math.imul(hash, M) ^ Math.imul(word, M)
  }
  const left = end - at
  if (left > 0) {
    if (left === 3) hash ^= (bytes[at + 2] as number) << 16
    if (left >= 2) hash ^= (bytes[at + 1] as number) << 8
    hash = Math.imul(hash ^ (bytes[at] as number), M)
  }
  hash ^= hash >>> 13
  hash = Math.imul(hash, M)
  return hash ^ (hash >>> 15)
}

/** Partition of a keyed record: all partitions count, whether their leader is known or not. */
export function partitionOfHash(hash: number, partitionCount: number): number {
  return (hash & 0x7fffffff) % partitionCount
}
