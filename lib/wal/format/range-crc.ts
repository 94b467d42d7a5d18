/**
 * CRC-32C of a range inside a larger array.
 * Why not `crc32c(bytes.subarray(...))` alone: a frame header has 24 checked bytes, for which the view and the native
 * call (150 ns) cost more than the arithmetic (40 ns). Longer ranges go to the native form.
 * Invariant: agrees with `crc32c` for every range (test/wal/format/range-crc.test.ts).
 */
import { crc32c } from '../../util/index.js'

/** Up to here arithmetic is faster than a view and a native call; measured on x64, node 20. */
const SHORT_BYTES = 64
const POLYNOMIAL = 0x82f63b78

const [t0, t1, t2, t3] = makeTables()

/** CRC-32C of bytes[from..to), going on from `previous`. Unsigned. */
export function crcOfRange(bytes: Uint8Array, from: number, to: number, previous: number): number {
  if (to - from > SHORT_BYTES) return crc32c(bytes.subarray(from, to), previous) >>> 0
  let crc = ~previous
  let at = from
  for (const whole = to - 3; at < whole; at += 4) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    crc =
      (t3[crc & 255] as number) ^
      (t2[(crc >>> 8) & 255] as number) ^
      (t1[(crc >>> 16) & 255] as number) ^
      (t0[crc >>> 24] as number)
  }
  for (; at < to; at++) crc = (t0[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8)
  return ~crc >>> 0
}

/** Slicing by 4: table n is the CRC of a byte followed by n zero bytes. */
function makeTables(): readonly [Int32Array, Int32Array, Int32Array, Int32Array] {
  const tables = [new Int32Array(256), new Int32Array(256), new Int32Array(256), new Int32Array(256)] as const
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    tables[0][byte] = crc
  }
  for (let slice = 1; slice < 4; slice++) {
    const before = tables[slice - 1] as Int32Array
    const table = tables[slice] as Int32Array
    for (let byte = 0; byte < 256; byte++) {
      const crc = before[byte] as number
      table[byte] = (tables[0][crc & 255] as number) ^ (crc >>> 8)
    }
  }
  return tables
}
