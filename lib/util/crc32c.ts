/**
 * CRC-32C (Castagnoli), reflected polynomial 0x82F63B78. Hot path, once per batch.
 * Two implementations that must agree for every slice: the native one (6-8 GB/s) when its optional package is
 * installed, else slicing-by-8 in JavaScript. Check value: CRC-32C of '123456789' is E3069283.
 * Source: RFC 3720 appendix B.4; the combination below follows from x^(8n) modulo the polynomial.
 */
import { createRequire } from 'node:module'

const POLYNOMIAL = 0x82f63b78

type Crc32c = (bytes: Uint8Array, previous?: number) => number

const tables = makeTables()

/** The JavaScript implementation. `previous` is the CRC of the bytes before, to go on from there. */
export function crc32cPure(bytes: Uint8Array, previous = 0): number {
  return crc32cPureRange(bytes, 0, bytes.length, previous)
}

/** The same of bytes[from..to): for a few bytes a view of them and a native call cost more than this arithmetic. */
export function crc32cPureRange(bytes: Uint8Array, from: number, to: number, previous: number): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables
  let crc = ~previous
  let at = from
  for (const whole = to - 7; at < whole; at += 8) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24))
    crc =
      (t7[low & 255] as number) ^
      (t6[(low >>> 8) & 255] as number) ^
      (t5[(low >>> 16) & 255] as number) ^
      (t4[low >>> 24] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number)
  }
  for (; at < to; at++) crc = (t0[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8)
  return ~crc >>> 0
}

function loadNative(): Crc32c | undefined {
  try {
    const native = createRequire(import.meta.url)('@node-rs/crc32') as { crc32c: Crc32c }
    return native.crc32c(Buffer.from('123456789')) === 0xe3069283 ? native.crc32c : undefined
  } catch {
    return undefined // The optional package is absent on this platform: the JavaScript form serves.
  }
}

const native = loadNative()
export const isCrc32cNative = native !== undefined

/** CRC-32C as an unsigned number. `previous` is the CRC of the bytes before, to go on from there. */
export const crc32c: Crc32c = native ?? crc32cPure

/** x^(2^k) modulo the polynomial, for k = 3 (one byte) and up: 29 entries cover lengths to 2^31 bytes. */
const bytePowers = makeBytePowers()

/** CRC of A followed by B, from crc(A), crc(B) and the length of B. At most 32 steps per set bit of the length. */
export function crc32cCombine(crcA: number, crcB: number, lengthB: number): number {
  let shifted = crcA
  for (let k = 0, left = lengthB; left > 0; k++, left = Math.floor(left / 2)) {
    if (left % 2 === 1) shifted = multiply(shifted, bytePowers[k] as number)
  }
  return (shifted ^ crcB) >>> 0
}

/** Product of two polynomials modulo the CRC polynomial; bit 31 is the coefficient of x^0 (reflected). */
function multiply(a: number, b: number): number {
  let product = 0
  for (let bit = 31; bit >= 0 && a !== 0; bit--) {
    if (a & 0x80000000) product ^= b
    a = (a << 1) | 0
    b = b & 1 ? (b >>> 1) ^ POLYNOMIAL : b >>> 1
  }
  return product >>> 0
}

function makeBytePowers(): readonly number[] {
  let power = 0x40000000 // x^1
  for (let k = 0; k < 3; k++) power = multiply(power, power)
  const powers: number[] = []
  for (let k = 0; k < 32; k++) {
    powers.push(power)
    power = multiply(power, power)
  }
  return powers
}

type Tables = readonly [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array]

function makeTables(): Tables {
  const all = Array.from({ length: 8 }, () => new Int32Array(256))
  const first = all[0] as Int32Array
  for (let index = 0; index < 256; index++) {
    let crc = index
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    first[index] = crc
  }
  for (let slice = 1; slice < 8; slice++) {
    const before = all[slice - 1] as Int32Array
    const table = all[slice] as Int32Array
    for (let index = 0; index < 256; index++) {
      const crc = before[index] as number
      table[index] = (first[crc & 255] as number) ^ (crc >>> 8)
    }
  }
  return all as unknown as Tables
}
