/**
 * Shows every frame of one segment whose CRCs are good, for `inspect` and `verify`, which look at what frames hold.
 * Remains of a cut are shown too: `survey` says what counts.
 * Source: wal.md 5 (CLI).
 */
import { walError } from '../errors.js'
import { FRAME_HEADER_BYTES, FRAMES_PER_SEGMENT, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { frameBytes, saltCrcOf } from '../format/frame.js'
import { segmentName } from '../format/manifest.js'
import { decodeSegmentHeader } from '../format/segment-header.js'
import type { WalFs } from '../fs.js'
import { type ByteRange, type RefusedRead, SegmentSource } from './segment-source.js'
import { CHECKS_ALL, SegmentWalk, WalkState } from './segment-walk.js'

export interface FrameView {
  readonly segment: number
  /** Of the header, in the file. */
  readonly at: number
  readonly type: number
  readonly flags: number
  readonly lsn: number
  readonly durableLag: number
  readonly incarnation: number
  /** Valid until the visitor returns. */
  readonly body: Uint8Array
}

export interface SegmentReading {
  readonly frames: number
  /** Behind the last good frame. */
  readonly end: number
  /** Bytes between good frames that are none. */
  readonly skipped: readonly ByteRange[]
  readonly unreadable: readonly ByteRange[]
  /** Read only when asked for again. */
  readonly refused: readonly RefusedRead[]
}

/** Header, salt, and what is needed for one frame of the largest size. */
const WINDOW_BYTES = 4 << 20

/**
 * Calls `visit` for every good frame of a segment in file order.
 * @throws MQError WAL_CORRUPT: neither copy of its header is readable; WAL_SEGMENT_MISSING: there is no such file,
 * or it was recycled meanwhile; WAL_PERMISSION, WAL_FAILED: it cannot be opened.
 * What `visit` throws comes out.
 */
export async function readFrames(
  fs: WalFs,
  dir: string,
  segment: number,
  visit: (frame: FrameView) => void,
): Promise<SegmentReading> {
  const name = segmentName(segment)
  const { header: head, refused } = await readHeader(fs, dir, name)
  const largest = head.segmentBytes / FRAMES_PER_SEGMENT + SEGMENT_HEADER_BYTES
  const window = new Uint8Array(Math.min(head.segmentBytes, Math.max(WINDOW_BYTES, largest)))
  const view = new DataView(window.buffer)
  const source = new SegmentSource(fs, dir, name, head.segmentBytes, window, view, 0, window.length, false)
  const skipped: ByteRange[] = []
  let end = SEGMENT_HEADER_BYTES
  let frames = 0
  const sink: ConstructorParameters<typeof SegmentWalk>[6] = (bytes, _view, index, header, at) => {
    if (at > end) skipped.push({ from: end, to: at })
    const { type, flags, lsn, durableLag, incarnation, bodyLength } = header
    const body = bytes.subarray(index + FRAME_HEADER_BYTES, index + FRAME_HEADER_BYTES + bodyLength)
    visit({ segment, at, type, flags, lsn, durableLag, incarnation, body })
    end = at + frameBytes(bodyLength)
    frames++
  }
  const state = new WalkState()
  try {
    await new SegmentWalk(source, 0, saltCrcOf(head.salt), state, Number.POSITIVE_INFINITY, CHECKS_ALL, sink).run()
  } finally {
    await source.close()
  }
  return { frames, end, skipped, unreadable: source.unreadable, refused: [...refused, ...source.refused] }
}

async function readHeader(fs: WalFs, dir: string, name: string) {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  const source = new SegmentSource(fs, dir, name, bytes.length, bytes, view, 0, bytes.length, false)
  try {
    await source.fill(0, bytes.length)
  } finally {
    await source.close()
  }
  const decoded = decodeSegmentHeader(bytes)
  if (decoded !== null) return { header: decoded.header, refused: source.refused }
  throw walError('WAL_CORRUPT', `neither copy of the header of ${name} is readable`, { file: name })
}
