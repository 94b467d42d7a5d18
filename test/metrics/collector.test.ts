/** How several sources become one value, and what remains of those that go. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import type { Logger } from '../../lib/util/index.js'
import { LATENCY_SECONDS, silentLogger } from '../../lib/util/index.js'
import { findSample, parseExposition, sampleValue } from './exposition.js'
import {
  buckets,
  channelMeasures,
  connectionMeasures,
  consumerMeasures,
  metricsOf,
  producerMeasures,
  source,
} from './fakes.js'

const P = 'tandem_mq_'

describe('collecting', () => {
  it('ME-1: both result labels are there as 0 before anything is attached', async () => {
    const text = await metricsOf().text()
    for (const name of ['write_counts_total', 'read_counts_total', 'commits_total']) {
      expect(sampleValue(text, P + name, { result: 'success' })).toBe(0)
      expect(sampleValue(text, P + name, { result: 'failure' })).toBe(0)
    }
    expect(sampleValue(text, `${P}switch_latency_bucket`, { le: '+Inf' })).toBe(0)
    expect(sampleValue(text, `${P}active_channel_data_sizes`)).toBe(0)
  })

  it('ME-1: several sources of one kind add up: numbers, labels and histograms', async () => {
    const metrics = metricsOf()
    metrics.attachProducer(source(producerMeasures()))
    metrics.attachProducer(
      source(
        producerMeasures({
          accepted: 1,
          retries: new Map([
            ['timeout', 4],
            ['connection', 1],
          ]),
        }),
      ),
    )
    const text = await metrics.text()
    expect(sampleValue(text, `${P}producer_records_total`, { state: 'accepted' })).toBe(221)
    expect(sampleValue(text, `${P}producer_retries_total`, { reason: 'connection' })).toBe(23)
    expect(sampleValue(text, `${P}producer_retries_total`, { reason: 'timeout' })).toBe(4)
    expect(sampleValue(text, `${P}in_flight_batches`)).toBe(48)
    expect(sampleValue(text, `${P}produce_latency_seconds_count`)).toBe(6)
    expect(sampleValue(text, `${P}produce_latency_seconds_bucket`, { le: '0.005' })).toBe(4)
    expect(sampleValue(text, `${P}compression_ratio_count`, { codec: 'lz4' })).toBe(2)
  })

  it('ME-1: the lanes of a producer are a channel beside those attached', async () => {
    const metrics = metricsOf()
    metrics.attachProducer(source(producerMeasures({ lanes: channelMeasures({ writes: 1_000 }) })))
    metrics.attachChannel(source(channelMeasures({ writes: 1 })))
    expect(sampleValue(await metrics.text(), `${P}write_counts_total`, { result: 'success' })).toBe(1_001)
  })

  it('ME-1: gauges are set from the state, never added up over time', async () => {
    const metrics = metricsOf()
    let active = 5
    metrics.attachChannel({ measures: () => channelMeasures({ activeRecords: active }) })
    expect(sampleValue(await metrics.text(), `${P}active_channel_data_counts`)).toBe(5)
    expect(sampleValue(await metrics.text(), `${P}active_channel_data_counts`)).toBe(5)
    active = 0
    expect(sampleValue(await metrics.text(), `${P}active_channel_data_counts`)).toBe(0)
  })

  it('ME-1: counters are running totals, shown as they are however often somebody looks', async () => {
    const metrics = metricsOf()
    metrics.attachConsumer(source(consumerMeasures()))
    for (let look = 0; look < 3; look++) {
      const text = await metrics.text()
      expect(sampleValue(text, `${P}consumer_records_total`)).toBe(401)
      expect(sampleValue(text, `${P}consumer_callback_seconds_count`)).toBe(2)
    }
  })

  it('ME-1: a source that goes leaves its totals and takes its levels', async () => {
    const metrics = metricsOf()
    const state = { records: 10, callbackSeconds: buckets(LATENCY_SECONDS, 0.001) }
    const detach = metrics.attachConsumer({ measures: () => consumerMeasures(state) })
    expect(sampleValue(await metrics.text(), `${P}consumer_records_total`)).toBe(10)
    state.records = 12
    state.callbackSeconds.observe(0.2)
    detach()
    detach() // Twice counts once.
    state.records = 99
    const text = await metrics.text()
    expect(sampleValue(text, `${P}consumer_records_total`)).toBe(12)
    expect(sampleValue(text, `${P}consumer_callback_seconds_count`)).toBe(2)
    expect(sampleValue(text, `${P}errors_total`, { component: 'consumer', code: 'CONSUME_FAILED' })).toBe(56)
    expect(sampleValue(text, `${P}consumer_prefetch_bytes`)).toBe(0)
    expect(findSample(text, `${P}consumer_lag_records`, { topic: 'orders', partition: '0' })).toBeUndefined()
    metrics.attachConsumer(source(consumerMeasures({ records: 1 })))
    expect(sampleValue(await metrics.text(), `${P}consumer_records_total`)).toBe(13)
  })

  it('CO-13: gauges of a partition are there while it is assigned', async () => {
    const metrics = metricsOf()
    let partitions = consumerMeasures().partitions
    metrics.attachConsumer({ measures: () => consumerMeasures({ partitions }) })
    const lag = async () =>
      findSample(await metrics.text(), `${P}consumer_lag_records`, { topic: 'orders', partition: '0' })
    expect(await lag()).toBe(46)
    partitions = []
    expect(await lag()).toBeUndefined()
  })

  it('CO-13: two readers of one partition show the one that is further behind', async () => {
    const metrics = metricsOf()
    const at = (lag: number, position: number, committed: number) =>
      source(consumerMeasures({ partitions: [{ topic: 'orders', partition: 0, lag, position, committed }] }))
    metrics.attachConsumer(at(5, 95, 90))
    metrics.attachConsumer(at(30, 70, 65))
    const text = await metrics.text()
    const labels = { topic: 'orders', partition: '0' }
    expect(sampleValue(text, `${P}consumer_lag_records`, labels)).toBe(30)
    expect(sampleValue(text, `${P}consumer_position_offset`, labels)).toBe(70)
    expect(sampleValue(text, `${P}consumer_committed_offset`, labels)).toBe(65)
  })

  it('PR-19: of several producers the worst circuit of a broker is shown', async () => {
    const metrics = metricsOf()
    metrics.attachProducer(source(producerMeasures({ circuits: new Map([[1, 2]]) })))
    metrics.attachProducer(source(producerMeasures({ circuits: new Map([[1, 0]]) })))
    expect(sampleValue(await metrics.text(), `${P}circuit_state`, { broker: '1' })).toBe(2)
  })

  it('ME-1: countError counts by component and code, through causes, and nothing that is no MQError', async () => {
    const metrics = metricsOf()
    metrics.countError('admin', new MQError('TOPIC_NOT_FOUND', 'no such topic'))
    metrics.countError('admin', new Error('outer', { cause: new MQError('TOPIC_NOT_FOUND', 'no such topic') }))
    metrics.countError('pool', new MQError('POOL_EXHAUSTED', 'none free'))
    metrics.countError('pool', new Error('the reason of an abort'))
    const family = parseExposition(await metrics.text(), 'text').get(`${P}errors_total`)
    expect(family?.samples.map(({ labels, value }) => [labels.component, labels.code, value])).toEqual([
      ['admin', 'TOPIC_NOT_FOUND', 2],
      ['pool', 'POOL_EXHAUSTED', 1],
    ])
  })

  it('ME-1: a source that throws costs its own levels only, keeps its totals, and is told once per streak', async () => {
    const told: string[] = []
    const logger: Logger = { ...silentLogger, error: (message) => told.push(message) }
    const metrics = metricsOf({}, { logger })
    let isBroken = false
    metrics.attachConnections({
      measures: () => {
        if (isBroken) throw new Error('gone')
        return connectionMeasures()
      },
    })
    metrics.attachConsumer(source(consumerMeasures()))
    await metrics.text()
    isBroken = true
    for (let look = 0; look < 3; look++) {
      const text = await metrics.text()
      expect(sampleValue(text, `${P}connections_created_total`)).toBe(65)
      expect(sampleValue(text, `${P}connections`, { state: 'total' })).toBe(0)
      expect(sampleValue(text, `${P}consumer_records_total`)).toBe(401)
    }
    expect(told).toHaveLength(1)
    isBroken = false
    expect(sampleValue(await metrics.text(), `${P}connections`, { state: 'total' })).toBe(61)
    isBroken = true
    await metrics.text()
    expect(told).toHaveLength(2)
  })

  it('ME-7: series of the process exist once a monitor is attached, and only values it has', async () => {
    const metrics = metricsOf()
    expect(await metrics.text()).not.toContain('system_')
    const disks = [{ partition: '/dev/sda1', mountpoint: '/', usedPercent: 71.5 }]
    metrics.attachProcess(source({ cpuPercent: 12.5, disks, memoryPercent: undefined, eventLoopDelaySeconds: 0.002 }))
    const text = await metrics.text()
    expect(sampleValue(text, `${P}system_cpu_usage_percent`)).toBe(12.5)
    expect(sampleValue(text, `${P}disk_usage_percent`, { partition: '/dev/sda1', mountpoint: '/' })).toBe(71.5)
    expect(sampleValue(text, `${P}runtime_event_loop_delay_seconds`)).toBe(0.002)
    expect(findSample(text, `${P}system_memory_usage_percent`)).toBeUndefined()
    expect(findSample(text, `${P}network_bytes_sent`)).toBeUndefined()
  })

  it('ME-1: rooms that are not there show nothing, not even zeros, until one is attached', async () => {
    const metrics = metricsOf()
    const before = parseExposition(await metrics.text(), 'text')
    expect([...before.keys()].filter((name) => /_(queue|net|gateway|wal|runtime)_/.test(name))).toEqual([])
    const readings = {
      queue_enqueued_total: [[['jobs'], 7]] as const,
      queue_send_latency: [[['jobs'], buckets(LATENCY_SECONDS, 0.01)]] as const,
    }
    const detach = metrics.attachRoom('queue', { readings: () => readings })
    const text = await metrics.text()
    expect(sampleValue(text, `${P}queue_enqueued_total`, { queue: 'jobs' })).toBe(7)
    expect(sampleValue(text, `${P}queue_send_latency_count`, { queue: 'jobs' })).toBe(1)
    expect(text).not.toContain('_net_')
    detach()
    expect(sampleValue(await metrics.text(), `${P}queue_enqueued_total`, { queue: 'jobs' })).toBe(7)
  })
})
