/**
 * CRC-32C of a range inside a larger array.
 * Why not `crc32c(bytes.subarray(...))` alone: a frame header has 24 checked bytes, for which the view and the native
 * call (150 ns) cost more than the arithmetic (20 ns). Longer ranges go to the native form.
 * Invariant: agrees with `crc32c` for every range (test/wal/format/range-crc.test.ts).
 */
import { crc32c } from '../../util/index.js'

/** Up to here arithmetic is faster than a view and a native call; measured on x64, node 20. */
const SHORT_BYTES = 104
const POLYNOMIAL = 0x82f63b78

const [t0, t1, t2, t3, t4, t5, t6, t7] = makeTables()

/** CRC-32C of bytes[from..to), going on from `previous`. Unsigned. */
export function crcOfRange(bytes: Uint8Array, from: number, to: number, previous: number): number {
  if (to - from > SHORT_BYTES) return crc32c(bytes.subarray(from, to), previous) >>> 0
  let crc = ~previous
  let at = from
  for (const whole = to - 7; at < whole; at += 8) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    crc =
      (t7[crc & 255] as number) ^
      (t6[(crc >>> 8) & 255] as number) ^
      (t5[(crc >>> 16) & 255] as number) ^
      (t4[crc >>> 24] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number)
  }
  for (; at < to; at++) crc = (t0[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8)
  return ~crc >>> 0
}

type Table = Int32Array
type Tables = readonly [Table, Table, Table, Table, Table, Table, Table, Table]

/** Slicing by 8: table n is the CRC of a byte followed by n zero bytes. */
function makeTables(): Tables {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256))
  const first = tables[0] as Int32Array
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    first[byte] = crc
  }
  for (let slice = 1; slice < 8; slice++) {
    const before = tables[slice - 1] as Int32Array
    const table = tables[slice] as Int32Array
    for (let byte = 0; byte < 256; byte++) {
      const crc = before[byte] as number
      table[byte] = (first[crc & 255] as number) ^ (crc >>> 8)
    }
  }
  return tables as unknown as Tables
}
