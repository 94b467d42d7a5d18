/**
 * What must hold of every survey, whatever was done to the log: nothing invented, nothing promised left out in silence.
 */
import { FRAME_HEADER_BYTES, FrameType, SEGMENT_HEADER_BYTES } from '../../../lib/wal/format/constants.js'
import type { Survey } from '../../../lib/wal/read/survey.js'
import type { LogBuilder } from './build-log.js'
import type { MemoryFs } from './memory-fs.js'

/** Kinds of findings that confess a loss of promised data. */
const CONFESSIONS: readonly string[] = ['corrupt', 'reordered', 'covered']

export interface Truth {
  readonly log: LogBuilder
  /** By LSN. */
  readonly batches: ReadonlyMap<
    number,
    { readonly stream: number; readonly firstPosition: number; readonly count: number }
  >
  /** LSNs of entries that were unsettled in the log as it was written. */
  readonly unsettled: ReadonlySet<number>
  /** Headers and bodies by LSN; padding is covered by no CRC. */
  readonly frames: ReadonlyMap<number, Uint8Array>
}

export function truthOf(log: LogBuilder): Truth {
  const unsettled = new Set<number>()
  for (const id of log.tables.streams.keys()) for (const entry of log.tables.entriesOf(id)) unsettled.add(entry.lsn)
  return {
    log,
    batches: new Map(log.batches.map((batch) => [batch.lsn, batch])),
    unsettled,
    frames: new Map(
      log.written
        .filter(({ type }) => type === FrameType.batch)
        .map(({ lsn, segment, at }) => {
          const bodyBytes = new DataView(log.bytes(segment).buffer).getUint32(at + 8, true)
          return [lsn, log.bytes(segment).slice(at, at + FRAME_HEADER_BYTES + bodyBytes)]
        }),
    ),
  }
}

/** A sentence about what is wrong; null: nothing. */
export function lieOf(found: Survey, truth: Truth, fs: MemoryFs, promisedLsn: number): string | null {
  const { log } = truth
  const present = new Set<number>()
  let unsettled = 0
  for (const id of found.tables.streams.keys()) {
    let before = -1
    for (const entry of found.tables.entriesOf(id)) {
      const real = truth.batches.get(entry.lsn)
      if (real === undefined) return `LSN ${entry.lsn} was never a batch`
      if (real.stream !== entry.stream || real.firstPosition !== entry.firstPosition || real.count !== entry.count) {
        return `LSN ${entry.lsn} is not what was written`
      }
      if (entry.firstPosition <= before) return `stream ${id} is out of order at ${entry.firstPosition}`
      before = entry.firstPosition
      const to = entry.at + FRAME_HEADER_BYTES + entry.bodyBytes
      const now = fs.file(log.path(entry.segment)).subarray(entry.at, to)
      const then = truth.frames.get(entry.lsn)
      if (then === undefined || Buffer.compare(now, then) !== 0) return `LSN ${entry.lsn} has other bytes`
      present.add(entry.lsn)
      unsettled += entry.unsettled
    }
  }
  if (unsettled !== found.tables.unsettledRecords) return 'the counts do not add up'
  const isConfessed = found.findings.some(({ kind }) => CONFESSIONS.includes(kind))
  for (const lsn of truth.unsettled) {
    if (lsn <= promisedLsn && !present.has(lsn) && !isConfessed) return `LSN ${lsn} was promised and is gone in silence`
  }
  if (found.end !== null && (found.end.at < SEGMENT_HEADER_BYTES || found.end.at % 512 !== 0)) return 'a strange end'
  if (found.end !== null && found.end.lastLsn !== found.lastLsn) return 'two last LSNs'
  return null
}
