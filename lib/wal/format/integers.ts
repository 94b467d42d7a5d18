/**
 * 64-bit integers of the log as plain numbers, without a bigint on the way.
 * Why: LSNs, positions and times are safe integers, and a bigint per frame would be most of what reading one costs.
 * Invariant: what is written was a safe integer; what is read is -1 (`NOT_SAFE`) when the bytes say more than that.
 */

const HIGH = 0x1_0000_0000
/** 2^21: a safe integer has 53 bits. */
const HIGH_LIMIT = 0x20_0000

/** Stands for "larger than a safe integer": no unsigned field of the format can be negative. */
export const NOT_SAFE = -1

export function putU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % HIGH, true)
  view.setUint32(at + 4, Math.floor(value / HIGH), true)
}

/** An unsigned 64-bit number, or NOT_SAFE. */
export function getU64(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true)
  return high < HIGH_LIMIT ? high * HIGH + view.getUint32(at, true) : NOT_SAFE
}

export function putI64(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / HIGH)
  view.setUint32(at, value - high * HIGH, true)
  view.setInt32(at + 4, high, true)
}

/** A signed 64-bit number; beyond the safe integers it loses its last bits (`Number.isSafeInteger` tells). */
export function getI64(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * HIGH + view.getUint32(at, true)
}

/** The next multiple of 8: where frames begin. */
export function aligned(at: number): number {
  return (at + 7) & ~7
}
