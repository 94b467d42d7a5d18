/**
 * Reads the segments of a log: which frames of them count, what they say.
 * Most logs have no gap, and then one pass is enough: frames are applied while they are checked. Otherwise the runs of
 * the first pass are chained, and those that count are applied again to fresh tables.
 * Source: wal.md 4.1 step 3.
 */
import { assert } from '../../util/index.js'
import { walError } from '../errors.js'
import { decodeCheckpoint } from '../format/bodies/checkpoint.js'
import { FRAME_HEADER_BYTES, FrameType, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { FrameHeader, frameBytes, readFrameHeader } from '../format/frame.js'
import { LogTables } from '../state/tables.js'
import type { RecoveryProgress } from '../types.js'
import { chain, type KeptRun } from './chain.js'
import type { SegmentFile } from './directory-listing.js'
import { FrameApplier, INDEX_ENTRY_BYTES } from './frame-applier.js'
import { LastCheckpoint } from './last-checkpoint.js'
import { HEAD_BYTES, type SegmentSet } from './segment-set.js'
import type { SegmentSource } from './segment-source.js'
import { CHECKS_ALL, type FrameSink, WalkState } from './segment-walk.js'

/** No segment was ever before it. */
export const FIRST_SEGMENT = 1

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
  readonly set: SegmentSet
  state = new WalkState()
  /** Behind the last header that verified in the highest live segment. */
  verifiedEnd = 0
  readonly #onProgress: ((step: RecoveryProgress) => void) | undefined
  readonly #maxEntries: number

  constructor(set: SegmentSet, indexMaxBytes: number, onProgress?: (step: RecoveryProgress) => void) {
    this.set = set
    this.#maxEntries = Math.max(1, Math.floor(indexMaxBytes / INDEX_ENTRY_BYTES))
    this.#onProgress = onProgress
  }

  /**
   * The incarnation that said goodbye, when the last frame of the highest live segment is its CLOSE and nothing of that
   * segment is missing; otherwise CHECKS_ALL. What its last CHECKPOINT calls the oldest that is needed is learned in the
   * same walk, so that no segment is read for nothing.
   */
  async closedBy(): Promise<number> {
    const file = this.set.live[this.set.live.length - 1]
    if (file === undefined) return CHECKS_ALL
    let lastType = 0
    const state = new WalkState()
    const checkpoints = new LastCheckpoint()
    await this.set.walk(file, 0, state, Number.POSITIVE_INFINITY, CHECKS_ALL, (bytes, view, index, header) => {
      if (header.type !== FrameType.pad) lastType = header.type
      if (header.type === FrameType.checkpoint) checkpoints.see(bytes, view, index, header)
    })
    if (this.set.broken.length === 0) this.set.narrowTo(checkpoints.oldestLiveSegment)
    const isWhole = state.runs.every((run, at) => at === 0 || run.after === state.runs[at - 1]?.last)
    return lastType === FrameType.close && isWhole ? state.lastIncarnation : CHECKS_ALL
  }

  /** Step 3, the first pass. null: something is missing, the runs have to be chained. `believed`: see SegmentWalk. */
  async readAll(believed: number): Promise<Reading | null> {
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
    const cuts = this.set.cuts()
    for (const [index, file] of this.set.live.entries()) {
      if (file.header === null) isWhole = false
      else {
        const walk = await this.set.walk(file, index, this.state, cuts[index] as number, believed, sink)
        this.verifiedEnd = walk.verifiedEnd
      }
      this.#tellProgress(index, reading.tables)
    }
    const first = applier.firstCheckpoints.get(0)
    if (!isWhole || first?.isComplete !== true || this.set.missing.length > 0) return null
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
    const first = this.set.live[0]
    const start = first !== undefined && Number.isFinite(first.firstLsn) ? first.firstLsn : -1
    return chain(runs, start, this.set.manifest.segmentBytes)
  }

  /** Applies the frames of `kept` to fresh tables. */
  async replay(kept: readonly KeptRun[]): Promise<Reading> {
    const reading = this.#newReading()
    const { applier, tables } = reading
    if (!(await this.set.isCheckpointed(this.set.live[0]))) {
      await this.#seed(tables)
      applier.startWithout()
    }
    for (const [index, file] of this.set.live.entries()) {
      if (this.set.isShared) file.source.forget()
      for (const item of kept) {
        if (item.run.segment !== index) continue
        if (item.gap !== null) applier.enterGap(item.gap.ranges)
        await this.#replayRun(file, item, reading)
      }
      await file.source.close()
      this.#tellProgress(index, tables)
    }
    applier.finish(this.set.live[0]?.number === FIRST_SEGMENT)
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

  /** Streams as later CHECKPOINTs name them: the first one is not readable. */
  async #seed(tables: LogTables): Promise<void> {
    const header = new FrameHeader()
    for (const file of this.set.live) {
      if (!(await this.set.isCheckpointed(file))) continue
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

  #newReading(): Reading & { ends: (SegmentEnd | null)[] } {
    const tables = new LogTables()
    const numbers = this.set.live.map(({ number }) => number)
    return { tables, applier: new FrameApplier(tables, numbers, this.#maxEntries), ends: numbers.map(() => null) }
  }

  #tellProgress(index: number, tables: LogTables): void {
    if (this.#onProgress === undefined) return
    const { segmentBytes } = this.set.manifest
    const segments = this.set.live.length
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

function changed({ name }: { readonly name: string }, at: number): Error {
  return walError('WAL_FAILED', `${name} changed at byte ${at} while it was read: is another process writing?`, {
    file: name,
    byte: at,
  })
}
