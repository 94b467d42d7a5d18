/**
 * The series of a consumer (features.md part 5).
 * Partition gauges exist while the partition is assigned and known: a value of -1 (unknown) is no sample. Should two
 * consumers of one instance read the same partition, the gauges show the one that is further behind.
 */
import type { ConsumerMeasures } from '../consumer/index.js'
import { LATENCY_SECONDS } from '../util/index.js'
import { byName, counter, each, gauge, histogram, type LabelledReading, type SeriesRow } from './series.js'

const ACTIONS = ['retry', 'skip', 'dlq', 'stop'] as const
const REBALANCES = ['assigned', 'revoked', 'lost'] as const
const PARTITION = ['topic', 'partition']

export const CONSUMER_SERIES: readonly SeriesRow[] = [
  counter('consumer_records_total', 'Records whose callback returned, or that were pulled.', {
    consumer: (of) => of.records,
  }),
  counter('consumer_bytes_total', 'Bytes of fetched batches.', { consumer: (of) => of.bytes }),
  counter(
    'consumer_errors_total',
    'Failed callbacks, by what was done about it.',
    { consumer: (of) => byName(ACTIONS.map((action) => [action, of.errorActions[action]])) },
    { labels: ['action'], zeros: each(...ACTIONS) },
  ),
  counter('consumer_dedup_hits_total', 'Records that were read before and skipped.', {
    consumer: (of) => of.dedupHits,
  }),
  histogram('consumer_callback_seconds', 'Seconds of one callback.', LATENCY_SECONDS, {
    consumer: (of) => of.callbackSeconds,
  }),
  histogram('fetch_request_seconds', 'Seconds of a fetch request, wire to answer.', LATENCY_SECONDS, {
    consumer: (of) => of.fetchSeconds,
  }),
  gauge(
    'consumer_lag_records',
    'Records between position and high watermark.',
    { consumer: (of) => known(of, 'lag') },
    { labels: PARTITION, combine: 'max' },
  ),
  gauge(
    'consumer_position_offset',
    'Next offset that is read.',
    { consumer: (of) => known(of, 'position') },
    { labels: PARTITION, combine: 'min' },
  ),
  gauge(
    'consumer_committed_offset',
    'Next offset that the group reads.',
    { consumer: (of) => known(of, 'committed') },
    { labels: PARTITION, combine: 'min' },
  ),
  counter(
    'rebalances_total',
    'Changes of the assignment, by type.',
    { consumer: (of) => byName(REBALANCES.map((type) => [type, of.rebalances[type]])) },
    { labels: ['type'], zeros: each(...REBALANCES) },
  ),
  counter(
    'commits_total',
    'Offset commits, by result.',
    {
      consumer: (of) => [
        [['success'], of.commits],
        [['failure'], of.commitFailures],
      ],
    },
    { labels: ['result'], zeros: each('success', 'failure') },
  ),
  gauge('consumer_prefetch_bytes', 'Bytes fetched and not yet handed out.', { consumer: (of) => of.prefetchBytes }),
]

function known(of: ConsumerMeasures, field: 'lag' | 'position' | 'committed'): LabelledReading[] {
  return of.partitions
    .filter((partition) => partition[field] >= 0)
    .map((partition) => [[partition.topic, String(partition.partition)], partition[field]])
}
