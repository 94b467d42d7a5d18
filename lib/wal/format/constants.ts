/** Sizes and numbers of format 1.0. All integers on disk are little-endian. Source: wal.md 2. */

export const FORMAT_MAJOR = 1
export const FORMAT_MINOR = 0

/** Two identical copies at 0 and at half of it. */
export const SEGMENT_HEADER_BYTES = 4096
export const FRAME_HEADER_BYTES = 32
export const BATCH_PREFIX_BYTES = 56
export const BIND_BYTES = 24
export const ACK_BYTES = 32
/** A frame takes at most this share of a segment. */
export const FRAMES_PER_SEGMENT = 4
export const SECTOR_BYTES = 512

export const FrameType = {
  checkpoint: 1,
  open: 2,
  stream: 3,
  identity: 4,
  batch: 5,
  bind: 6,
  ack: 7,
  hole: 8,
  reloc: 9,
  roll: 10,
  close: 11,
  pad: 12,
} as const

/** Types from here on may be skipped by a reader that does not know them. */
export const FIRST_OPTIONAL_TYPE = 128

export const FrameFlag = { unbound: 1, split: 2 } as const

/** What became of records. */
export const Outcome = { delivered: 0, duplicate: 1, rejected: 2, dropped: 3, lost: 4 } as const
export type Outcome = (typeof Outcome)[keyof typeof Outcome]

/** The producer id of a batch that has no identity yet. */
export const UNBOUND = -1n
