/**
 * Looks at a log and judges it; changes nothing. Opening, `inspect`, `verify` and the tests of crashes all begin here.
 * Invariant: what cannot be relied on is a finding, never silently left out; what comes back in `tables` is only what
 * frames with good CRCs said.
 * Source: wal.md 2.8, 4.1 steps 1-4.
 */
import { MQError } from '../../errors/index.js'
import { FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import type { WalFs } from '../fs.js'
import type { HoleFacts, RecoveryProgress } from '../types.js'
import type { Gap, KeptRun } from './chain.js'
import type { SegmentFile } from './directory-listing.js'
import type { Finding, FindingKind, SegmentSurvey, Survey, SurveyEnd } from './findings.js'
import { isPlaceCovered, judgeGap } from './judge.js'
import { FIRST_SEGMENT, LogScan, type Reading, type SegmentEnd } from './log-scan.js'
import { requireAll, requireSegment } from './missing-segments.js'
import { SegmentSet } from './segment-set.js'
import { CHECKS_ALL } from './segment-walk.js'
import { tornBytesAt } from './torn-bytes.js'

export type { Finding, FindingKind, SegmentSurvey, Survey, SurveyEnd } from './findings.js'
export { holeOf } from './findings.js'

export interface SurveyOptions {
  /** Of this machine now; '' = unknown, which counts as changed. */
  readonly bootId: string
  /** Checks bodies even where the last owner said goodbye. */
  readonly verifyBodies: boolean
  /** Limit of the index of unsettled entries, 64 B each. */
  readonly indexMaxBytes: number
  readonly onProgress?: (step: RecoveryProgress) => void
}

/**
 * @throws MQError WAL_FULL: more unsettled entries than `indexMaxBytes` allows; WAL_MANIFEST_MISSING, WAL_SEGMENT_MISSING, WAL_VERSION, WAL_PERMISSION, WAL_CORRUPT (of MANIFEST).
 * Damage of segments is a finding.
 */
export async function survey(fs: WalFs, dir: string, options: SurveyOptions): Promise<Survey> {
  try {
    return await surveyOnce(fs, dir, options)
  } catch (error) {
    // Beside a log that is written to, a segment may have been recycled since it was listed: what is needed is there.
    if (!isGone(error)) throw error
    return surveyOnce(fs, dir, options)
  }
}

function isGone(error: unknown): boolean {
  return error instanceof MQError && error.context.reason === 'WAL_SEGMENT_MISSING' && error.context.errno === 'ENOENT'
}

async function surveyOnce(fs: WalFs, dir: string, options: SurveyOptions): Promise<Survey> {
  const set = await SegmentSet.of(fs, dir)
  try {
    return await new Surveyor(new LogScan(set, options.indexMaxBytes, options.onProgress), options).run()
  } finally {
    await set.release()
  }
}

class Surveyor {
  readonly #scan: LogScan
  readonly #options: SurveyOptions
  readonly #findings: Finding[] = []
  #discarded = 0

  constructor(scan: LogScan, options: SurveyOptions) {
    this.#scan = scan
    this.#options = options
  }

  async run(): Promise<Survey> {
    const scan = this.#scan
    const believed = this.#options.verifyBodies || scan.set.isSmall ? CHECKS_ALL : await scan.closedBy()
    let reading = await scan.readAll(believed)
    if (await scan.set.narrow(reading?.applier.oldestLiveSegment ?? 0)) reading = await scan.readAll(believed)
    let isCut = false
    // What was only believed is checked before anybody judges by it.
    if (reading === null && believed !== CHECKS_ALL) reading = await scan.readAll(CHECKS_ALL)
    if (reading === null) {
      const judged = await this.#judged()
      reading = judged.reading
      isCut = judged.isCut
    }
    const { applier, tables } = reading
    tables.dropVoidParts()
    if (applier.rolledTo > 0 && !isCut) requireSegment(this.#scan.set, applier.rolledTo)
    this.#damagedPlaces(reading)
    const { lastLsn, lastBodyCrc } = this.#lastOf(reading)
    const lost = this.#lostTail(lastLsn, reading)
    const end = isCut || lost !== null ? null : this.#endOf(reading, lastLsn, lastBodyCrc)
    const torn = this.#discarded > 0 || lost !== null ? 0 : await this.#tornTail(reading)
    return {
      manifest: scan.set.manifest,
      tables,
      findings: this.#findings,
      segments: this.#segments(reading),
      spares: scan.set.files.spares,
      temporaries: scan.set.files.temporaries,
      end,
      lastLsn: lost ?? lastLsn,
      lastBodyCrc: lost === null ? lastBodyCrc : 0,
      highestIncarnation: scan.state.highestIncarnation,
      lastOpen: tables.lastOpen,
      isClean: applier.isClean && torn === 0 && lost === null,
      tornBytes: torn,
      discardedUnaccepted: this.#discarded,
      holes: applier.holes,
      scannedBytes: scan.set.scannedBytes,
      frames: applier.frames,
      records: applier.records,
    }
  }

  /** LSNs are missing: what counts is found out first, then what to think of the rest. */
  async #judged(): Promise<{ reading: Reading; isCut: boolean }> {
    const scan = this.#scan
    const kept = scan.chained()
    requireAll(scan.set, kept)
    const reading = await scan.replay(kept)
    const verdicts = kept.map((_, index) => this.#verdict(kept, index, reading))
    const cut = verdicts.indexOf('discarded')
    for (const [index, { gap }] of kept.entries()) {
      if (gap !== null && (cut < 0 || index < cut)) this.#gapFound(gap, verdicts[index] as FindingKind)
    }
    if (cut < 0) return { reading, isCut: false }
    const remaining = kept.slice(0, cut)
    for (const { gap } of remaining) gap?.ranges.splice(0)
    const discarded = kept.slice(cut)
    for (const { run } of discarded) this.#discarded += run.frames
    const gap = discarded[0]?.gap as Gap
    this.#gapFound({ ...gap, ranges: [], toLsn: Math.max(...discarded.map(({ last }) => last)) }, 'discarded')
    // The cut is inside the last segment: appending goes on there. Otherwise segments behind it are in the way.
    const lastSegment = remaining[remaining.length - 1]?.run.segment
    return { reading: await scan.replay(remaining), isCut: lastSegment !== scan.set.live.length - 1 }
  }

  #verdict(kept: readonly KeptRun[], index: number, { applier, tables }: Reading): FindingKind | null {
    const { gap, run } = kept[index] as KeptRun
    if (gap === null) return null
    const { state, set } = this.#scan
    const about = {
      lastOpen: tables.lastOpen,
      wasOpened: tables.incarnations.size > 0,
      bootId: this.#options.bootId,
      attestedLsn: state.attestedLsn,
      holes: applier.holes,
    }
    const kind = judgeGap(gap.fromLsn, gap.toLsn, about)
    if (kind === 'covered' || kind === 'corrupt') return kind
    // Headers were synced before any frame, and what cannot be read was not lost with the power.
    const crossed = set.live.slice(gap.segment, run.segment + 1)
    const isDamaged = crossed.some(({ header, source }) => header === null || source.unreadable.length > 0)
    return isDamaged ? 'corrupt' : kind
  }

  #gapFound(gap: Gap, kind: FindingKind): void {
    const file = this.#scan.set.live[gap.segment] as SegmentFile
    const lsns = gap.toLsn > gap.fromLsn ? `LSNs ${gap.fromLsn}..${gap.toLsn}` : `LSN ${gap.fromLsn}`
    const { fromByte, toByte, fromLsn, toLsn, ranges } = gap
    const text = `${lsns} ${TEXTS[kind]}, bytes ${fromByte}..${toByte} of ${file.name}${positionsText(ranges)}`
    this.#findings.push({ kind, segment: file.number, file: file.name, fromByte, toByte, fromLsn, toLsn, ranges, text })
  }

  /** Damage that is not about missing LSNs. */
  #damagedPlaces(reading: Reading): void {
    const { heads, live, files, broken } = this.#scan.set
    const { applier } = reading
    const { holes } = applier
    for (const name of files.misnamed) {
      this.#place('corrupt', 0, name, 0, 0, `${name} is not a segment's name: 16 hex digits and .wal`, holes)
    }
    for (const file of heads) this.#refusedReads(file)
    for (const [index, file] of live.entries()) this.#damagedSegment(index, file, reading)
    for (const { file, text } of broken) {
      const { number, name, source } = file
      this.#place('corrupt', number, name, 0, source.end, `${name} cannot be relied on: ${text}`, holes)
    }
    for (const { segment, from, to, text, ranges } of applier.doubts) {
      const { number, name } = live[segment] as SegmentFile
      this.#place('corrupt', number, name, from, to, `${text} (byte ${from} of ${name})`, holes, ranges)
    }
    for (const [type, count] of applier.optional) {
      const text = `${count} frames of type ${type}, which this release does not know, were skipped`
      this.#place('unknownOptional', 0, '', 0, 0, text, [])
    }
  }

  #refusedReads({ number, name, source }: SegmentFile): void {
    for (const { from, to, errno } of source.refused) {
      const text = `bytes ${from}..${to} of ${name} were read only when asked for again (${errno}): look at the disk`
      this.#place('refusedRead', number, name, from, to, text, [])
    }
  }

  #damagedSegment(index: number, file: SegmentFile, { applier, ends }: Reading): void {
    const { number, name, source } = file
    const { holes } = applier
    const isBroken = this.#scan.set.broken.some((other) => other.file === file)
    if (file.header === null) {
      if (isBroken) return
      const text = `${name}: ${file.problem}`
      if (index === 0) this.#headLoss(file, 0, source.end, text, applier)
      else this.#place('corrupt', number, name, 0, source.end, text, holes)
      return
    }
    if (file.badCopies > 0) {
      const text = `one of the two copies of the header of ${name} is damaged, the other one serves`
      this.#place('badHeaderCopy', number, name, 0, SEGMENT_HEADER_BYTES, text, [])
    }
    for (const { from, to } of source.unreadable) {
      this.#place('corrupt', number, name, from, to, `bytes ${from}..${to} of ${name} cannot be read`, holes)
    }
    const first = applier.firstCheckpoints.get(index)
    // Above a cut: all of it was given up.
    const isDropped = index > 0 && !ends[index] && Number.isFinite(file.firstLsn)
    if (first?.isComplete !== true && !isBroken && !isDropped) {
      const text = `the CHECKPOINT of ${name} is not readable`
      const [from, to] = [SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES]
      if (index === 0) this.#headLoss(file, from, to, `${text}, and no older segment is there`, applier)
      else {
        const rebuilt = `${text}: its tables were rebuilt from the frames before it`
        this.#place('badCheckpoint', number, name, from, to, rebuilt, holes)
      }
    }
    if (first !== undefined && index > 0) this.#chainCrc(index, file, first, ends, holes)
  }

  /** The log's first CHECKPOINT is gone, perhaps with frames behind it: a later CHECKPOINT tells what that cost. */
  #headLoss(file: SegmentFile, fromByte: number, toByte: number, what: string, applier: Reading['applier']): void {
    const { number, name } = file
    const { headLosses, holes } = applier
    const [first] = this.#scan.state.runs
    // Frames of this segment are there: whether any is missing before them, nobody can tell.
    const toLsn = first === undefined || first.segment === 0 ? 0 : first.after
    const isWhole = number === FIRST_SEGMENT
    const lsns = toLsn === 0 ? '' : `: LSNs ${isWhole ? '1..' : 'up to '}${toLsn} are lost`
    const text = `${what}${lsns}${positionsText(headLosses)}`
    const range = toLsn === 0 ? NO_LSNS : { fromLsn: isWhole ? 1 : 0, toLsn }
    this.#place('corrupt', number, name, fromByte, toByte, text, holes, headLosses, range)
  }

  /** The frame that ends the segment before must be the one that this segment goes on from. */
  #chainCrc(
    index: number,
    file: SegmentFile,
    first: { readonly previousLastLsn: number; readonly previousLastBodyCrc: number },
    ends: readonly (SegmentEnd | null)[],
    holes: readonly HoleFacts[],
  ): void {
    let before: SegmentEnd | null = null
    for (let other = index - 1; other >= 0 && before === null; other--) before = ends[other] ?? null
    if (before === null || before.lastLsn !== first.previousLastLsn || before.lastBodyCrc < 0) return
    if (before.lastBodyCrc === first.previousLastBodyCrc) return
    const text = `${file.name} goes on from another frame with LSN ${before.lastLsn} than the one before it: a segment was replaced`
    this.#place('corrupt', file.number, file.name, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES, text, holes)
  }

  #place(
    kind: FindingKind,
    segment: number,
    file: string,
    fromByte: number,
    toByte: number,
    text: string,
    holes: readonly HoleFacts[],
    ranges: HoleFacts['ranges'] = [],
    { fromLsn, toLsn } = NO_LSNS,
  ): void {
    const isCovered = kind === 'corrupt' && isPlaceCovered(segment, fromByte, toByte, holes)
    const shown = isCovered ? 'covered' : kind
    this.#findings.push({ kind: shown, segment, file, fromByte, toByte, fromLsn, toLsn, ranges, text })
  }

  #lastOf({ ends, applier }: Reading): { lastLsn: number; lastBodyCrc: number } {
    let lastLsn = 0
    let lastBodyCrc = 0
    for (let index = 0; index < ends.length; index++) {
      const end = ends[index]
      if (end === null || end === undefined) continue
      const first = applier.firstCheckpoints.get(index)
      if (end.lastBodyCrc >= 0) lastBodyCrc = end.lastBodyCrc
      else if (end.lastLsn !== lastLsn)
        lastBodyCrc = first?.previousLastLsn === end.lastLsn ? first.previousLastBodyCrc : 0
      else if (lastLsn === 0) lastBodyCrc = first?.previousLastBodyCrc ?? 0
      lastLsn = Math.max(lastLsn, end.lastLsn)
    }
    return { lastLsn, lastBodyCrc }
  }

  /** A frame says that more was synced than is there. Gives the highest LSN that is lost, null: none. */
  #lostTail(lastLsn: number, reading: Reading): number | null {
    const { state, set } = this.#scan
    if (state.attestedLsn <= lastLsn) return null
    const segment = Math.max(0, set.live.length - 1)
    const fromByte = reading.ends[segment]?.end ?? SEGMENT_HEADER_BYTES
    const toByte = set.manifest.segmentBytes
    this.#gapFound({ fromLsn: lastLsn + 1, toLsn: state.attestedLsn, segment, fromByte, toByte, ranges: [] }, 'corrupt')
    return state.attestedLsn
  }

  #endOf({ ends }: Reading, lastLsn: number, lastBodyCrc: number): SurveyEnd | null {
    const { state, set } = this.#scan
    const { live, manifest, broken } = set
    const last = live[live.length - 1]
    const end = ends[live.length - 1]
    if (last === undefined || end === null || end === undefined || broken.length > 0) return null
    // A file that was cut, or that cannot be read somewhere, is not written to any more.
    if (last.source.end < manifest.segmentBytes || last.source.unreadable.length > 0) return null
    const at = Math.ceil(end.end / manifest.sectorBytes) * manifest.sectorBytes
    if (at + FRAME_HEADER_BYTES > manifest.segmentBytes) return null
    return { segment: last.number, at, lastLsn, lastBodyCrc, attestedLsn: state.attestedLsn }
  }

  async #tornTail({ ends, applier }: Reading): Promise<number> {
    const scan = this.#scan
    const last = scan.set.live[scan.set.live.length - 1]
    const end = ends[scan.set.live.length - 1]
    if (last === undefined || last.header === null || end === null || end === undefined) return 0
    const bytes = await tornBytesAt(last.source, end.end, scan.verifiedEnd, applier.isClean)
    if (bytes === 0) return 0
    const text = `the log ends with ${bytes} B that were being written at byte ${end.end} of ${last.name}: normal after a crash`
    const { number: segment, name: file } = last
    this.#findings.push({
      kind: 'torn',
      segment,
      file,
      fromByte: end.end,
      toByte: end.end + bytes,
      fromLsn: 0,
      toLsn: -1,
      ranges: [],
      text,
    })
    return bytes
  }

  #segments({ ends }: Reading): SegmentSurvey[] {
    const { heads, live, leftovers, spareLike } = this.#scan.set
    let lastLsn = 0
    let lastBodyCrc = 0
    return heads.map((file) => {
      const end = ends[live.indexOf(file)] ?? null
      if (end !== null) {
        if (end.lastBodyCrc >= 0) lastBodyCrc = end.lastBodyCrc
        else if (end.lastLsn !== lastLsn) lastBodyCrc = 0
        lastLsn = end.lastLsn
      }
      return {
        number: file.number,
        name: file.name,
        bytes: file.source.end,
        salt: file.header?.salt ?? new Uint8Array(8),
        end: end?.end ?? SEGMENT_HEADER_BYTES,
        lastLsn,
        lastBodyCrc,
        isLeftover: leftovers.includes(file),
        isSpareLike: spareLike.includes(file),
      }
    })
  }
}

/** No LSN is missing: an empty range. */
const NO_LSNS = { fromLsn: 0, toLsn: -1 }

const TEXTS: Record<FindingKind, string> = {
  torn: 'torn',
  corrupt: 'promised and damaged',
  reordered: 'lost with the power, never synced',
  discarded: 'cut off, never accepted',
  badHeaderCopy: '',
  badCheckpoint: '',
  unknownOptional: '',
  covered: 'missing, and recorded as lost',
  refusedRead: '',
}

function positionsText(
  ranges: readonly { readonly stream: number; readonly from: number; readonly to: number }[],
): string {
  if (ranges.length === 0) return ''
  return `: ${ranges.map(({ stream, from, to }) => `stream ${stream} positions ${from}..${to}`).join(', ')}`
}
