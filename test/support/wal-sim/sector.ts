/**
 * Sectors: what a disk writes whole, or loses, or tears. Immutable, so that files and crash images share them; each
 * knows its hash, so that an image is told apart from another without looking at its bytes.
 * Source: wal.md 6.1.
 */

export interface Sector {
  readonly bytes: Uint8Array
  /** Two independent 32-bit hashes of the bytes. */
  readonly low: number
  readonly high: number
}

const zeros = new Map<number, Sector>()

/** The sector of zeros, one object for each size. */
export function zeroSector(bytes: number): Sector {
  let zero = zeros.get(bytes)
  if (zero === undefined) {
    zero = { bytes: new Uint8Array(bytes), low: 0, high: 0 }
    zeros.set(bytes, zero)
  }
  return zero
}

/** Takes the bytes over: nobody may write to them any more. */
export function sectorOf(bytes: Uint8Array): Sector {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2)
  let low = 0
  let high = 0
  let any = 0
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as number
    any |= word
    low = Math.imul(low ^ word, 0x01000193)
    low ^= low >>> 15
    high = Math.imul(high + word, 0x85ebca6b)
    high ^= high >>> 13
  }
  if (any === 0) return zeroSector(bytes.length)
  return { bytes, low: low | 0, high: high | 0 }
}

export function isSameSector(a: Sector, b: Sector): boolean {
  return a === b || (a.low === b.low && a.high === b.high && Buffer.compare(a.bytes, b.bytes) === 0)
}

/** What a number contributes to the hash of something larger: 32 bits in, 32 bits out. */
export function mix(value: number, salt: number): number {
  let z = (value ^ Math.imul(salt + 1, 0x9e3779b9)) | 0
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
  return (z ^ (z >>> 15)) | 0
}

export type TearKind = 'prefix' | 'suffix' | 'zero' | 'garbage'
export const TEAR_KINDS: readonly TearKind[] = ['prefix', 'suffix', 'zero', 'garbage']

/** A write of `next` over `previous` that the power cut ended at byte `cut`. */
export function tear(previous: Sector, next: Sector, kind: TearKind, cut: number): Sector {
  const bytes = Uint8Array.from(kind === 'suffix' ? next.bytes : previous.bytes)
  if (kind === 'suffix') bytes.set(previous.bytes.subarray(0, cut))
  else bytes.set(next.bytes.subarray(0, cut))
  if (kind === 'zero') bytes.fill(0, cut)
  if (kind === 'garbage') for (let at = cut; at < bytes.length; at++) bytes[at] = (at * 167 + cut * 31 + 89) & 255
  return sectorOf(bytes)
}
