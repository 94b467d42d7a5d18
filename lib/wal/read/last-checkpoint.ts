/**
 * Which segment the last complete CHECKPOINT of a walk calls the oldest that is needed.
 * Source: wal.md 4.1 step 2.
 */
import { CHECKPOINT_FIXED_BYTES } from '../format/bodies/checkpoint.js'
import { FRAME_HEADER_BYTES } from '../format/constants.js'
import { type FrameHeader, isBodyGood } from '../format/frame.js'
import { getU64 } from '../format/integers.js'

export class LastCheckpoint {
  /** 0: none is complete so far. */
  oldestLiveSegment = 0
  #parts = 0

  /** The next CHECKPOINT frame. Parts follow each other; only a whole one counts. */
  see(bytes: Uint8Array, view: DataView, index: number, header: FrameHeader): void {
    const body = index + FRAME_HEADER_BYTES
    if (header.bodyLength < CHECKPOINT_FIXED_BYTES || !isBodyGood(bytes, index, header)) return
    const part = view.getUint16(body, true)
    this.#parts = part === 0 ? 1 : part === this.#parts ? this.#parts + 1 : 0
    if (this.#parts > 0 && this.#parts === view.getUint16(body + 2, true)) {
      this.oldestLiveSegment = getU64(view, body + 16)
    }
  }
}
