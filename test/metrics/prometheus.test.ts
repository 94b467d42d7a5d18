/** What a registry of prom-client shows of us: formats, names, escaping, sharing. */
import { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { SERIES } from '../../lib/metrics/index.js'
import { expectMQError } from './expect-error.js'
import { parseExposition, sampleValue } from './exposition.js'
import { channelMeasures, connectionMeasures, consumerMeasures, metricsOf, producerMeasures, source } from './fakes.js'

const P = 'tandem_mq_'

function attachAll(metrics: ReturnType<typeof metricsOf>) {
  metrics.attachChannel(source(channelMeasures()))
  metrics.attachProducer(source(producerMeasures()))
  metrics.attachConsumer(source(consumerMeasures()))
  metrics.attachConnections(source(connectionMeasures()))
  return metrics
}

describe('exposition', () => {
  it('ME-2: the text is Prometheus 0.0.4 by a strict reader, and has every series of the core', async () => {
    const families = parseExposition(await attachAll(metricsOf()).text(), 'text')
    const core = SERIES.filter((row) => row.room === 'core')
    expect([...families.keys()].sort()).toEqual(core.map((row) => P + row.name).sort())
    for (const row of core) {
      const { type, help } = families.get(P + row.name) ?? {}
      expect([row.name, type, help]).toEqual([row.name, row.type, row.help])
    }
  })

  it('ME-2: OpenMetrics says the same, counters named without _total, and ends with # EOF', async () => {
    const metrics = attachAll(metricsOf())
    const plain = [...parseExposition(await metrics.text(), 'text').values()].flatMap(({ samples }) => samples)
    const text = await metrics.openMetrics()
    const open = [...parseExposition(text, 'openMetrics').values()].flatMap(({ samples }) => samples)
    expect(open).toEqual(plain)
    expect(text).toContain(`# TYPE ${P}write_counts counter\n`)
    expect(text.endsWith('\n# EOF\n')).toBe(true)
  })

  it('ME-2: asked in turns, each format stays what it is', async () => {
    const metrics = attachAll(metricsOf())
    const [text, open] = [await metrics.text(), await metrics.openMetrics()]
    expect([await metrics.text(), await metrics.openMetrics(), await metrics.text()]).toEqual([text, open, text])
  })

  it('ME-2: label values are escaped: quotes, backslashes and line ends come back as they were', async () => {
    const metrics = metricsOf({ labels: { service: 'a "quoted"\\name\nand a line' } })
    metrics.attachConsumer(source(consumerMeasures()))
    for (const format of ['text', 'openMetrics'] as const) {
      const family = parseExposition(await metrics[format](), format).get(`${P}consumer_lag_records`)
      expect(family?.samples[0]?.labels).toEqual({
        service: 'a "quoted"\\name\nand a line',
        topic: 'orders',
        partition: '0',
      })
    }
  })

  it('ME-2: the prefix begins every name', async () => {
    const families = parseExposition(await attachAll(metricsOf({ prefix: 'shop:mq_' })).text(), 'text')
    expect([...families.keys()].every((name) => name.startsWith('shop:mq_'))).toBe(true)
  })

  it('ME-2: compatible prefixes repeat the thirteen series of a channel, with the same values, and nothing else', async () => {
    const metrics = attachAll(metricsOf({ compatPrefixes: ['Chanjet_', 'TurboStream_'] }))
    const text = await metrics.text()
    for (const prefix of ['Chanjet_', 'TurboStream_']) {
      const names = [...parseExposition(text, 'text').keys()].filter((name) => name.startsWith(prefix))
      expect(names).toHaveLength(13)
      expect(sampleValue(text, `${prefix}write_counts_total`, { result: 'success' })).toBe(101)
      expect(sampleValue(text, `${prefix}switch_latency_bucket`, { le: '0.005' })).toBe(2)
      expect(sampleValue(text, `${prefix}active_channel_data_sizes`)).toBe(11)
    }
  })

  it('ME-2: constant labels stand at every sample', async () => {
    const metrics = attachAll(metricsOf({ labels: { env: 'test' } }))
    const samples = [...parseExposition(await metrics.text(), 'text').values()].flatMap((family) => family.samples)
    expect(samples.filter(({ labels }) => labels.env !== 'test')).toEqual([])
    expect(samples.length).toBeGreaterThan(100)
  })

  it('ME-2: a constant label that a series has is refused by its path', () => {
    for (const label of ['result', 'topic', 'partition']) {
      expectMQError(() => metricsOf({ labels: { [label]: 'x' } }), 'INVALID_CONFIG', `metrics.labels.${label}`)
    }
    expectMQError(
      () => metricsOf({ labels: { client_id: 'x' }, registry: new Registry() }),
      'INVALID_CONFIG',
      'metrics.labels.client_id',
    )
  })

  it('ME-2: workers of a Node.js cluster add up by prom-client itself', async () => {
    const json = [attachAll(metricsOf()), attachAll(metricsOf())].map((metrics) => metrics.registry.getMetricsAsJSON())
    const text = await AggregatorRegistry.aggregate(await Promise.all(json)).metrics()
    expect(sampleValue(text, `${P}write_counts_total`, { result: 'success' })).toBe(202)
    expect(sampleValue(text, `${P}switch_latency_bucket`, { le: '+Inf' })).toBe(6)
    expect(sampleValue(text, `${P}consumer_lag_records`, { topic: 'orders', partition: '0' })).toBe(46)
  })

  it('ME-1: resetMetrics() of a registry does not make our counters fall', async () => {
    const metrics = attachAll(metricsOf())
    metrics.registry.resetMetrics()
    expect(sampleValue(await metrics.text(), `${P}consumer_records_total`)).toBe(401)
  })
})

describe('registries', () => {
  it('ME-1: two instances have registries of their own and never mix', async () => {
    const [one, other] = [metricsOf(), metricsOf()]
    one.attachConsumer(source(consumerMeasures()))
    expect(one.registry).not.toBe(other.registry)
    expect(sampleValue(await one.text(), `${P}consumer_records_total`)).toBe(401)
    expect(sampleValue(await other.text(), `${P}consumer_records_total`)).toBe(0)
    expect(await one.text()).not.toContain('client_id')
  })

  it('ME-1: in a shared registry each has its client_id, beside metrics of others', async () => {
    const registry = new Registry()
    new Counter({ name: 'orders_total', help: 'Orders.', registers: [registry] }).inc(3)
    const one = metricsOf({ registry }, { clientId: 'one' })
    const two = metricsOf({ registry }, { clientId: 'two' })
    one.attachConsumer(source(consumerMeasures({ records: 1 })))
    two.attachConsumer(source(consumerMeasures({ records: 2 })))
    const text = await registry.metrics()
    expect(sampleValue(text, `${P}consumer_records_total`, { client_id: 'one' })).toBe(1)
    expect(sampleValue(text, `${P}consumer_records_total`, { client_id: 'two' })).toBe(2)
    expect(sampleValue(text, 'orders_total')).toBe(3)
    expect(await one.text()).toBe(await two.text())
    expect(sampleValue(await one.text(), 'orders_total')).toBe(3)
  })

  it('ME-1: two instances with one client id in one registry show one sample', async () => {
    const registry = new Registry()
    for (const records of [1, 2]) metricsOf({ registry }).attachConsumer(source(consumerMeasures({ records })))
    const text = await registry.metrics()
    expect(sampleValue(text, `${P}consumer_records_total`, { client_id: 'shop' })).toBe(3)
    expect(sampleValue(text, `${P}consumer_callback_seconds_count`, { client_id: 'shop' })).toBe(4)
    expect(sampleValue(text, `${P}consumer_lag_records`, { client_id: 'shop', topic: 'orders', partition: '0' })).toBe(
      46,
    )
    expect(await registry.metrics()).toBe(text)
  })

  it('ME-1: closing takes an instance out of a shared registry, and leaves the others', async () => {
    const registry = new Registry()
    const one = metricsOf({ registry }, { clientId: 'one' })
    const two = metricsOf({ registry }, { clientId: 'two' })
    await one.close()
    const families = parseExposition(await registry.metrics(), 'text')
    const clients = [...families.values()].flatMap(({ samples }) => samples.map(({ labels }) => labels.client_id))
    expect(new Set(clients)).toEqual(new Set(['two']))
    await two.close()
    expect(await registry.getMetricsAsJSON()).toEqual([])
  })

  it.each(['connections', 'write_counts_total', 'queue_size'])(
    'ME-1: a name that somebody else has is refused, and nothing of ours is left behind: %s',
    async (name) => {
      const registry = new Registry()
      new Gauge({ name: P + name, help: 'Theirs.', registers: [registry] })
      expectMQError(() => metricsOf({ registry }), 'INVALID_CONFIG', 'metrics.registry', 'metrics.prefix', P + name)
      expect((await registry.getMetricsAsJSON()).map((metric) => metric.name)).toEqual([P + name])
      await metricsOf({ registry, prefix: 'other_' }).close()
    },
  )

  it('ME-2: a shared registry of either content type gives both formats, default labels included', async () => {
    const registry = new Registry()
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never)
    registry.setDefaultLabels({ host: 'a' })
    new Histogram({ name: 'theirs', help: 'Theirs.', buckets: [1], registers: [registry] }).observe(0.5)
    const metrics = metricsOf({ registry })
    metrics.attachConsumer(source(consumerMeasures()))
    const own = parseExposition(await registry.metrics(), 'openMetrics')
    expect(own.get(`${P}consumer_records`)?.samples[0]?.name).toBe(`${P}consumer_records_total`)
    for (let turn = 0; turn < 2; turn++) {
      const text = await metrics.text()
      expect(sampleValue(text, `${P}consumer_records_total`, { client_id: 'shop', host: 'a' })).toBe(401)
      expect(sampleValue(text, 'theirs_bucket', { le: '1', host: 'a' })).toBe(1)
      expect(parseExposition(await metrics.openMetrics(), 'openMetrics').size).toBe(own.size)
    }
  })
})
