/**
 * Reads a log: which segments it has, which frames of them count, what they say.
 * Most logs have no gap, and then one pass is enough: frames are applied while they are checked. Otherwise the runs of
 * the first pass are chained, and those that count are applied again to fresh tables.
 * Source: wal.md 4.1 steps 1-3.
 */
import { assert } from '../../util/index.js'
import { walError } from '../errors.js'
import { CHECKPOINT_FIXED_BYTES, decodeCheckpoint } from '../format/bodies/checkpoint.js'
import { FRAME_HEADER_BYTES, FrameType, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { FrameHeader, frameBytes, isBodyGood, readFrameHeader } from '../format/frame.js'
import { getU64 } from '../format/integers.js'
import type { Manifest } from '../format/manifest.js'
import type { WalFs } from '../fs.js'
import { LogTables } from '../state/tables.js'
import type { RecoveryProgress } from '../types.js'
import { chain, type KeptRun } from './chain.js'
import { type LogFiles, listFiles, readHead, readManifest, type SegmentFile } from './directory-listing.js'
import { FrameApplier, INDEX_ENTRY_BYTES } from './frame-applier.js'
import { SegmentSource } from './segment-source.js'
import { type FrameSink, SegmentWalk, WalkState } from './segment-walk.js'
import { WindowBuffer } from './window-buffer.js'

/** Header, first CHECKPOINT's header, and most first CHECKPOINTs of a log that is larger than the window. */
const HEAD_BYTES = 8192
/** Below this, reading the highest segment once more to learn that all is well costs more than checking everything. */
const PRESCAN_BYTES = 8 << 20

/** Where a segment ends, as far as frames that count go. */
export interface SegmentEnd {
  end: number
  lastLsn: number
  /** -1: no frame that counts carries `lastLsn`. */
  lastBodyCrc: number
}

/** One reading of the frames that count. */
export interface Reading {
  readonly tables: LogTables
  readonly applier: FrameApplier
  /** By index of the live segments. */
  readonly ends: readonly (SegmentEnd | null)[]
}

export class LogScan {
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
  state = new WalkState()
  /** Behind the last header that verified in the highest live segment. */
  verifiedEnd = 0
  /** Oldest live segment as the last CHECKPOINT looked at says. */
  #checkpointedOldest = 0
  #isGuessed = false
  readonly #fs: WalFs
  readonly #dir: string
  readonly #buffer: WindowBuffer
  readonly #isShared: boolean
  readonly #windowBytes: number
  readonly #onProgress: ((step: RecoveryProgress) => void) | undefined
  readonly #maxEntries: number

  private constructor(
    fs: WalFs,
    dir: string,
    manifest: Manifest,
    files: LogFiles,
    indexMaxBytes: number,
    onProgress: ((step: RecoveryProgress) => void) | undefined,
  ) {
    this.#maxEntries = Math.max(1, Math.floor(indexMaxBytes / INDEX_ENTRY_BYTES))
    this.#fs = fs
    this.#dir = dir
    this.manifest = manifest
    this.files = files
    this.#onProgress = onProgress
    const { segmentBytes } = manifest
    const isSmall = files.segments.length * segmentBytes <= WindowBuffer.maxBytes
    this.#isShared = !isSmall
    this.#windowBytes = Math.min(segmentBytes, WindowBuffer.maxBytes)
    this.#buffer = WindowBuffer.lease(isSmall ? files.segments.length * segmentBytes : this.#windowBytes)
  }

  /** Steps 1 and 2: names, headers, the highest segment with a CHECKPOINT. `release()` afterwards, whatever happens. */
  static async begin(
    fs: WalFs,
    dir: string,
    indexMaxBytes: number,
    onProgress?: (step: RecoveryProgress) => void,
  ): Promise<LogScan> {
    const manifest = await readManifest(fs, dir)
    const scan = new LogScan(fs, dir, manifest, await listFiles(fs, dir), indexMaxBytes, onProgress)
    try {
      await scan.#readHeads()
      await scan.#chooseLive()
    } catch (error) {
      await scan.release()
      throw error
    }
    return scan
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

  /** True when the last frame of the highest live segment is a CLOSE and nothing of that segment is missing. */
  async endsWithClose(): Promise<boolean> {
    const file = this.live[this.live.length - 1]
    if (file === undefined) return false
    let lastType = 0
    const state = new WalkState()
    await this.#walk(file, 0, state, Number.POSITIVE_INFINITY, false, (_bytes, _view, _index, { type }) => {
      if (type !== FrameType.pad) lastType = type
    })
    return (
      lastType === FrameType.close && state.runs.every((run, at) => at === 0 || run.after === state.runs[at - 1]?.last)
    )
  }

  /** Step 3, the first pass. null: something is missing, the runs have to be chained. */
  async readAll(checksAll: boolean): Promise<Reading | null> {
    this.state = new WalkState()
    const { runs } = this.state
    const reading = this.#newReading()
    const { applier } = reading
    let seen = 0
    let isWhole = true
    const sink: FrameSink = (bytes, view, index, header, at, segment) => {
      if (runs.length !== seen) {
        seen = runs.length
        if (seen > 1 && runs[seen - 1]?.after !== runs[seen - 2]?.last) isWhole = false
      }
      if (isWhole) applier.apply(bytes, view, index, header, at, segment)
    }
    const cuts = this.#cuts()
    for (const [index, file] of this.live.entries()) {
      if (file.header === null) isWhole = false
      else {
        const walk = await this.#walk(file, index, this.state, cuts[index] as number, checksAll, sink)
        this.verifiedEnd = walk.verifiedEnd
      }
      this.#tellProgress(index, reading.tables)
    }
    const first = applier.firstCheckpoints.get(0)
    if (!isWhole || first?.isComplete !== true || this.missing.length > 0) return null
    for (const run of runs) {
      const before = reading.ends[run.segment] ?? null
      const lastBodyCrc = run.lastBodyCrc >= 0 ? run.lastBodyCrc : (before?.lastBodyCrc ?? -1)
      reading.ends[run.segment] = { end: run.to, lastLsn: run.last, lastBodyCrc }
    }
    return reading
  }

  /** The runs of the last pass as one log. */
  chained(): KeptRun[] {
    const { runs } = this.state
    const first = this.live[0]
    const start = first !== undefined && Number.isFinite(first.firstLsn) ? first.firstLsn : -1
    return chain(runs, start, this.manifest.segmentBytes)
  }

  /** Applies the frames of `kept` to fresh tables. */
  async replay(kept: readonly KeptRun[]): Promise<Reading> {
    const reading = this.#newReading()
    const { applier, tables } = reading
    if (!(await this.#isCheckpointed(this.live[0]))) {
      await this.#seed(tables)
      applier.startWithout()
    }
    for (const [index, file] of this.live.entries()) {
      if (this.#isShared) file.source.forget()
      for (const item of kept) {
        if (item.run.segment !== index) continue
        if (item.gap !== null) applier.enterGap(item.gap.ranges)
        await this.#replayRun(file, item, reading)
      }
      await file.source.close()
      this.#tellProgress(index, tables)
    }
    return reading
  }

  async #replayRun(
    file: SegmentFile,
    { run, limit }: KeptRun,
    reading: Reading & { ends: (SegmentEnd | null)[] },
  ): Promise<void> {
    const { source, saltCrc } = file
    const header = new FrameHeader()
    for (let at = run.from; at < run.to; at += frameBytes(header.bodyLength)) {
      await this.#need(source, at, FRAME_HEADER_BYTES)
      const isGood = readFrameHeader(source.bytes, source.view, at - source.origin, saltCrc, header)
      if (!isGood) throw changed(file, at)
      await this.#need(source, at, Math.min(FRAME_HEADER_BYTES + header.bodyLength, source.capacity))
      if (header.lsn > limit) continue
      reading.applier.apply(source.bytes, source.view, at - source.origin, header, at, run.segment)
      const isRepeat =
        header.type === FrameType.checkpoint || header.type === FrameType.pad || header.type === FrameType.roll
      const before = reading.ends[run.segment] ?? null
      // The frame that a PAD repeats the LSN of may be missing.
      const carried = before?.lastLsn === header.lsn ? before.lastBodyCrc : -1
      reading.ends[run.segment] = {
        end: at + frameBytes(header.bodyLength),
        lastLsn: header.lsn,
        lastBodyCrc: isRepeat ? carried : header.bodyCrc,
      }
    }
  }

  async #need(source: SegmentSource, at: number, bytes: number): Promise<void> {
    if (at >= source.filledFrom && at + bytes <= source.filledTo) return
    await source.fill(at, Math.min(at + source.capacity, source.end))
    if (at + bytes > source.filledTo) throw changed({ name: source.name }, at)
  }

  async #readHeads(): Promise<void> {
    const { manifest, files } = this
    const { segmentBytes } = manifest
    const walId = Buffer.from(manifest.walId, 'hex')
    const { bytes, view } = this.#buffer
    for (const [index, { number, name }] of files.segments.entries()) {
      const windowAt = this.#isShared ? 0 : index * segmentBytes
      const source = new SegmentSource(
        this.#fs,
        this.#dir,
        name,
        segmentBytes,
        bytes,
        view,
        windowAt,
        this.#windowBytes,
        this.#isShared,
      )
      try {
        this.heads.push(
          await readHead(manifest, walId, number, name, source, this.#isShared ? HEAD_BYTES : segmentBytes),
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
      if (await this.#isCheckpointed(file)) break
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
      for (; expected < number; expected++) if (this.missing.length < 1000) this.missing.push(expected)
      expected = number + 1
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
    const found = oldest > 0 ? Math.min(oldest, highest.number) : await this.#oldestLive(highest, present)
    if (found <= (needed[0] as SegmentFile).number) return false
    this.#takeLive(present, found)
    return true
  }

  async #oldestLive(highest: SegmentFile, present: readonly SegmentFile[]): Promise<number> {
    let oldest = 0
    let parts = 0
    const sink: FrameSink = (bytes, view, index, header) => {
      if (header.type !== FrameType.checkpoint) return
      const body = index + FRAME_HEADER_BYTES
      if (header.bodyLength < CHECKPOINT_FIXED_BYTES || !isBodyGood(bytes, index, header)) return
      const part = view.getUint16(body, true)
      parts = part === 0 ? 1 : part === parts ? parts + 1 : 0
      if (parts > 0 && parts === view.getUint16(body + 2, true)) oldest = getU64(view, body + 16)
    }
    await this.#walk(highest, 0, new WalkState(), Number.POSITIVE_INFINITY, false, sink)
    const lowest = (present[0] as SegmentFile).number
    return Math.max(1, Math.min(oldest === 0 ? lowest : oldest, highest.number))
  }

  /** Its first frames are all parts of one CHECKPOINT. */
  async #isCheckpointed(file: SegmentFile | undefined): Promise<boolean> {
    if (file === undefined || file.header === null) return false
    const { source, saltCrc } = file
    if (this.#isShared) source.forget()
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

  async #holdsData(file: SegmentFile): Promise<boolean> {
    const walk = await this.#walk(file, 0, new WalkState(), Number.POSITIVE_INFINITY, true, () => {})
    return walk.hasOther || file.source.unreadable.length > 0
  }

  /** Streams as later CHECKPOINTs name them: the first one is not readable. */
  async #seed(tables: LogTables): Promise<void> {
    const header = new FrameHeader()
    for (const file of this.live) {
      if (!(await this.#isCheckpointed(file))) continue
      const { source, saltCrc } = file
      for (let at = SEGMENT_HEADER_BYTES; at < source.end; at += frameBytes(header.bodyLength)) {
        await source.fill(at, Math.min(at + HEAD_BYTES, source.end))
        if (!readFrameHeader(source.bytes, source.view, at - source.origin, saltCrc, header)) break
        if (header.type !== FrameType.checkpoint) break
        await source.fill(at, at + frameBytes(header.bodyLength))
        const body = at - source.origin + FRAME_HEADER_BYTES
        for (const stream of decodeCheckpoint(source.bytes, source.view, body, header.bodyLength).streams) {
          tables.defineStream(stream)
        }
      }
      await source.close()
      return
    }
  }

  async #walk(
    file: SegmentFile,
    index: number,
    state: WalkState,
    cut: number,
    checksAll: boolean,
    sink: FrameSink,
  ): Promise<SegmentWalk> {
    if (this.#isShared) file.source.forget()
    const walk = new SegmentWalk(file.source, index, file.saltCrc, state, cut, checksAll, sink)
    await walk.run()
    await file.source.close()
    return walk
  }

  /** Per live segment: frames above do not count, because a later segment begins at a lower LSN. */
  #cuts(): number[] {
    const cuts: number[] = []
    let cut = Number.POSITIVE_INFINITY
    for (let index = this.live.length - 1; index >= 0; index--) {
      cuts[index] = cut
      cut = Math.min(cut, (this.live[index] as SegmentFile).firstLsn)
    }
    return cuts
  }

  #newReading(): Reading & { ends: (SegmentEnd | null)[] } {
    const tables = new LogTables()
    const numbers = this.live.map(({ number }) => number)
    return { tables, applier: new FrameApplier(tables, numbers, this.#maxEntries), ends: numbers.map(() => null) }
  }

  #tellProgress(index: number, tables: LogTables): void {
    if (this.#onProgress === undefined) return
    const { segmentBytes } = this.manifest
    const segments = this.live.length
    const entries = tables.entryCount
    assert(index < segments, 'progress never exceeds its end')
    this.#onProgress({
      phase: 'scan',
      segments,
      bytes: (index + 1) * segmentBytes,
      totalBytes: segments * segmentBytes,
      entries,
    })
  }
}

function isGapless(files: readonly SegmentFile[], from: number): boolean {
  return files.every(({ number }, index) => number <= from || number === (files[index - 1] as SegmentFile).number + 1)
}

function changed({ name }: { readonly name: string }, at: number): Error {
  return walError('WAL_FAILED', `${name} changed at byte ${at} while it was read: is another process writing?`, {
    file: name,
    byte: at,
  })
}
