/**
 * From what a survey found to what the writer starts with: the policies of wal.md 2.8 and step 5 of 4.1.
 * Why HOLE and OPEN are one group: a loss is either recorded together with the opening that found it, or found again.
 * A dead opening whose OPEN was not durable has sent nothing, so that its number may be used again.
 * Source: wal.md 2.8, 4.1, 4.3.
 */
import type { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import { encodeHole, holeBytes } from '../format/bodies/hole.js'
import { encodeOpen, type OpenBody, openBytes } from '../format/bodies/open.js'
import { FRAME_HEADER_BYTES, FRAMES_PER_SEGMENT, FrameType } from '../format/constants.js'
import { spareName } from '../format/manifest.js'
import { viewOf } from '../format/view.js'
import { readFrames } from '../read/frames.js'
import { type Finding, holeOf, type SegmentSurvey, type Survey } from '../read/survey.js'
import type { HoleFacts, HostFacts, RecoveredLog, WalOptions, WalParts } from '../types.js'
import type { WriterStart } from '../write/writer-start.js'
import type { Disk } from './disk.js'
import { quarantine } from './quarantine.js'

/** Of an incarnation. */
const ID_BYTES = 8
/** One range of a HOLE body. */
const HOLE_RANGE_BYTES = 24
/** How many losses an error text lists; all of them are in its context. */
const LISTED = 5

export interface RecoverFacts {
  readonly isNew: boolean
  readonly startedMs: number
}

/** @throws MQError WAL_CORRUPT with `onCorruption: 'stop'`: promised data is damaged, and nothing was changed */
export async function recover(
  disk: Disk,
  options: WalOptions,
  parts: WalParts,
  found: Survey,
  facts: RecoverFacts,
): Promise<{ start: WriterStart; recovered: RecoveredLog }> {
  const corrupt = found.findings.filter(({ kind }) => kind === 'corrupt')
  if (corrupt.length > 0 && options.onCorruption === 'stop') throw corruptLog(options.dir, corrupt, found)
  tellFindings(options.dir, parts, found.findings)
  await sweep(disk, options.dir, found.temporaries)
  if (corrupt.length > 0) {
    const { host, clock } = parts
    await quarantine(disk, options.dir, corrupt, {
      walId: found.manifest.walId,
      foundAtMs: clock.now(),
      host: host.host,
    })
  }
  const spares = [...found.spares, ...(await putBack(disk, parts, options.dir, found))]
  // A killed owner may have named files without syncing their names; the writer syncs what stands in them.
  await disk.fsyncDir(options.dir)
  const holes = found.findings.flatMap((finding) => holesOf(finding, found.manifest.segmentBytes))
  const open = openBodyOf(options, parts, found)
  const start = writerStart(found, spares, holes, open)
  return { start, recovered: recoveredOf(found, holes, parts, facts) }
}

async function sweep(disk: Disk, dir: string, temporaries: readonly string[]): Promise<void> {
  for (const name of temporaries) await disk.unlink(`${dir}/${name}`)
}

/**
 * A segment that was made ready and never begun, while appending goes on before it. It is not one to go on from: the
 * writer makes it anew when it gets there. Without this every crash here would leave an empty segment behind.
 */
function isUnbegun({ isSpareLike }: SegmentSurvey, { end }: Survey): boolean {
  return isSpareLike && end !== null
}

/** The names that unbegun segments have as spares. One that a ROLL names stays: a crash must find it there. */
async function putBack(disk: Disk, parts: WalParts, dir: string, found: Survey): Promise<string[]> {
  const unbegun = found.segments.filter((segment) => isUnbegun(segment, found))
  if (unbegun.length === 0 || found.end === null) return []
  let hasRoll = false
  const { unreadable, refused } = await readFrames(parts.fs, dir, found.end.segment, ({ type }) => {
    if (type === FrameType.roll) hasRoll = true
  })
  for (const { from, to, errno } of refused) {
    const text = `bytes ${from}..${to} of segment ${found.end.segment} were read only when asked for again (${errno})`
    parts.logger.warn(`${text}: look at the disk`, { path: dir, errno })
  }
  for (const { from, to } of unreadable) {
    const text = `bytes ${from}..${to} of segment ${found.end.segment} could be read before and cannot now`
    parts.logger.warn(`${text}: look at the disk`, { path: dir })
  }
  // What cannot be read may be a ROLL.
  if (hasRoll || unreadable.length > 0) return []
  const names: string[] = []
  for (const { name } of unbegun) {
    const spare = freeSpareName([...found.spares, ...names])
    await disk.rename(`${dir}/${name}`, `${dir}/${spare}`)
    names.push(spare)
  }
  return names
}

function freeSpareName(taken: readonly string[]): string {
  for (let index = 0; ; index++) if (!taken.includes(spareName(index))) return spareName(index)
}

/** Told before HOLE frames make them part of the log: a crash in between must not make a loss silent. */
function tellFindings(dir: string, parts: WalParts, findings: readonly Finding[]): void {
  for (const { kind, text, file, fromByte, toByte, fromLsn, toLsn, ranges } of findings) {
    const context = { path: `${dir}/${file}`, kind, fromByte, toByte, fromLsn, toLsn, ranges }
    if (kind === 'torn' || kind === 'covered' || kind === 'unknownOptional') parts.logger.info(text, context)
    else if (kind === 'corrupt') parts.logger.error(text, context)
    else parts.logger.warn(text, context)
  }
}

/** Usually one; a loss of more ranges than a frame holds takes several, each with a part of them. */
function holesOf(finding: Finding, segmentBytes: number): HoleFacts[] {
  const hole = holeOf(finding)
  if (hole === null) return []
  const without = { ...hole, ranges: [] }
  const room = segmentBytes / FRAMES_PER_SEGMENT - FRAME_HEADER_BYTES - holeBytes(without)
  const perFrame = Math.floor(room / HOLE_RANGE_BYTES)
  const holes: HoleFacts[] = []
  for (let at = 0; at < Math.max(1, hole.ranges.length); at += perFrame) {
    holes.push({ ...hole, ranges: hole.ranges.slice(at, at + perFrame) })
  }
  return holes
}

function writerStart(
  found: Survey,
  spares: readonly string[],
  holes: readonly HoleFacts[],
  open: OpenBody,
): WriterStart {
  const { manifest, tables, segments, end, lastLsn, lastBodyCrc } = found
  return {
    manifest,
    tables,
    segments: segments.filter((segment) => !isUnbegun(segment, found)).map(({ number, salt }) => ({ number, salt })),
    spares,
    end,
    cut: { lastLsn, lastBodyCrc },
    isEmptyLast: segments.at(-1)?.isSpareLike ?? false,
    incarnation: open.incarnation,
    incarnationId: open.incarnationId,
    first: [
      ...holes.map((hole) => ({ type: FrameType.hole, body: holeBody(hole) })),
      { type: FrameType.open, body: openBody(open) },
    ],
  }
}

function openBodyOf(options: WalOptions, parts: WalParts, found: Survey): OpenBody {
  const id = new Uint8Array(ID_BYTES)
  parts.randomBytes(id)
  const { pid, bootId, host, version } = parts.host
  return {
    incarnation: found.highestIncarnation + 1,
    incarnationId: Buffer.from(id).toString('hex'),
    previousLsn: found.lastLsn,
    tornBytes: found.tornBytes,
    openedAtMs: Math.max(0, Math.floor(parts.clock.now())),
    pid,
    durability: options.durability,
    bootId,
    host,
    version,
  }
}

function openBody(open: OpenBody): Uint8Array {
  const body = new Uint8Array(openBytes(open))
  encodeOpen(body, viewOf(body), 0, open)
  return body
}

function holeBody(hole: HoleFacts): Uint8Array {
  const body = new Uint8Array(holeBytes(hole))
  encodeHole(body, viewOf(body), 0, hole)
  return body
}

function recoveredOf(found: Survey, holes: readonly HoleFacts[], parts: WalParts, facts: RecoverFacts): RecoveredLog {
  const { tables, isClean, lastOpen, tornBytes, discardedUnaccepted, scannedBytes } = found
  return {
    isNew: facts.isNew,
    isClean,
    previous: lastOpen === null ? null : previousOf(lastOpen, parts.host),
    clusterId: tables.clusterId,
    entries: tables.entryCount,
    records: tables.unsettledRecords,
    tornBytes,
    discardedUnaccepted,
    holes,
    scannedBytes,
    scanMs: parts.clock.monotonicMs() - facts.startedMs,
  }
}

function previousOf(open: OpenBody, host: HostFacts): NonNullable<RecoveredLog['previous']> {
  const { incarnation, incarnationId, durability, pid, openedAtMs, bootId } = open
  return {
    incarnation,
    incarnationId,
    durability,
    host: open.host,
    pid,
    openedAtMs,
    mayHaveLostPower: bootId === '' || host.bootId === '' || bootId !== host.bootId,
    isOtherHost: open.host !== host.host,
  }
}

function corruptLog(dir: string, corrupt: readonly Finding[], found: Survey): MQError {
  const listed = corrupt.slice(0, LISTED).map((finding) => describe(finding, found))
  const more = corrupt.length > LISTED ? `; and ${corrupt.length - LISTED} more` : ''
  return walError(
    'WAL_CORRUPT',
    `${dir}: promised data is damaged: ${listed.join('; ')}${more}. Nothing was changed. Restore the files, or set onCorruption to 'quarantine' to go on without these records`,
    { path: dir, damages: corrupt.map((finding) => ({ ...finding, ranges: namedRanges(finding, found) })) },
  )
}

function describe(finding: Finding, found: Survey): string {
  const { text, fromLsn, toLsn } = finding
  const lsns = toLsn < fromLsn ? '' : ` (LSN ${fromLsn === toLsn ? fromLsn : `${fromLsn}..${toLsn}`})`
  const ranges = namedRanges(finding, found).map(({ topic, partition, stream, from, to }) => {
    const name = topic === '' ? `stream ${stream}` : `${topic}/${partition}`
    return `${name} positions ${from}..${to}`
  })
  return `${text}${lsns}${ranges.length === 0 ? '' : `: ${ranges.join(', ')}`}`
}

function namedRanges({ ranges }: Finding, found: Survey) {
  return ranges.map(({ stream, from, to }) => {
    const { topic = '', partition = 0 } = found.tables.streams.get(stream) ?? {}
    return { stream, topic, partition, from, to }
  })
}
