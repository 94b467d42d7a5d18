/** What every series of the core means: sources with a number of their own per field, and the values one by one. */
import { describe, expect, it } from 'vitest'
import { SERIES } from '../../lib/metrics/index.js'
import { type ParsedSample, parseExposition } from './exposition.js'
import { channelMeasures, connectionMeasures, consumerMeasures, metricsOf, producerMeasures, source } from './fakes.js'

/** Series -> `labels: value`, as the fakes say; histograms by count and sum. */
const EXPECTED: Record<string, string[]> = {
  write_counts_total: ['result=success: 101', 'result=failure: 2'],
  write_sizes_total: ['1003'],
  write_errors_total: ['2'],
  read_counts_total: ['result=success: 104', 'result=failure: 5'],
  read_sizes_total: ['1006'],
  read_errors_total: ['5'],
  switch_counts_total: ['7'],
  skip_switch_counts_total: ['8'],
  switch_latency: ['count 3, sum 0.203'],
  async_workers: ['80'],
  pool_alloc_total: ['9'],
  active_channel_data_counts: ['10'],
  active_channel_data_sizes: ['11'],
  leases_overdue_total: ['12'],
  producer_records_total: ['state=accepted: 220', 'state=acknowledged: 200', 'state=failed: 7', 'state=dropped: 3'],
  producer_pending_records: ['10'],
  producer_bytes_total: ['2001'],
  producer_batches_total: ['21'],
  producer_retries_total: ['reason=connection: 22', 'reason=NOT_LEADER_OR_FOLLOWER: 23'],
  produce_latency_seconds: ['count 3, sum 20.0031'],
  produce_request_seconds: ['count 1, sum 0.004'],
  batch_bytes: ['count 2, sum 2000300'],
  batch_records: ['count 2, sum 6'],
  compression_ratio: ['codec=lz4: count 1, sum 0.55'],
  in_flight_batches: ['24'],
  buffer_used_bytes: ['26'],
  buffer_limit_bytes: ['27'],
  throughput_target_ratio: ['3.1'],
  backpressure_total: ['level=soft: 28', 'level=hard: 29'],
  blocked_seconds_total: ['30.5'],
  circuit_state: ['broker=1: 0', 'broker=2: 2'],
  consumer_records_total: ['401'],
  consumer_bytes_total: ['402'],
  consumer_errors_total: ['action=retry: 41', 'action=skip: 42', 'action=dlq: 43', 'action=stop: 44'],
  consumer_dedup_hits_total: ['45'],
  consumer_callback_seconds: ['count 2, sum 0.004'],
  fetch_request_seconds: ['count 1, sum 0.5'],
  consumer_lag_records: ['topic=orders,partition=0: 46'],
  consumer_position_offset: ['topic=orders,partition=0: 47', 'topic=orders,partition=1: 48'],
  consumer_committed_offset: ['topic=orders,partition=0: 40'],
  rebalances_total: ['type=assigned: 49', 'type=revoked: 50', 'type=lost: 51'],
  commits_total: ['result=success: 52', 'result=failure: 53'],
  consumer_prefetch_bytes: ['54'],
  connections: ['state=total: 61', 'state=active: 62', 'state=idle: 63', 'state=max: 64'],
  connections_created_total: ['65'],
  connections_closed_total: ['66'],
  connection_errors_total: ['67'],
  ping_seconds: ['count 1, sum 0.01'],
  errors_total: ['component=producer,code=TIMEOUT: 31', 'component=consumer,code=CONSUME_FAILED: 56'],
}

function shown(samples: readonly ParsedSample[], type: string): string[] {
  const text = ({ labels }: ParsedSample) =>
    Object.entries(labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(',')
  const after = (labels: string) => (labels === '' ? '' : `${labels}: `)
  if (type !== 'histogram') return samples.map((sample) => `${after(text(sample))}${sample.value}`)
  const sums = samples.filter(({ name }) => name.endsWith('_sum'))
  const counts = samples.filter(({ name }) => name.endsWith('_count'))
  return sums.map((sum, at) => `${after(text(sum))}count ${counts[at]?.value}, sum ${sum.value}`)
}

async function exposed() {
  const metrics = metricsOf()
  metrics.attachChannel(source(channelMeasures()))
  metrics.attachProducer(source(producerMeasures()))
  metrics.attachConsumer(source(consumerMeasures()))
  metrics.attachConnections(source(connectionMeasures()))
  return parseExposition(await metrics.text(), 'text')
}

describe('what a series shows', () => {
  it('ME-1: every series of the core has its value', async () => {
    const families = await exposed()
    const actual = [...families].map(([name, family]) => [
      name.replace(/^tandem_mq_/, ''),
      shown(family.samples, family.type),
    ])
    expect(Object.fromEntries(actual)).toEqual(EXPECTED)
  })

  it('ME-1: the list of this test is the whole core', () => {
    const core = SERIES.filter((row) => row.room === 'core').map((row) => row.name)
    expect(Object.keys(EXPECTED).sort()).toEqual(core.sort())
  })

  it('ME-1: a histogram has every sample in its bucket, in seconds', async () => {
    const family = (await exposed()).get('tandem_mq_switch_latency')
    const buckets = family?.samples.filter(({ name }) => name.endsWith('_bucket'))
    expect(buckets?.map(({ labels, value }) => [labels.le, value])).toEqual([
      ['0.001', 1],
      ['0.005', 2],
      ['0.01', 2],
      ['0.05', 2],
      ['0.1', 2],
      ['+Inf', 3],
    ])
  })

  it('PR-22: in one exposition accepted = acknowledged + failed + dropped + pending, while records go on', async () => {
    const metrics = metricsOf()
    const state = { accepted: 0, acknowledged: 0 }
    metrics.attachProducer({
      measures: () => {
        state.accepted += 5
        state.acknowledged += 3
        const { accepted, acknowledged } = state
        return producerMeasures({ accepted, acknowledged, failed: 0, dropped: 0, pending: accepted - acknowledged })
      },
    })
    for (let scrape = 1; scrape <= 3; scrape++) {
      const families = parseExposition(await metrics.text(), 'text')
      const records = families.get('tandem_mq_producer_records_total')?.samples.map(({ value }) => value) ?? []
      const pending = families.get('tandem_mq_producer_pending_records')?.samples[0]?.value
      expect([records, pending]).toEqual([[5 * scrape, 3 * scrape, 0, 0], 2 * scrape])
    }
  })
})
