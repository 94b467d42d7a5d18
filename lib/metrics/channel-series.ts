/**
 * The thirteen series of a channel, under the names that Chanjet and TurboStream published (features.md part 5).
 * They read every attached channel and, as one more channel, all lanes of each producer.
 * Both `result` labels are there from the start, so that a rate over them is defined before the first failure.
 */
import { SWITCH_SECONDS } from '../channel/index.js'
import { counter, each, gauge, histogram, type SeriesRow } from './series.js'

const BY_RESULT = { labels: ['result'], zeros: each('success', 'failure'), isCompat: true }
const PLAIN = { isCompat: true }

export const CHANNEL_SERIES: readonly SeriesRow[] = [
  counter(
    'write_counts_total',
    'Writes into any channel, by result.',
    {
      channel: (of) => [
        [['success'], of.writes],
        [['failure'], of.writeFailures],
      ],
    },
    BY_RESULT,
  ),
  counter('write_sizes_total', 'Payload bytes written into channels.', { channel: (of) => of.writtenBytes }, PLAIN),
  counter(
    'write_errors_total',
    'Writes that were refused or failed: closed, full, too large, network.',
    { channel: (of) => of.writeFailures },
    PLAIN,
  ),
  counter(
    'read_counts_total',
    'Items handed to a reader, a callback or the sender, by result.',
    {
      channel: (of) => [
        [['success'], of.reads],
        [['failure'], of.readFailures],
      ],
    },
    BY_RESULT,
  ),
  counter(
    'read_sizes_total',
    'Bytes handed out by channels; of lanes, whole batches before compression.',
    { channel: (of) => of.readBytes },
    PLAIN,
  ),
  counter('read_errors_total', 'Reads that failed, time-outs included.', { channel: (of) => of.readFailures }, PLAIN),
  counter('switch_counts_total', 'Buffers sealed.', { channel: (of) => of.switches }, PLAIN),
  counter(
    'skip_switch_counts_total',
    'Deadline checks that sealed nothing.',
    { channel: (of) => of.skippedSwitches },
    PLAIN,
  ),
  histogram(
    'switch_latency',
    'Seconds from the decision to switch until the new active buffer is there.',
    SWITCH_SECONDS,
    { channel: (of) => of.switchSeconds },
    PLAIN,
  ),
  gauge(
    'async_workers',
    'Dispatches under way: produce requests and running callbacks.',
    { producer: (of) => of.inFlightRequests, consumer: (of) => of.runningCallbacks },
    PLAIN,
  ),
  counter(
    'pool_alloc_total',
    'Buffers really allocated, not taken from the pool.',
    { channel: (of) => of.allocations },
    PLAIN,
  ),
  gauge('active_channel_data_counts', 'Items in active buffers.', { channel: (of) => of.activeRecords }, PLAIN),
  gauge('active_channel_data_sizes', 'Bytes in active buffers.', { channel: (of) => of.activeBytes }, PLAIN),
  counter('leases_overdue_total', 'Zero-copy leases that were held too long.', { channel: (of) => of.overdueLeases }),
]
