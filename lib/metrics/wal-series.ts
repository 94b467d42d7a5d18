/**
 * The series of the write-ahead log (wal.md 5; labels: features.md part 5). They exist once a log is attached: a zero
 * without a log would claim that something is measured.
 * Why no label names a producer: logs of one instance add up like its producers; the age of the oldest record and the
 * length of a recovery do not add up, so the worst is shown.
 */
import { LATENCY_SECONDS } from '../util/index.js'
import { GROUP_RECORDS } from '../wal/index.js'
import { counter, each, gauge, histogram, type SeriesRow } from './series.js'

const WAL = { room: 'wal' } as const
const WORST = { room: 'wal', combine: 'max' } as const
/** The room names its readings itself: wal-readings.ts. */
const BY_ROOM = {}
const OUTCOMES = each('delivered', 'duplicate', 'rejected', 'dropped', 'lost')

export const WAL_SERIES: readonly SeriesRow[] = [
  counter('wal_appended_records_total', 'Records written to the log.', BY_ROOM, WAL),
  counter('wal_appended_bytes_total', 'Bytes written to the log.', BY_ROOM, WAL),
  counter('wal_groups_total', 'Group commits.', BY_ROOM, WAL),
  histogram('wal_group_records', 'Records of a group commit.', GROUP_RECORDS, BY_ROOM, WAL),
  counter('wal_fdatasync_total', 'Calls of fdatasync.', BY_ROOM, WAL),
  histogram('wal_write_seconds', 'Seconds of a write.', LATENCY_SECONDS, BY_ROOM, WAL),
  histogram('wal_fdatasync_seconds', 'Seconds of an fdatasync.', LATENCY_SECONDS, BY_ROOM, WAL),
  histogram('wal_accept_seconds', 'Seconds from append to acceptance.', LATENCY_SECONDS, BY_ROOM, WAL),
  gauge('wal_pending_bytes', 'Bytes waiting to be written.', BY_ROOM, WAL),
  gauge('wal_unsynced_bytes', 'Bytes written and not yet synced.', BY_ROOM, WAL),
  gauge('wal_live_bytes', 'Bytes of segments that hold unsettled records.', BY_ROOM, WAL),
  gauge('wal_segments', 'Segments, by state.', BY_ROOM, { ...WAL, labels: ['state'], zeros: each('live', 'spare') }),
  gauge('wal_oldest_unsettled_seconds', 'Age of the oldest record that is not settled.', BY_ROOM, WORST),
  counter('wal_settled_records_total', 'Records settled, by outcome.', BY_ROOM, {
    ...WAL,
    labels: ['outcome'],
    zeros: OUTCOMES,
  }),
  counter('wal_blocked_seconds_total', 'Seconds that sends waited for the log.', BY_ROOM, WAL),
  counter('wal_rejected_total', 'Records refused by the log.', BY_ROOM, WAL),
  counter('wal_errors_total', 'Errors of the log, by code.', BY_ROOM, { ...WAL, labels: ['code'] }),
  counter('wal_poisoned_total', 'Segments given up after a failed write.', BY_ROOM, WAL),
  counter('wal_torn_bytes_total', 'Bytes of torn tails.', BY_ROOM, WAL),
  counter('wal_hole_records_total', 'Records given up by a hole.', BY_ROOM, WAL),
  counter('wal_relocated_bytes_total', 'Bytes moved to free a segment.', BY_ROOM, WAL),
  gauge('wal_recovery_seconds', 'Seconds of the last recovery, by phase.', BY_ROOM, { ...WORST, labels: ['phase'] }),
  counter('wal_recovered_records_total', 'Records recovered.', BY_ROOM, WAL),
  counter('wal_resolved_batches_total', 'Batches in doubt, by verdict.', BY_ROOM, { ...WAL, labels: ['verdict'] }),
  gauge('wal_held_streams', 'Streams held because of doubt.', BY_ROOM, WAL),
  counter('wal_edge_total', 'Records at the edges of the promises, by case and topic.', BY_ROOM, {
    ...WAL,
    labels: ['case', 'topic'],
  }),
]
