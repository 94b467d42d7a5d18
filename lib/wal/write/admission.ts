/**
 * Whether the log takes more: decided from plain numbers, before anything is copied.
 * What is admitted can be written: data only enters segments whose files exist, and one of these is always left for
 * control frames (acknowledgements above all), so that a full log drains itself.
 * Source: wal.md 3.6, 3.8.
 */
import { ACK_BYTES, FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import type { Limits } from './limits.js'

export interface RoomFacts {
  /** Appended and not written. */
  readonly pendingBytes: number
  readonly unsyncedBytes: number
  readonly pendingMaxBytes: number
  readonly unsyncedMaxBytes: number
  /** Next byte of the current segment. */
  readonly at: number
  /** Files a rotation can have. */
  readonly readyFiles: number
  /** Another file can be made: `maxBytes` and the disk have room as far as is known. */
  readonly canMakeFiles: boolean
  /** Groups that may each get a PAD. */
  readonly groups: number
  readonly checkpointBytes: number
  readonly entries: number
}

/** Each unsettled entry will need an acknowledgement. */
const ACK_FRAME_BYTES = FRAME_HEADER_BYTES + ACK_BYTES

/** How many bytes of frames are admitted now; 0 or less: none. */
export function admitted(facts: RoomFacts, limits: Limits): number {
  const unwritten = facts.pendingMaxBytes - facts.pendingBytes
  const unsynced = facts.unsyncedMaxBytes - facts.unsyncedBytes - facts.pendingBytes
  return Math.min(unwritten, unsynced, placeable(facts, limits))
}

/** Bytes that still find a place in files that exist, without the reserve. */
export function placeable(facts: RoomFacts, limits: Limits): number {
  const fileBytes = limits.segmentBytes - SEGMENT_HEADER_BYTES - limits.tailBytes - facts.checkpointBytes
  if ((facts.entries + 1) * ACK_FRAME_BYTES > fileBytes) return 0
  const pads = (facts.groups + 1) * 2 * limits.sectorBytes
  const taken = facts.pendingBytes + pads
  // Without a file to go on in, this segment is what control frames have. While one is being made they have half.
  if (facts.readyFiles === 0) return facts.canMakeFiles ? limits.segmentBytes / 2 - facts.at - taken : 0
  const dataFiles = facts.readyFiles - 1
  const here = limits.segmentBytes - limits.tailBytes - facts.at - taken
  // A group is never cut: at worst all that waits begins in the next segment, and each further one loses a group.
  const beyond = dataFiles === 0 ? 0 : dataFiles * fileBytes - (dataFiles - 1) * limits.groupMostBytes - taken
  return Math.max(here, beyond)
}
