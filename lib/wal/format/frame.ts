/**
 * The 32 bytes before every body. Hot path.
 * Why two CRCs: `headerCrc` lets a reader trust the length although the body is bad, so that one rotten byte costs one
 * frame and not the way to the next. Both begin with the salt of the segment: frames of a recycled file's former life
 * do not verify. `bodyCrc` is `headerCrc` gone on over the body, so the header is never read twice.
 * Source: wal.md 2.4.
 *
 *   0 bodyCrc  4 headerCrc  8 bodyLength  12 type  13 flags  14 zero  16 lsn  24 durableLag  28 incarnation  32 body
 */
import { crc32cCombine } from '../../util/index.js'
import { FRAME_HEADER_BYTES } from './constants.js'
import { aligned, getU64, putU64 } from './integers.js'
import { crcOfRange } from './range-crc.js'

/** The CRCs begin their work here: they cover everything but themselves. */
const CHECKED_FROM = 8
const MAX_U32 = 0xffff_ffff
/** A set bit among these changes the meaning of the frame: a reader must know it. None is defined in 1.0. */
export const MANDATORY_FLAGS = 0xf0

/** Reused by readers: one object for a whole scan. */
export class FrameHeader {
  bodyCrc = 0
  headerCrc = 0
  bodyLength = 0
  type = 0
  flags = 0
  lsn = 0
  /** Frames between this one and the last synced one before it; the largest u32 stands for "that many or more". */
  durableLag = 0
  incarnation = 0
}

/** The start of every CRC of a segment. */
export function saltCrcOf(salt: Uint8Array): number {
  return crcOfRange(salt, 0, salt.length, 0)
}

/** Header, body and padding. Bytes. */
export function frameBytes(bodyLength: number): number {
  return aligned(FRAME_HEADER_BYTES + bodyLength)
}

/**
 * Writes the header of a frame whose body already stands at `at + 32`, zeroes the padding, gives the end.
 * `at` is a multiple of 8.
 */
export function sealFrame(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  bodyLength: number,
  type: number,
  flags: number,
  lsn: number,
  durableLag: number,
  incarnation: number,
  saltCrc: number,
): number {
  const headerCrc = putHeader(bytes, view, at, bodyLength, type, flags, lsn, durableLag, incarnation, saltCrc)
  const bodyAt = at + FRAME_HEADER_BYTES
  view.setUint32(at, crcOfRange(bytes, bodyAt, bodyAt + bodyLength, headerCrc), true)
  return padded(bytes, bodyAt + bodyLength)
}

/** As `sealFrame`, for a body whose own CRC-32C is known: no pass over its bytes. */
export function sealFrameOf(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  bodyLength: number,
  bodyOwnCrc: number,
  type: number,
  flags: number,
  lsn: number,
  durableLag: number,
  incarnation: number,
  saltCrc: number,
): number {
  const headerCrc = putHeader(bytes, view, at, bodyLength, type, flags, lsn, durableLag, incarnation, saltCrc)
  view.setUint32(at, crc32cCombine(headerCrc, bodyOwnCrc, bodyLength), true)
  return padded(bytes, at + FRAME_HEADER_BYTES + bodyLength)
}

/** Everything but `bodyCrc`; gives `headerCrc`. For frames whose body is written from another buffer. */
export function putHeader(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  bodyLength: number,
  type: number,
  flags: number,
  lsn: number,
  durableLag: number,
  incarnation: number,
  saltCrc: number,
): number {
  view.setUint32(at + 8, bodyLength, true)
  bytes[at + 12] = type
  bytes[at + 13] = flags
  view.setUint16(at + 14, 0, true)
  putU64(view, at + 16, lsn)
  view.setUint32(at + 24, Math.min(durableLag, MAX_U32), true)
  view.setUint32(at + 28, incarnation, true)
  const headerCrc = crcOfRange(bytes, at + CHECKED_FROM, at + FRAME_HEADER_BYTES, saltCrc)
  view.setUint32(at + 4, headerCrc, true)
  return headerCrc
}

function padded(bytes: Uint8Array, from: number): number {
  const end = aligned(from)
  for (let at = from; at < end; at++) bytes[at] = 0
  return end
}

/**
 * True when a header with a good CRC stands at `at` (32 bytes must be there) and its fields are possible.
 * The caller checks `bodyLength` against the end of the segment before it touches the body.
 */
export function readFrameHeader(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  saltCrc: number,
  into: FrameHeader,
): boolean {
  const type = bytes[at + 12] as number
  if (type === 0 || bytes[at + 14] !== 0 || bytes[at + 15] !== 0) return false
  const headerCrc = view.getUint32(at + 4, true)
  if (crcOfRange(bytes, at + CHECKED_FROM, at + FRAME_HEADER_BYTES, saltCrc) !== headerCrc) return false
  const lsn = getU64(view, at + 16)
  if (lsn < 0) return false
  into.bodyCrc = view.getUint32(at, true)
  into.headerCrc = headerCrc
  into.bodyLength = view.getUint32(at + 8, true)
  into.type = type
  into.flags = bytes[at + 13] as number
  into.lsn = lsn
  into.durableLag = view.getUint32(at + 24, true)
  into.incarnation = view.getUint32(at + 28, true)
  return true
}

/**
 * True when the body behind a header that `readFrameHeader` accepted is undamaged.
 * Needs no salt: `headerCrc` is the salt's CRC gone on over the header, and it was checked.
 */
export function isBodyGood(bytes: Uint8Array, at: number, header: FrameHeader, _saltCrc?: number): boolean {
  const bodyAt = at + FRAME_HEADER_BYTES
  return crcOfRange(bytes, bodyAt, bodyAt + header.bodyLength, header.headerCrc) === header.bodyCrc
}
