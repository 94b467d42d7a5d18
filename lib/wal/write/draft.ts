/**
 * A frame in a group before it is sealed: body, and those header fields that are known at once. Hot path.
 * Why not sealed at once: salt, CRC and `durableLag` depend on the segment it lands in, which is known when its group
 * is written; after a disk error the same frame is sealed again for another segment.
 * Source: wal.md 2.4.
 */
import { BATCH_PREFIX_BYTES, FRAME_HEADER_BYTES, FrameType } from '../format/constants.js'
import { frameBytes, sealFrame } from '../format/frame.js'
import { getU64, putU64 } from '../format/integers.js'
import type { Group } from './group.js'

const LENGTH_AT = 8
const TYPE_AT = 12
const FLAGS_AT = 13
const LSN_AT = 16
const ORIGIN_LSN_AT = FRAME_HEADER_BYTES + 40

/** Notes length, type, flags and LSN of the frame at `at`; its body stands behind. Gives its end. */
export function putDraft(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  bodyLength: number,
  type: number,
  flags: number,
  lsn: number,
): number {
  view.setUint32(at + LENGTH_AT, bodyLength, true)
  bytes[at + TYPE_AT] = type
  bytes[at + FLAGS_AT] = flags
  putU64(view, at + LSN_AT, lsn)
  return at + frameBytes(bodyLength)
}

export function draftEnd(view: DataView, at: number): number {
  return at + frameBytes(view.getUint32(at + LENGTH_AT, true))
}
export function draftBodyBytes(view: DataView, at: number): number {
  return view.getUint32(at + LENGTH_AT, true)
}
export function draftType(bytes: Uint8Array, at: number): number {
  return bytes[at + TYPE_AT] as number
}
export function draftLsn(view: DataView, at: number): number {
  return getU64(view, at + LSN_AT)
}

/** CHECKPOINT, PAD and ROLL repeat the LSN before them: they belong to a place, not to the order of calls. */
export function hasOwnLsn(type: number): boolean {
  return type !== FrameType.checkpoint && type !== FrameType.pad && type !== FrameType.roll
}

export function holdsEntry(type: number): boolean {
  return type === FrameType.batch || type === FrameType.reloc
}

/** Which entry a BATCH or RELOC frame is: a RELOC keeps the LSN it was first appended with. */
export function entryLsnOf(bytes: Uint8Array, view: DataView, at: number): number {
  return draftType(bytes, at) === FrameType.reloc ? getU64(view, at + ORIGIN_LSN_AT) : draftLsn(view, at)
}

export const ENTRY_OVERHEAD_BYTES = FRAME_HEADER_BYTES + BATCH_PREFIX_BYTES

/** Seals every frame of a group for its segment. `durableLsn`: what the disk is known to hold by now. */
export function sealGroup(group: Group, saltCrc: number, incarnation: number, durableLsn: number): void {
  const { bytes, view, length } = group
  for (let at = 0; at < length; ) {
    const type = draftType(bytes, at)
    const lsn = draftLsn(view, at)
    const body = view.getUint32(at + LENGTH_AT, true)
    const lag = Math.max(0, lsn - durableLsn)
    const end = sealFrame(bytes, view, at, body, type, bytes[at + FLAGS_AT] as number, lsn, lag, incarnation, saltCrc)
    if (hasOwnLsn(type)) {
      group.lastBodyCrc = view.getUint32(at, true)
      group.sealedLsn = lsn
    }
    at = end
  }
}

/** Bytes of the PAD frame that ends a group at `at` on the next sector boundary; one sector more if it does not fit. */
export function padBytes(at: number, sectorBytes: number): number {
  const rest = (sectorBytes - (at % sectorBytes)) % sectorBytes
  return rest === 0 ? 0 : rest < FRAME_HEADER_BYTES ? rest + sectorBytes : rest
}
