/**
 * The table against part 5 of the specification, written down here a second time: a slip in one of the two shows.
 * What each series means is proved by values, in series.test.ts and known-run.test.ts.
 */
import { describe, expect, it } from 'vitest'
import { SERIES } from '../../lib/metrics/index.js'
import { chapterOf, tableRows } from '../docs/markdown.js'

const L = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const SWITCH = [0.001, 0.005, 0.01, 0.05, 0.1]
const BYTES = [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576]
const RECORDS = [1, 10, 100, 1_000, 10_000]
const RATIO = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]

/** name, type, labels, buckets. */
type Spec = readonly [string, 'counter' | 'gauge' | 'histogram', string?, (readonly number[])?]

/** The thirteen that Chanjet and TurboStream published. */
const CHANNEL: readonly Spec[] = [
  ['write_counts_total', 'counter', 'result'],
  ['write_sizes_total', 'counter'],
  ['write_errors_total', 'counter'],
  ['read_counts_total', 'counter', 'result'],
  ['read_sizes_total', 'counter'],
  ['read_errors_total', 'counter'],
  ['switch_counts_total', 'counter'],
  ['skip_switch_counts_total', 'counter'],
  ['switch_latency', 'histogram', '', SWITCH],
  ['async_workers', 'gauge'],
  ['pool_alloc_total', 'counter'],
  ['active_channel_data_counts', 'gauge'],
  ['active_channel_data_sizes', 'gauge'],
]

const CORE: readonly Spec[] = [
  ['producer_records_total', 'counter', 'state'],
  ['producer_pending_records', 'gauge'],
  ['producer_bytes_total', 'counter'],
  ['producer_batches_total', 'counter'],
  ['producer_retries_total', 'counter', 'reason'],
  ['produce_latency_seconds', 'histogram', '', L],
  ['produce_request_seconds', 'histogram', '', L],
  ['fetch_request_seconds', 'histogram', '', L],
  ['consumer_callback_seconds', 'histogram', '', L],
  ['batch_bytes', 'histogram', '', BYTES],
  ['batch_records', 'histogram', '', RECORDS],
  ['compression_ratio', 'histogram', 'codec', RATIO],
  ['in_flight_batches', 'gauge'],
  ['buffer_used_bytes', 'gauge'],
  ['buffer_limit_bytes', 'gauge'],
  ['throughput_target_ratio', 'gauge'],
  ['leases_overdue_total', 'counter'],
  ['backpressure_total', 'counter', 'level'],
  ['blocked_seconds_total', 'counter'],
  ['circuit_state', 'gauge', 'broker'],
  ['errors_total', 'counter', 'component,code'],
  ['consumer_records_total', 'counter'],
  ['consumer_bytes_total', 'counter'],
  ['consumer_errors_total', 'counter', 'action'],
  ['consumer_dedup_hits_total', 'counter'],
  ['consumer_lag_records', 'gauge', 'topic,partition'],
  ['consumer_position_offset', 'gauge', 'topic,partition'],
  ['consumer_committed_offset', 'gauge', 'topic,partition'],
  ['rebalances_total', 'counter', 'type'],
  ['commits_total', 'counter', 'result'],
  ['consumer_prefetch_bytes', 'gauge'],
  ['connections', 'gauge', 'state'],
  ['connections_created_total', 'counter'],
  ['connections_closed_total', 'counter'],
  ['connection_errors_total', 'counter'],
  ['ping_seconds', 'histogram', '', L],
]

const PROCESS: readonly Spec[] = [
  ['system_cpu_usage_percent', 'gauge'],
  ['system_memory_usage_percent', 'gauge'],
  ['disk_usage_percent', 'gauge', 'partition,mountpoint'],
  ['network_bytes_sent', 'gauge'],
  ['network_bytes_received', 'gauge'],
  ['runtime_heap_alloc_bytes', 'gauge'],
  ['runtime_active_resources', 'gauge'],
  ['runtime_event_loop_delay_seconds', 'gauge'],
]

const LATER: readonly Spec[] = [
  ['queue_size', 'gauge', 'queue'],
  ['queue_enqueued_total', 'counter', 'queue'],
  ['queue_sent_total', 'counter', 'queue'],
  ['queue_errors_total', 'counter', 'queue'],
  ['queue_batches_sent_total', 'counter', 'queue'],
  ['queue_dropped_total', 'counter', 'queue'],
  ['queue_wal_bytes', 'gauge', 'queue'],
  ['queue_send_latency', 'histogram', 'queue', L],
  ['net_connections', 'gauge'],
  ['net_accepted_total', 'counter'],
  ['net_rejected_total', 'counter'],
  ['net_idle_closed_total', 'counter'],
  ['net_bytes_total', 'counter', 'direction'],
  ['gateway_clients', 'gauge', 'transport'],
  ['gateway_messages_total', 'counter', 'direction'],
  ['gateway_dropped_total', 'counter'],
]

/** Of the log, names as its own specification lists them; there is no table of types. */
const WAL = [
  ...['appended_records_total', 'appended_bytes_total', 'groups_total', 'group_records', 'fdatasync_total'],
  ...['write_seconds', 'fdatasync_seconds', 'accept_seconds', 'pending_bytes', 'unsynced_bytes', 'live_bytes'],
  ...['segments', 'oldest_unsettled_seconds', 'settled_records_total', 'blocked_seconds_total', 'rejected_total'],
  ...['errors_total', 'poisoned_total', 'torn_bytes_total', 'hole_records_total', 'relocated_bytes_total'],
  ...['recovery_seconds', 'recovered_records_total', 'resolved_batches_total', 'held_streams', 'edge_total'],
].map((name) => `wal_${name}`)

const ALL = [...CHANNEL, ...CORE, ...PROCESS, ...LATER]
const rowOf = (name: string) => SERIES.find((row) => row.name === name)

describe('the table of series', () => {
  it.each(ALL.map(([name, type, labels = '', buckets = []]) => ({ name, type, labels, buckets })))(
    'ME-1: $name is a $type with its labels and buckets',
    ({ name, type, labels, buckets }) => {
      const row = rowOf(name)
      expect(row && [row.type, row.labels.join(','), row.buckets]).toEqual([type, labels, buckets])
    },
  )

  it('ME-1: has every series of part 5 once, and no other', () => {
    expect(SERIES.map((row) => row.name).sort()).toEqual([...ALL.map(([name]) => name), ...WAL].sort())
  })

  it('ME-2: the thirteen series of a channel are those that compatible prefixes repeat', () => {
    expect(CHANNEL).toHaveLength(13)
    const repeated = SERIES.filter((row) => row.isCompat).map((row) => row.name)
    expect(repeated.sort()).toEqual(CHANNEL.map(([name]) => name).sort())
  })

  it('ME-1: both result labels exist from the start, and every other closed set of labels', () => {
    const zeros = Object.fromEntries(
      SERIES.filter((row) => row.labels.length === 1).map((row) => [row.name, row.zeros]),
    )
    const result = [['success'], ['failure']]
    expect(zeros).toMatchObject({
      write_counts_total: result,
      read_counts_total: result,
      commits_total: result,
      producer_records_total: [['accepted'], ['acknowledged'], ['failed'], ['dropped']],
      backpressure_total: [['soft'], ['hard']],
      consumer_errors_total: [['retry'], ['skip'], ['dlq'], ['stop']],
    })
  })

  it('ME-1: rows name the room that feeds them; only those of the core are there without it', () => {
    const roomOf = (name: string) => rowOf(name)?.room
    expect(new Set([...CHANNEL, ...CORE].map(([name]) => roomOf(name)))).toEqual(new Set(['core']))
    expect(new Set(PROCESS.map(([name]) => roomOf(name)))).toEqual(new Set(['process']))
    for (const [name] of LATER) expect(roomOf(name)).toBe(name.split('_')[0])
    for (const name of WAL) expect(roomOf(name)).toBe('wal')
  })

  it('ME-1: every counter ends in _total, nothing else does, and each row of the core has a reader', () => {
    for (const row of SERIES) {
      expect([row.name, row.name.endsWith('_total')]).toEqual([row.name, row.type === 'counter'])
      const isRead = Object.keys(row.from).length > 0
      expect([row.name, isRead]).toEqual([row.name, row.room === 'core' || row.room === 'process'])
      expect(row.help).toMatch(/^[A-Z].*\.$/)
    }
  })

  it('ME-1: API.md has exactly these series, with type and labels', () => {
    const documented = tableRows(chapterOf('API.md', 'tandem-mq'), 'series').map((cells) =>
      cells.slice(0, 3).join(' | '),
    )
    const real = SERIES.map(
      (row) => `\`${row.name}\` | ${row.type} | ${row.labels.map((name) => `\`${name}\``).join(', ')}`,
    )
    expect(documented.sort()).toEqual(real.sort())
  })
})
