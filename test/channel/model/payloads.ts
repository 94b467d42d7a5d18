/**
 * Bytes that say which record they belong to, without a buffer per record: windows into one table of counted words.
 * Why a scratch copy: with `copyOnWrite` the writer may reuse his bytes at once, and here he does.
 */
import { seededRandom } from '../../../lib/util/index.js'
import { check, type Rec } from './model-types.js'
import type { Setup } from './setup.js'

const LARGEST = 80_000
const WORDS = 64 * 1024
const STRIDE_WORDS = 13

const table = Buffer.allocUnsafeSlow(WORDS * 4 + LARGEST)
const random = seededRandom(5)
for (let at = 0; at < table.length; at += 4) table.writeUInt32LE(Math.floor(random.next() * 2 ** 32), at)
const scratch = Buffer.allocUnsafeSlow(LARGEST)

const SMALL = [0, 0, 1, 4, 15, 16, 17, 40, 60, 100, 100, 100, 250, 600]
const BORDERS = [1023, 1024, 1025, 1024, 32_768, 32_769]

/** A size around the borders that the setup has, mostly small: `a` chooses. */
export function sizeFor(setup: Setup, a: number): number {
  if (setup.kind !== 'bytes' && !setup.hasSizes) return 0
  const roll = a % 100
  if (roll < 82) return SMALL[(a >> 7) % SMALL.length] as number
  if (roll < 94) return BORDERS[(a >> 7) % BORDERS.length] as number
  const above = roll < 97 ? setup.tuning.maxBytes + 1 : setup.limits.bytes + 1
  return above <= LARGEST ? above : 16
}

function startOf({ n }: Rec): number {
  return ((n * STRIDE_WORDS) % WORDS) * 4
}

/** What is written for a record; with `copies`, bytes that `scribble` destroys. */
export function payloadOf(record: Rec, copies: boolean): Uint8Array {
  const start = startOf(record)
  if (!copies) return table.subarray(start, start + record.bytes)
  table.copy(scratch, 0, start, start + record.bytes)
  return scratch.subarray(0, record.bytes)
}

export function scribble(record: Rec): void {
  scratch.fill(0xee, 0, Math.min(4, record.bytes))
  if (record.bytes > 0) scratch[record.bytes - 1] = 0xee
}

/** First word and last byte are enough: no two records of a run agree in them. */
export function checkBytes(bytes: Uint8Array, record: Rec, when: string): void {
  const start = startOf(record)
  const isRight =
    bytes.length === record.bytes &&
    [0, 1, 2, 3, record.bytes - 1].every((at) => bytes[at] === expected(start, at, record))
  check(isRight, () => `${when}: not the bytes of record ${record.n} (${record.bytes} B, got ${bytes.length} B)`)
}

function expected(start: number, at: number, { bytes }: Rec): number | undefined {
  return at < 0 || at >= bytes ? undefined : table[start + at]
}
