/**
 * HOLE: a loss that recovery found and its owner accepted. Frames of that range are missed no more.
 * Source: wal.md 2.5, type 8.
 *
 *   0 fromLsn  8 toLsn  16 segment  24 fromByte  32 toByte  40 verdict  41 zero  44 count, then per range:
 *   0 stream  4 zero  8 from  16 to (positions, inclusive)
 */
import type { HoleFacts, HoleVerdict } from '../../types.js'
import { putU64 } from '../integers.js'
import { BodyReader } from './body-reader.js'

const FIXED_BYTES = 48
const RANGE_BYTES = 24
const VERDICTS: readonly HoleVerdict[] = ['corrupt', 'reordered', 'unaccepted']

export function holeBytes(hole: HoleFacts): number {
  return FIXED_BYTES + hole.ranges.length * RANGE_BYTES
}

export function encodeHole(_into: Uint8Array, view: DataView, at: number, hole: HoleFacts): number {
  putU64(view, at, hole.fromLsn)
  putU64(view, at + 8, hole.toLsn)
  putU64(view, at + 16, hole.segment)
  putU64(view, at + 24, hole.fromByte)
  putU64(view, at + 32, hole.toByte)
  view.setUint32(at + 40, VERDICTS.indexOf(hole.verdict), true)
  view.setUint32(at + 44, hole.ranges.length, true)
  let end = at + FIXED_BYTES
  for (const range of hole.ranges) {
    view.setUint32(end, range.stream, true)
    view.setUint32(end + 4, 0, true)
    putU64(view, end + 8, range.from)
    putU64(view, end + 16, range.to)
    end += RANGE_BYTES
  }
  return end
}

/** @throws MQError WAL_CORRUPT */
export function decodeHole(bytes: Uint8Array, view: DataView, at: number, length: number): HoleFacts {
  const reader = new BodyReader(bytes, view, at, length, 'HOLE')
  const fromLsn = reader.u64()
  const toLsn = reader.u64()
  const segment = reader.u64()
  const fromByte = reader.u64()
  const toByte = reader.u64()
  const verdict = VERDICTS[reader.u8()]
  reader.skip(3)
  if (verdict === undefined) throw reader.damaged('its verdict is unknown')
  const ranges = Array.from({ length: reader.count(RANGE_BYTES) }, () => readRange(reader))
  return { fromLsn, toLsn, segment, fromByte, toByte, verdict, ranges }
}

function readRange(reader: BodyReader): HoleFacts['ranges'][number] {
  const stream = reader.u32()
  reader.skip(4)
  const from = reader.u64()
  const to = reader.u64()
  if (to < from) throw reader.damaged(`a range of stream ${stream} ends before it begins`)
  return { stream, from, to }
}
