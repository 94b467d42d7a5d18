/**
 * Series of rooms that this version does not have yet: queue, net, gateway, write-ahead log (features.md part 5,
 * wal.md 5). Their names, types and labels are settled here; each room brings its source (`attachRoom`), and until one
 * is attached they are not exposed: a zero would claim that something is measured.
 */
import { LATENCY_SECONDS } from '../util/index.js'
import { counter, each, gauge, histogram, type SeriesRow } from './series.js'

const QUEUE = { room: 'queue', labels: ['queue'] } as const
const NET = { room: 'net' } as const
const GATEWAY = { room: 'gateway' } as const
const WAL = { room: 'wal' } as const
/** The room names its readings itself. */
const BY_ROOM = {}
const GROUP_RECORDS: readonly number[] = [1, 10, 100, 1_000, 10_000]
const DIRECTIONS = each('in', 'out')

export const LATER_SERIES: readonly SeriesRow[] = [
  gauge('queue_size', 'Items waiting in a queue.', BY_ROOM, QUEUE),
  counter('queue_enqueued_total', 'Items accepted by a queue.', BY_ROOM, QUEUE),
  counter('queue_sent_total', 'Items that the sender function took.', BY_ROOM, QUEUE),
  counter('queue_errors_total', 'Attempts of the sender function that failed.', BY_ROOM, QUEUE),
  counter('queue_batches_sent_total', 'Batches that the sender function took.', BY_ROOM, QUEUE),
  counter('queue_dropped_total', 'Items dropped at a limit.', BY_ROOM, QUEUE),
  gauge('queue_wal_bytes', 'Bytes of a queue in its log.', BY_ROOM, QUEUE),
  histogram('queue_send_latency', 'Seconds of one call of the sender function.', LATENCY_SECONDS, BY_ROOM, QUEUE),

  gauge('net_connections', 'Connections open on servers.', BY_ROOM, NET),
  counter('net_accepted_total', 'Connections accepted.', BY_ROOM, NET),
  counter('net_rejected_total', 'Connections refused at the maximum.', BY_ROOM, NET),
  counter('net_idle_closed_total', 'Connections closed because they were idle.', BY_ROOM, NET),
  counter('net_bytes_total', 'Bytes, by direction.', BY_ROOM, { ...NET, labels: ['direction'], zeros: DIRECTIONS }),

  gauge('gateway_clients', 'Clients of the gateway, by transport.', BY_ROOM, { ...GATEWAY, labels: ['transport'] }),
  counter('gateway_messages_total', 'Messages of the gateway, by direction.', BY_ROOM, {
    ...GATEWAY,
    labels: ['direction'],
    zeros: DIRECTIONS,
  }),
  counter('gateway_dropped_total', 'Messages dropped for slow clients.', BY_ROOM, GATEWAY),

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
  gauge('wal_live_bytes', 'Bytes of segments in use.', BY_ROOM, WAL),
  gauge('wal_segments', 'Segments, by state.', BY_ROOM, { ...WAL, labels: ['state'] }),
  gauge('wal_oldest_unsettled_seconds', 'Age of the oldest record that is not settled.', BY_ROOM, WAL),
  counter('wal_settled_records_total', 'Records settled, by outcome.', BY_ROOM, { ...WAL, labels: ['outcome'] }),
  counter('wal_blocked_seconds_total', 'Seconds that writers waited for the log.', BY_ROOM, WAL),
  counter('wal_rejected_total', 'Records refused by the log.', BY_ROOM, WAL),
  counter('wal_errors_total', 'Errors of the log, by code.', BY_ROOM, { ...WAL, labels: ['code'] }),
  counter('wal_poisoned_total', 'Segments given up after a failed write.', BY_ROOM, WAL),
  counter('wal_torn_bytes_total', 'Bytes of torn tails.', BY_ROOM, WAL),
  counter('wal_hole_records_total', 'Records given up by a hole.', BY_ROOM, WAL),
  counter('wal_relocated_bytes_total', 'Bytes moved to free a segment.', BY_ROOM, WAL),
  gauge('wal_recovery_seconds', 'Seconds of the last recovery, by phase.', BY_ROOM, { ...WAL, labels: ['phase'] }),
  counter('wal_recovered_records_total', 'Records recovered.', BY_ROOM, WAL),
  counter('wal_resolved_batches_total', 'Batches in doubt, by verdict.', BY_ROOM, { ...WAL, labels: ['verdict'] }),
  gauge('wal_held_streams', 'Streams held because of doubt.', BY_ROOM, WAL),
  counter('wal_edge_total', 'Records at the edges of the promises, by case and topic.', BY_ROOM, {
    ...WAL,
    labels: ['case', 'topic'],
  }),
]
