/**
 * The segments of a directory, and which of them are the log: from the oldest that is needed to the highest with a
 * complete CHECKPOINT. What is above or below is a leftover, unbegun, or broken.
 * Invariant: every file of the directory that is named like a segment is in exactly one of live, leftovers, spareLike;
 * broken ones are live too, because frames may stand in them.
 * Source: wal.md 4.1 steps 1 and 2.
 */
import { walError } from '../errors.js'
import { CHECKPOINT_FIXED_BYTES } from '../format/bodies/checkpoint.js'
import { FRAME_HEADER_BYTES, FrameType, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { FrameHeader, frameBytes, isBodyGood, readFrameHeader } from '../format/frame.js'
import { getU64 } from '../format/integers.js'
import type { Manifest } from '../format/manifest.js'
import type { WalFs } from '../fs.js'
import { type LogFiles, listFiles, readHead, readManifest, type SegmentFile } from './directory-listing.js'
import { LastCheckpoint } from './last-checkpoint.js'
import { SegmentSource } from './segment-source.js'
import { CHECKS_ALL, type FrameSink, SegmentWalk, WalkState } from './segment-walk.js'
import { WindowBuffer } from './window-buffer.js'

/** Header, first CHECKPOINT's header, and most first CHECKPOINTs of a log that is larger than the window. */
export const HEAD_BYTES = 8192
/** Below this, reading the highest segment once more to learn that all is well costs more than checking everything. */
const PRESCAN_BYTES = 8 << 20
/** More missing numbers are not listed. */
const MAX_MISSING = 1000

export class SegmentSet {
  readonly manifest: Manifest
  readonly files: LogFiles
  readonly heads: SegmentFile[] = []
  /** Above the live ones: they hold no data and no complete CHECKPOINT. */
  readonly spareLike: SegmentFile[] = []
  /** Above the live ones, and damaged. */
  readonly broken: { readonly file: SegmentFile; readonly text: string }[] = []
  readonly leftovers: SegmentFile[] = []
  /** From the oldest that is needed to the highest with a complete CHECKPOINT. */
  live: SegmentFile[] = []
  /** Numbers between them that no file has. */
  missing: number[] = []
  /** They share one window, which holds one of them at a time. */
  readonly isShared: boolean
  /** Oldest live segment as the last CHECKPOINT looked at says. */
  #checkpointedOldest = 0
  /** `live` may begin too low: the first CHECKPOINT of the highest was asked, not the last one. */
  #isGuessed = false
  readonly #fs: WalFs
  readonly #dir: string
  readonly #buffer: WindowBuffer
  readonly #windowBytes: number

  private constructor(fs: WalFs, dir: string, manifest: Manifest, files: LogFiles) {
    this.#fs = fs
    this.#dir = dir
    this.manifest = manifest
    this.files = files
    const { segmentBytes } = manifest
    const isSmall = files.segments.length * segmentBytes <= WindowBuffer.maxBytes
    this.isShared = !isSmall
    this.#windowBytes = Math.min(segmentBytes, WindowBuffer.maxBytes)
    this.#buffer = WindowBuffer.lease(isSmall ? files.segments.length * segmentBytes : this.#windowBytes)
  }

  /** Names, headers, the highest segment with a CHECKPOINT. `release()` afterwards, whatever happens. */
  static async of(fs: WalFs, dir: string): Promise<SegmentSet> {
    const manifest = await readManifest(fs, dir)
    const set = new SegmentSet(fs, dir, manifest, await listFiles(fs, dir))
    try {
      await set.#readHeads()
      await set.#chooseLive()
    } catch (error) {
      await set.release()
      throw error
    }
    return set
  }

  /** True: checking everything once is cheaper than finding out whether it may be skipped. */
  get isSmall(): boolean {
    return this.live.length * this.manifest.segmentBytes <= PRESCAN_BYTES
  }

  get scannedBytes(): number {
    return this.heads.reduce((sum, { source }) => sum + source.scannedBytes, 0)
  }

  async release(): Promise<void> {
    for (const { source } of this.heads) await source.close()
    this.#buffer.release()
  }

  async walk(
    file: SegmentFile,
    index: number,
    state: WalkState,
    cut: number,
    believed: number,
    sink: FrameSink,
  ): Promise<SegmentWalk> {
    if (this.isShared) file.source.forget()
    const walk = new SegmentWalk(file.source, index, file.saltCrc, state, cut, believed, sink)
    await walk.run()
    await file.source.close()
    return walk
  }

  /** Per live segment: frames above do not count, because a later segment begins at a lower LSN. */
  cuts(): number[] {
    const cuts: number[] = []
    let cut = Number.POSITIVE_INFINITY
    for (let index = this.live.length - 1; index >= 0; index--) {
      cuts[index] = cut
      cut = Math.min(cut, (this.live[index] as SegmentFile).firstLsn)
    }
    return cuts
  }

  /** Its first frames are all parts of one CHECKPOINT. */
  async isCheckpointed(file: SegmentFile | undefined): Promise<boolean> {
    if (file === undefined || file.header === null) return false
    const { source, saltCrc } = file
    if (this.isShared) source.forget()
    const header = new FrameHeader()
    let at = SEGMENT_HEADER_BYTES
    for (let part = 0; ; part++) {
      if (at + FRAME_HEADER_BYTES > source.end) return false
      await source.fill(at, Math.min(at + HEAD_BYTES, source.end))
      if (at + FRAME_HEADER_BYTES > source.filledTo) return false
      if (!readFrameHeader(source.bytes, source.view, at - source.origin, saltCrc, header)) return false
      const total = frameBytes(header.bodyLength)
      if (header.type !== FrameType.checkpoint || at + total > source.end || total > source.capacity) return false
      await source.fill(at, at + total)
      const index = at - source.origin
      if (at + total > source.filledTo || !isBodyGood(source.bytes, index, header)) return false
      const body = index + FRAME_HEADER_BYTES
      if (header.bodyLength < CHECKPOINT_FIXED_BYTES || source.view.getUint16(body, true) !== part) return false
      this.#checkpointedOldest = getU64(source.view, body + 16)
      if (part + 1 === source.view.getUint16(body + 2, true)) return true
      at += total
    }
  }

  /**
   * After a pass: leaves out older segments that turn out not to be needed. True: the pass has to be repeated.
   * `oldest` is what the last CHECKPOINT of the pass says; 0: the pass did not get that far.
   */
  async narrow(oldest: number): Promise<boolean> {
    if (!this.#isGuessed) return false
    this.#isGuessed = false
    const needed = this.live.filter((file) => !this.broken.some((other) => other.file === file))
    const present = [...this.leftovers, ...needed]
    const highest = present[present.length - 1] as SegmentFile
    return this.narrowTo(oldest > 0 ? oldest : await this.#oldestLive(highest, present))
  }

  /** `oldest` as the last CHECKPOINT says; 0: not known. True: some of the segments that were taken are leftovers. */
  narrowTo(oldest: number): boolean {
    const needed = this.live.filter((file) => !this.broken.some((other) => other.file === file))
    const present = [...this.leftovers, ...needed]
    const found = Math.min(oldest, (present[present.length - 1] as SegmentFile).number)
    if (found <= (needed[0] as SegmentFile).number) return false
    this.#takeLive(present, found)
    return true
  }

  async #readHeads(): Promise<void> {
    const { manifest, files } = this
    const { segmentBytes } = manifest
    const walId = Buffer.from(manifest.walId, 'hex')
    const { bytes, view } = this.#buffer
    for (const [index, { number, name }] of files.segments.entries()) {
      const windowAt = this.isShared ? 0 : index * segmentBytes
      const source = new SegmentSource(
        this.#fs,
        this.#dir,
        name,
        segmentBytes,
        bytes,
        view,
        windowAt,
        this.#windowBytes,
        this.isShared,
      )
      try {
        this.heads.push(
          await readHead(manifest, walId, number, name, source, this.isShared ? HEAD_BYTES : segmentBytes),
        )
      } finally {
        await source.close()
      }
    }
    if (this.heads.length > 0) return
    const text = `${this.#dir} has a MANIFEST but no segment: all of the log is missing`
    throw walError('WAL_SEGMENT_MISSING', text, { path: this.#dir })
  }

  /** The highest segment with a complete CHECKPOINT, and from which one on they are needed. */
  async #chooseLive(): Promise<void> {
    let top = this.heads.length - 1
    for (; top >= 0; top--) {
      const file = this.heads[top] as SegmentFile
      if (await this.isCheckpointed(file)) break
      if (file.header === null) this.broken.unshift({ file, text: file.problem ?? '' })
      else if (await this.#holdsData(file)) {
        this.broken.unshift({ file, text: 'its CHECKPOINT is not readable, but frames stand behind it' })
      } else this.spareLike.unshift(file)
    }
    const highest = this.heads[top]
    if (highest === undefined) {
      // No CHECKPOINT anywhere: what is broken is read as far as it goes.
      this.live = this.broken.map(({ file }) => file)
      this.missing = []
      const first = this.heads[0] as SegmentFile
      if (first.number > 1) this.missing = [first.number - 1]
      return
    }
    const present = this.heads.slice(0, top + 1)
    // Its last CHECKPOINT says which is the oldest that is needed; the first one says it too, unless that was long ago.
    const guess = this.#checkpointedOldest
    const isGuessed = guess >= 1 && present.some(({ number }) => number === guess) && isGapless(present, guess)
    const oldest = isGuessed ? guess : await this.#oldestLive(highest, present)
    this.#isGuessed = isGuessed
    this.#takeLive(present, oldest)
  }

  /** Files below `oldest` are leftovers. */
  #takeLive(present: readonly SegmentFile[], oldest: number): void {
    this.leftovers.length = 0
    this.missing = []
    this.live = present.filter(({ number }) => number >= oldest)
    this.leftovers.push(...present.filter(({ number }) => number < oldest))
    // Damaged segments above the highest CHECKPOINT may hold frames: they are read too.
    this.live.push(...this.broken.map(({ file }) => file))
    let expected = oldest
    for (const { number } of [...this.live, ...this.spareLike].sort((one, other) => one.number - other.number)) {
      for (; expected < number; expected++) if (this.missing.length < MAX_MISSING) this.missing.push(expected)
      expected = number + 1
    }
  }

  async #oldestLive(highest: SegmentFile, present: readonly SegmentFile[]): Promise<number> {
    const checkpoints = new LastCheckpoint()
    await this.walk(highest, 0, new WalkState(), Number.POSITIVE_INFINITY, CHECKS_ALL, (bytes, view, index, header) => {
      if (header.type === FrameType.checkpoint) checkpoints.see(bytes, view, index, header)
    })
    const lowest = (present[0] as SegmentFile).number
    const oldest = checkpoints.oldestLiveSegment
    return Math.max(1, Math.min(oldest === 0 ? lowest : oldest, highest.number))
  }

  async #holdsData(file: SegmentFile): Promise<boolean> {
    const walk = await this.walk(file, 0, new WalkState(), Number.POSITIVE_INFINITY, CHECKS_ALL, () => {})
    return walk.hasOther || file.source.unreadable.length > 0
  }
}

function isGapless(files: readonly SegmentFile[], from: number): boolean {
  return files.every(({ number }, index) => number <= from || number === (files[index - 1] as SegmentFile).number + 1)
}
