/**
 * The first 4096 bytes of a segment: what the file is, written twice so that one torn or rotten sector loses nothing.
 * Source: wal.md 2.3.
 *
 *   0 magic  8 major  10 minor  12 crc  16 walId  32 segment  40 salt  48 segmentBytes  56 sectorBytes
 *   60 incarnation  64 createdAtMs  72 features  76..128 zero; the same again at 2048
 */
import { SEGMENT_HEADER_BYTES } from './constants.js'
import { getU64, putU64 } from './integers.js'
import { crcOfRange } from './range-crc.js'

const COPY_BYTES = SEGMENT_HEADER_BYTES / 2
const USED_BYTES = 128
const MAGIC = Buffer.from('TDMQWAL1', 'latin1')

export interface SegmentHeader {
  readonly major: number
  readonly minor: number
  /** 16 random bytes of the directory. */
  readonly walId: Uint8Array
  /** Equals the name of the file. */
  readonly segment: number
  /** 8 random bytes, new at every activation of a file. */
  readonly salt: Uint8Array
  readonly segmentBytes: number
  readonly sectorBytes: number
  readonly incarnation: number
  readonly createdAtMs: number
  /** Every bit must be understood; none is defined in 1.0 (bit 0 is kept for encryption). */
  readonly features: number
}

/** Fills the first 4096 bytes of `into`. */
export function encodeSegmentHeader(header: SegmentHeader, into: Uint8Array): void {
  into.fill(0, 0, SEGMENT_HEADER_BYTES)
  const view = new DataView(into.buffer, into.byteOffset, SEGMENT_HEADER_BYTES)
  into.set(MAGIC, 0)
  view.setUint16(8, header.major, true)
  view.setUint16(10, header.minor, true)
  into.set(header.walId, 16)
  putU64(view, 32, header.segment)
  into.set(header.salt, 40)
  putU64(view, 48, header.segmentBytes)
  view.setUint32(56, header.sectorBytes, true)
  view.setUint32(60, header.incarnation, true)
  putU64(view, 64, header.createdAtMs)
  view.setUint32(72, header.features, true)
  view.setUint32(12, crcOfCopy(into, 0), true)
  into.copyWithin(COPY_BYTES, 0, COPY_BYTES)
}

/**
 * Reads either copy; `bytes` holds at least 4096. null: neither is good. Never throws.
 * Any major is given back: the caller refuses what it does not know. The rest of an unknown major means nothing.
 */
export function decodeSegmentHeader(bytes: Uint8Array): { header: SegmentHeader; badCopies: 0 | 1 } | null {
  if (bytes.length < SEGMENT_HEADER_BYTES) return null
  const isSame = sameCopies(bytes)
  const isFirstGood = isCopyGood(bytes, 0)
  if (!isFirstGood && (isSame || !isCopyGood(bytes, COPY_BYTES))) return null
  return { header: readCopy(bytes, isFirstGood ? 0 : COPY_BYTES), badCopies: isSame ? 0 : 1 }
}

function crcOfCopy(bytes: Uint8Array, at: number): number {
  return crcOfRange(bytes, at + 16, at + USED_BYTES, crcOfRange(bytes, at, at + 12, 0))
}

function isCopyGood(bytes: Uint8Array, at: number): boolean {
  for (let index = 0; index < MAGIC.length; index++) if (bytes[at + index] !== MAGIC[index]) return false
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, USED_BYTES)
  return (
    view.getUint32(12, true) === crcOfCopy(bytes, at) &&
    getU64(view, 32) > 0 &&
    getU64(view, 48) >= 0 &&
    getU64(view, 64) >= 0
  )
}

/** A copy whose unused tail differs is as suspicious as one whose CRC does: somebody else wrote there. */
function sameCopies(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, COPY_BYTES), bytes.subarray(COPY_BYTES, SEGMENT_HEADER_BYTES)) === 0
}

function readCopy(bytes: Uint8Array, at: number): SegmentHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, USED_BYTES)
  return {
    major: view.getUint16(8, true),
    minor: view.getUint16(10, true),
    walId: bytes.slice(at + 16, at + 32),
    segment: getU64(view, 32),
    salt: bytes.slice(at + 40, at + 48),
    segmentBytes: getU64(view, 48),
    sectorBytes: view.getUint32(56, true),
    incarnation: view.getUint32(60, true),
    createdAtMs: getU64(view, 64),
    features: view.getUint32(72, true),
  }
}
