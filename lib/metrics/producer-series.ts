/**
 * The series of a producer (features.md part 5).
 * Invariant (PR-22): in every collection accepted = acknowledged + failed + dropped + producer_pending_records, because
 * all five numbers come from one `measures()`.
 */
import { BATCH_BYTES, BATCH_RECORDS, COMPRESSION_RATIO } from '../producer/index.js'
import { LATENCY_SECONDS } from '../util/index.js'
import { byName, counter, each, gauge, histogram, type SeriesRow } from './series.js'

export const PRODUCER_SERIES: readonly SeriesRow[] = [
  counter(
    'producer_records_total',
    'Records by state; accepted = acknowledged + failed + dropped + producer_pending_records.',
    {
      producer: (of) => [
        [['accepted'], of.accepted],
        [['acknowledged'], of.acknowledged],
        [['failed'], of.failed],
        [['dropped'], of.dropped],
      ],
    },
    { labels: ['state'], zeros: each('accepted', 'acknowledged', 'failed', 'dropped') },
  ),
  gauge('producer_pending_records', 'Records accepted and not settled.', { producer: (of) => of.pending }),
  counter('producer_bytes_total', 'Bytes of accepted records: keys, values and headers, encoded.', {
    producer: (of) => of.acceptedBytes,
  }),
  counter('producer_batches_total', 'Batches acknowledged.', { producer: (of) => of.batches }),
  counter(
    'producer_retries_total',
    'Batches sent again, by reason.',
    { producer: (of) => byName(of.retries) },
    { labels: ['reason'] },
  ),
  histogram('produce_latency_seconds', 'Seconds from append to acknowledgement, per record.', LATENCY_SECONDS, {
    producer: (of) => of.produceSeconds,
  }),
  histogram('produce_request_seconds', 'Seconds of a produce request, wire to answer.', LATENCY_SECONDS, {
    producer: (of) => of.requestSeconds,
  }),
  histogram('batch_bytes', 'Bytes of an acknowledged batch on the wire.', BATCH_BYTES, {
    producer: (of) => of.batchBytes,
  }),
  histogram('batch_records', 'Records of an acknowledged batch.', BATCH_RECORDS, {
    producer: (of) => of.batchRecords,
  }),
  histogram(
    'compression_ratio',
    'Compressed to original bytes of an acknowledged batch, by codec.',
    COMPRESSION_RATIO,
    { producer: (of) => byName(of.compressionRatios) },
    { labels: ['codec'] },
  ),
  gauge('in_flight_batches', 'Batches sent and not answered.', { producer: (of) => of.inFlightBatches }),
  gauge('buffer_used_bytes', 'Memory taken by records of producers.', { producer: (of) => of.bufferUsedBytes }),
  gauge('buffer_limit_bytes', 'Memory that producers may take.', { producer: (of) => of.bufferLimitBytes }),
  gauge('throughput_target_ratio', 'Records per second of the last 10 s, relative to the target.', {
    producer: (of, facts) => of.recordsPerSecond / facts.targetThroughputPerSec,
  }),
  counter(
    'backpressure_total',
    'Crossings of the soft memory limit, and records that met the hard one.',
    {
      producer: (of) => [
        [['soft'], of.softLimits],
        [['hard'], of.hardLimits],
      ],
    },
    { labels: ['level'], zeros: each('soft', 'hard') },
  ),
  counter('blocked_seconds_total', 'Seconds that sends waited for memory.', { producer: (of) => of.blockedSeconds }),
  gauge(
    'circuit_state',
    'State of the circuit of a broker: 0 closed, 1 half-open, 2 open; of several producers the worst.',
    { producer: (of) => byName(of.circuits) },
    { labels: ['broker'], combine: 'max' },
  ),
]
