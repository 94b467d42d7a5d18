/**
 * What a log holds, as plain data: what `wal inspect --json` prints and `wal inspect` shows.
 * In doubt is what may be on a broker and has no outcome: entries with an identity. Of those, what an earlier incarnation
 * left behind is held, or about to be resolved by the one that runs: the log does not tell the two apart.
 */
import type { Entry, Finding, LockOwner, StreamFacts, Survey } from '../../../wal/index.js'
import { UNBOUND } from '../../../wal/index.js'
import { namedRanges, shownFinding } from './findings.js'

export interface RangePicture {
  readonly batches: number
  readonly records: number
  /** Positions; null when there are none. */
  readonly from: number | null
  readonly to: number | null
}

export interface StreamPicture {
  readonly id: number
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  readonly nextPosition: number
  readonly settledThrough: number
  readonly lastAckedOffset: number
  readonly unsettled: RangePicture
  readonly inDoubt: RangePicture & { readonly identities: readonly string[] }
  /** In doubt since an earlier incarnation: held, or being resolved. */
  readonly isHeld: boolean
}

export interface SegmentPicture {
  readonly number: number
  readonly file: string
  readonly bytes: number
  readonly state: 'live' | 'settled' | 'empty' | 'leftover'
  readonly end: number
  readonly lastLsn: number
  readonly unsettledRecords: number
  readonly liveBytes: number
}

export interface Picture {
  readonly dir: string
  readonly walId: string
  readonly format: string
  readonly owner: string
  readonly lock: string
  readonly segmentBytes: number
  readonly createdAtMs: number
  readonly clusterId: string
  readonly lastOpen: object | null
  readonly lockOwner: object | null
  readonly isClosed: boolean
  readonly isMoving: boolean
  readonly lastLsn: number
  readonly unsettledRecords: number
  readonly unsettledBatches: number
  readonly spares: number
  readonly segments: readonly SegmentPicture[]
  readonly streams: readonly StreamPicture[]
  readonly identities: readonly object[]
  readonly holes: readonly object[]
  readonly findings: readonly object[]
}

export function pictureOf(
  dir: string,
  survey: Survey,
  findings: readonly Finding[],
  more: { readonly owner: LockOwner | null; readonly isMoving: boolean },
): Picture {
  const { manifest, tables, lastOpen } = survey
  const { walId, major, minor, owner, lock, segmentBytes, createdAtMs } = manifest
  const newest = lastOpen?.incarnation ?? 0
  return {
    dir,
    walId,
    format: `${major}.${minor}`,
    owner,
    lock,
    segmentBytes,
    createdAtMs,
    clusterId: tables.clusterId,
    lastOpen,
    lockOwner: more.owner,
    isClosed: survey.isClean,
    isMoving: more.isMoving,
    lastLsn: survey.lastLsn,
    unsettledRecords: tables.unsettledRecords,
    unsettledBatches: tables.entryCount,
    spares: survey.spares.length,
    segments: segmentsOf(survey),
    streams: [...tables.streams.values()].map((stream) => streamOf(stream, tables.entriesOf(stream.id), newest)),
    identities: tables.identities.map((one) => ({ ...one, producerId: String(one.producerId) })),
    holes: survey.holes.map((hole) => ({ ...hole, ranges: namedRanges(hole.ranges, tables) })),
    findings: findings.map((finding) => shownFinding(finding, tables)),
  }
}

function segmentsOf({ segments, tables }: Survey): SegmentPicture[] {
  return segments.map(({ number, name, bytes, end, lastLsn, isLeftover, isSpareLike }) => {
    const unsettledRecords = tables.liveRecords(number)
    const state = isLeftover ? 'leftover' : isSpareLike ? 'empty' : unsettledRecords > 0 ? 'live' : 'settled'
    return { number, file: name, bytes, state, end, lastLsn, unsettledRecords, liveBytes: tables.liveBytes(number) }
  })
}

function streamOf(stream: StreamFacts, entries: readonly Entry[], newest: number): StreamPicture {
  const { id, topic, partition, topicId, nextPosition, settledThrough, lastAckedOffset } = stream
  const unsettled = entries.filter((entry) => entry.unsettled > 0)
  const doubtful = unsettled.filter(({ producerId }) => producerId !== UNBOUND)
  const identities = [...new Set(doubtful.map(({ producerId, epoch }) => `${producerId}/${epoch}`))]
  return {
    ...{ id, topic, partition, topicId, nextPosition, settledThrough, lastAckedOffset },
    unsettled: rangeOf(unsettled),
    inDoubt: { ...rangeOf(doubtful), identities },
    isHeld: doubtful.some(({ incarnation }) => incarnation < newest),
  }
}

function rangeOf(entries: readonly Entry[]): RangePicture {
  const [first] = entries
  const last = entries.at(-1)
  return {
    batches: entries.length,
    records: entries.reduce((sum, { unsettled }) => sum + unsettled, 0),
    from: first?.firstPosition ?? null,
    to: last === undefined ? null : last.firstPosition + last.count - 1,
  }
}
