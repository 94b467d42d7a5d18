/**
 * Every size of the writing part, each derived from the configuration where it is defined.
 * Why groups are bounded by the segment too: a group is never cut, so what does not fit into the rest of a segment
 * goes to the next one whole; and after a disk error everything unsynced must fit into one segment.
 * Source: wal.md 2.3, 2.4, 3.3, 3.5, 3.8.
 */
import {
  BATCH_PREFIX_BYTES,
  FRAME_HEADER_BYTES,
  FRAMES_PER_SEGMENT,
  SEGMENT_HEADER_BYTES,
} from '../format/constants.js'
import type { Manifest } from '../format/manifest.js'
import type { WalOptions } from '../types.js'

/** Kept of the last usable segment beside the checkpoint, for ROLL and CLOSE; less in small segments. */
const LAST_RESERVE_BYTES = 64 * 1024
const MOST_ACK_BYTES = 256 * 1024

export interface Limits {
  readonly segmentBytes: number
  readonly sectorBytes: number
  /** All files together, in files. */
  readonly maxFiles: number
  readonly maxFrameBytes: number
  /** Largest body of an entry without its prefix. */
  readonly maxBodyBytes: number
  /** A group with this much in it is closed. */
  readonly groupCloseBytes: number
  /** The most acknowledgements that are put behind a group when it closes. */
  readonly groupAckBytes: number
  /** A group is never larger: what it holds at closing, one frame, acknowledgements, PAD. */
  readonly groupMostBytes: number
  /** Free at the end of every segment for ROLL and its PAD. */
  readonly tailBytes: number
  /** More of the last usable segment, beside the size of a checkpoint. */
  readonly lastReserveBytes: number
  /** Written and not synced; a sync begins at half of it. */
  readonly unsyncedMaxBytes: number
  /** Spares kept ready: one for control frames, and at least one for data. */
  readonly spares: number
}

export function limitsOf(options: WalOptions, manifest: Manifest): Limits {
  const { segmentBytes, sectorBytes } = manifest
  const maxFrameBytes = segmentBytes / FRAMES_PER_SEGMENT
  const groupCloseBytes = Math.min(options.groupMaxBytes, segmentBytes / 8)
  const groupAckBytes = Math.min(MOST_ACK_BYTES, segmentBytes / 16)
  return {
    segmentBytes,
    sectorBytes,
    maxFiles: Math.floor(options.maxBytes / segmentBytes),
    maxFrameBytes,
    maxBodyBytes: maxFrameBytes - FRAME_HEADER_BYTES - BATCH_PREFIX_BYTES,
    groupCloseBytes,
    groupAckBytes,
    groupMostBytes: groupCloseBytes + maxFrameBytes + groupAckBytes + 2 * sectorBytes,
    tailBytes: 2 * sectorBytes,
    lastReserveBytes: Math.min(LAST_RESERVE_BYTES, segmentBytes / 16),
    unsyncedMaxBytes: Math.min(options.unsyncedMaxBytes, (segmentBytes - SEGMENT_HEADER_BYTES) / 2),
    spares: Math.max(2, options.spareSegments),
  }
}
