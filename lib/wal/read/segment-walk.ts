/**
 * Walks the frames of one segment: what verifies, and where it goes on after what does not. Hot path of recovery.
 * A run is a row of frames without any gap, neither of bytes nor of LSNs. Behind a bad place the walk looks on every
 * 8th byte for a header under this salt that may follow: its LSN not lower, or its incarnation higher.
 * Why a state machine and not a generator: a frame costs some 50 ns here, and most directories fit into one window.
 * Source: wal.md 2.8.
 */
import { decodeClose } from '../format/bodies/small.js'
import { BATCH_PREFIX_BYTES, FRAME_HEADER_BYTES, FrameType, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { FrameHeader, frameBytes, isBodyGood, readFrameHeader } from '../format/frame.js'
import { crcOfRange } from '../format/range-crc.js'
import type { SegmentSource } from './segment-source.js'

/** No body is believed: all are checked. */
export const CHECKS_ALL = 0

/** `durableLag` when the distance is unknown: such a frame attests nothing. */
const LAG_UNKNOWN = 0xffff_ffff

export interface Run {
  /** Index of the segment in the caller's list. */
  readonly segment: number
  readonly from: number
  to: number
  /** The LSN before its first frame. */
  readonly after: number
  /** Its first frame repeats that LSN. */
  readonly firstRepeats: boolean
  last: number
  /** `bodyCrc` of the frame that carries `last`; -1: no frame of this run does. */
  lastBodyCrc: number
  readonly firstIncarnation: number
  lastIncarnation: number
  frames: number
}

/** What is known across segments. */
export class WalkState {
  readonly runs: Run[] = []
  lastIncarnation = 0
  highestIncarnation = 0
  /** The highest LSN that any verified header says to be synced. */
  attestedLsn = 0
}

/** Sees every good frame, in order. `index` is where its header begins in `bytes`. */
export type FrameSink = (
  bytes: Uint8Array,
  view: DataView,
  index: number,
  header: FrameHeader,
  at: number,
  segment: number,
) => void

/** True: this type repeats the LSN before it. */
export function repeatsLsn(type: number): boolean {
  return type === FrameType.checkpoint || type === FrameType.pad || type === FrameType.roll
}

const END = 0
const MORE = 1
const BIG = 2

export class SegmentWalk {
  /** Behind the last header that verified, its body good or not. */
  verifiedEnd = SEGMENT_HEADER_BYTES
  /** A header of another type than CHECKPOINT and PAD verified. */
  hasOther = false
  readonly #source: SegmentSource
  readonly #segment: number
  readonly #saltCrc: number
  readonly #state: WalkState
  readonly #sink: FrameSink
  readonly #believed: number
  readonly #cut: number
  readonly #header = new FrameHeader()
  #run: Run | null = null
  #last = -1
  /** No LSN is missing so far: then the frame that carries `cut` is the last one that counts. */
  #isWhole = true
  #at = SEGMENT_HEADER_BYTES
  #need = 0

  /**
   * Frames above `cut` do not count. Bodies of data frames of the incarnation `believed` are not checked: it said goodbye,
   * so none of its frames is torn. A torn one of an earlier incarnation may reach, by its length, over frames that were
   * written over it later.
   */
  constructor(
    source: SegmentSource,
    segment: number,
    saltCrc: number,
    state: WalkState,
    cut: number,
    believed: number,
    sink: FrameSink,
  ) {
    this.#source = source
    this.#segment = segment
    this.#saltCrc = saltCrc
    this.#state = state
    this.#cut = cut
    this.#believed = believed
    this.#sink = sink
  }

  async run(): Promise<void> {
    for (let state = this.#scan(); state !== END; state = this.#scan()) {
      if (state === BIG) await this.#bigBody()
      else await this.#source.fill(this.#at, Math.min(this.#at + this.#source.capacity, this.#source.end))
    }
  }

  #scan(): number {
    const { bytes, view } = this.#source
    const header = this.#header
    const state = this.#state
    for (;;) {
      const { origin, filledTo, end } = this.#source
      const at = this.#at
      if (at + FRAME_HEADER_BYTES > end) return this.#finish()
      if (at + FRAME_HEADER_BYTES > filledTo) return MORE
      const index = at - origin
      if (!readFrameHeader(bytes, view, index, this.#saltCrc, header)) {
        if (this.#breakRun()) return END
        this.#skip(Math.min(filledTo, end))
        continue
      }
      const { bodyLength, lsn, incarnation } = header
      if (bodyLength > end - at - FRAME_HEADER_BYTES) {
        if (this.#breakRun()) return END
        this.#at += 8
        continue
      }
      const isData = header.type === FrameType.batch || header.type === FrameType.reloc
      const isBelieved = isData && incarnation === this.#believed
      const need = FRAME_HEADER_BYTES + (isBelieved ? Math.min(bodyLength, BATCH_PREFIX_BYTES) : bodyLength)
      if (at + need > filledTo) {
        this.#need = need
        return need > this.#source.capacity ? BIG : MORE
      }
      if (header.type !== FrameType.checkpoint && header.type !== FrameType.pad) this.hasOther = true
      if (incarnation > state.highestIncarnation) state.highestIncarnation = incarnation
      const attested = header.durableLag === LAG_UNKNOWN ? 0 : lsn - header.durableLag
      if (attested > state.attestedLsn) state.attestedLsn = attested
      if (at + FRAME_HEADER_BYTES + bodyLength > this.verifiedEnd && incarnation >= state.lastIncarnation) {
        this.verifiedEnd = at + FRAME_HEADER_BYTES + bodyLength
      }
      if (lsn > this.#cut || !this.#follows() || (!isBelieved && !isBodyGood(bytes, index, header))) {
        if (this.#breakRun()) return END
        this.#at += 8
        continue
      }
      this.#accept(bytes, view, index)
    }
  }

  #follows(): boolean {
    const { lsn, incarnation, type } = this.#header
    if (incarnation !== this.#state.lastIncarnation) return incarnation > this.#state.lastIncarnation
    return (repeatsLsn(type) ? lsn : lsn - 1) >= this.#last
  }

  #accept(bytes: Uint8Array, view: DataView, index: number): void {
    const { lsn, incarnation, type, bodyLength, bodyCrc } = this.#header
    const isRepeat = repeatsLsn(type)
    const before = isRepeat ? lsn : lsn - 1
    let run = this.#run
    if (run === null || before !== run.last) {
      run = {
        segment: this.#segment,
        from: this.#at,
        to: this.#at,
        after: before,
        firstRepeats: isRepeat,
        last: before,
        lastBodyCrc: -1,
        firstIncarnation: incarnation,
        lastIncarnation: incarnation,
        frames: 0,
      }
      if (this.#last >= 0 && before !== this.#last) this.#isWhole = false
      this.#run = run
      this.#state.runs.push(run)
    }
    if (type === FrameType.close) this.#closed(bytes, view, index, bodyLength)
    this.#sink(bytes, view, index, this.#header, this.#at, this.#segment)
    this.#at += frameBytes(bodyLength)
    run.to = this.#at
    run.last = lsn
    run.frames++
    run.lastIncarnation = incarnation
    if (!isRepeat) run.lastBodyCrc = bodyCrc
    this.#last = lsn
    this.#state.lastIncarnation = incarnation
  }

  /** What a CLOSE frame calls its last LSN was synced before it was written. A malformed one says nothing. */
  #closed(bytes: Uint8Array, view: DataView, index: number, bodyLength: number): void {
    if (bodyLength < 16) return
    const { lastLsn } = decodeClose(bytes, view, index + FRAME_HEADER_BYTES, bodyLength)
    if (lastLsn <= this.#header.lsn && lastLsn > this.#state.attestedLsn) this.#state.attestedLsn = lastLsn
  }

  /** A bad place. True: everything that counts has been seen, looking on is not needed. */
  #breakRun(): boolean {
    this.#run = null
    return this.#isWhole && this.#last === this.#cut
  }

  /** On to the next 8 bytes that could begin a header, without computing any CRC. */
  #skip(limit: number): void {
    const { view, origin } = this.#source
    let at = this.#at + 8
    for (const last = limit - FRAME_HEADER_BYTES; at <= last; at += 8) {
      // type, flags and the two bytes that are always zero
      const word = view.getUint32(at - origin + 12, true)
      if (word < 0x1_0000 && (word & 0xff) !== 0) break
    }
    this.#at = at
  }

  #finish(): number {
    this.#run = null
    return END
  }

  /** A body longer than the window: its CRC piece by piece; of data frames only the prefix is needed afterwards. */
  async #bigBody(): Promise<void> {
    const source = this.#source
    const at = this.#at
    const header = { ...this.#header }
    const bodyEnd = at + this.#need
    let crc = header.headerCrc
    let position = at + FRAME_HEADER_BYTES
    while (position < bodyEnd) {
      await source.fill(position, Math.min(position + source.capacity, source.end))
      const to = Math.min(bodyEnd, source.filledTo)
      if (to <= position) break
      crc = crcOfRange(source.bytes, position - source.origin, to - source.origin, crc)
      position = to
    }
    await source.fill(at, at + FRAME_HEADER_BYTES + BATCH_PREFIX_BYTES)
    const isGood = position === bodyEnd && crc === header.bodyCrc
    const isData = header.type === FrameType.batch || header.type === FrameType.reloc
    Object.assign(this.#header, header)
    if (isGood && isData && header.lsn <= this.#cut && this.#follows()) {
      this.#accept(source.bytes, source.view, at - source.origin)
    } else {
      this.#breakRun()
      this.#at += 8
    }
  }
}
