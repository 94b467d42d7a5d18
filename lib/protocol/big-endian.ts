/**
 * Fixed-width fields read by index. Why not a DataView: a batch header is read once per batch, and one more object per
 * batch costs what fifteen of these reads cost.
 * Invariant: the caller has checked that the bytes are there.
 */

export function int8At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 24) >> 24
}

export function int16At(bytes: Uint8Array, at: number): number {
  return (((bytes[at] as number) << 24) >> 16) | (bytes[at + 1] as number)
}

export function int32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}

export function uint32At(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at) >>> 0
}

/** An int64 as a number: exact within +-2^53, else the nearest double. Callers that must not round check for that. */
export function int64At(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at) * 0x1_0000_0000 + uint32At(bytes, at + 4)
}

export function bigint64At(bytes: Uint8Array, at: number): bigint {
  const high = int32At(bytes, at)
  // Most producer ids, and -1, fit a number, which converts to a bigint four times faster than two halves.
  if (high === high >> 20) return BigInt(high * 0x1_0000_0000 + uint32At(bytes, at + 4))
  return (BigInt(high) << 32n) | BigInt(uint32At(bytes, at + 4))
}
