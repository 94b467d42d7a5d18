/** One trace through a real producer, broker and consumer: from the request that sends to the callback that reads. */
import * as api from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type Broker, fault } from '../../lib/broker/index.js'
import type { ConsumerConfig } from '../../lib/config/index.js'
import { Consumer } from '../../lib/consumer/index.js'
import { openTelemetryHooks } from '../../lib/metrics/index.js'
import { Producer } from '../../lib/producer/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { startBroker, until } from '../producer/support.js'
import { tracingSdk } from './spans.js'

const { exporter } = tracingSdk()

const spansOf = (name: string): ReadableSpan[] => exporter.getFinishedSpans().filter((span) => span.name === name)
const idOf = (span: ReadableSpan | undefined) => span?.spanContext().spanId

async function stage() {
  const broker = await startBroker()
  broker.createTopic('orders', { partitions: 1 })
  const shared = { brokers: broker.bootstrap, logger: silentLogger }
  const producer = new Producer(shared, { hooks: openTelemetryHooks(api, { clientId: 'shop' }) })
  onTestFinished(async () => void (await producer.close()))
  return { broker, producer }
}

function consumerOf(broker: Broker, config: ConsumerConfig = {}): Consumer {
  const base = { brokers: broker.bootstrap, logger: silentLogger, groupId: 'billing', fetchMaxWaitMs: 20 }
  const hooks = openTelemetryHooks(api, { groupId: 'billing' })
  const consumer = new Consumer({ autoOffsetReset: 'earliest', ...base, ...config }, { hooks })
  onTestFinished(() => consumer.close())
  return consumer
}

describe('a trace through Kafka', () => {
  it('ME-3: request -> send -> process -> what the callback does, by the headers of the record alone', async () => {
    const { broker, producer } = await stage()
    const headers = { 'x-own': 'kept' }
    await api.trace.getTracer('test').startActiveSpan('request', async (request) => {
      await producer.sendSync('orders', 'created', { key: 'customer-7', headers })
      request.end()
    })
    expect(headers).toEqual({ 'x-own': 'kept' })
    const done = new Promise<void>((resolve) => {
      void consumerOf(broker).subscribe('orders', async () => {
        await new Promise((turn) => setImmediate(turn))
        api.trace.getTracer('test').startSpan('stored').end()
        resolve()
      })
    })
    await done
    await until(() => spansOf('process orders').length === 1, 'the end of the process span')
    const first = (name: string) => spansOf(name)[0]
    const [request, sent] = [first('request'), first('send orders')]
    const [processed, stored] = [first('process orders'), first('stored')]
    expect(sent?.parentSpanContext?.spanId).toBe(idOf(request))
    expect(processed?.parentSpanContext?.spanId).toBe(idOf(sent))
    expect(stored?.parentSpanContext?.spanId).toBe(idOf(processed))
    expect(sent?.attributes).toMatchObject({
      'messaging.kafka.message.key': 'customer-7',
      'messaging.destination.partition.id': '0',
      'messaging.kafka.offset': 0,
    })
    expect(processed?.attributes).toMatchObject({
      'messaging.consumer.group.name': 'billing',
      'messaging.destination.partition.id': '0',
      'messaging.kafka.offset': 0,
    })
    const [record] = await broker.records('orders', 0)
    expect(record?.headers.map(([name]) => name)).toEqual(['x-own', 'traceparent'])
  })

  it('ME-3: a record without a trace begins one of its own, not that of the request that subscribed or of a neighbour', async () => {
    const { broker, producer } = await stage()
    const foreign = new Producer({ brokers: broker.bootstrap, logger: silentLogger })
    onTestFinished(async () => void (await foreign.close()))
    await foreign.sendSync('orders', '0')
    await producer.sendSync('orders', '1')
    await foreign.sendSync('orders', '2')
    const requests = api.trace.getTracer('test')
    await requests.startActiveSpan('request', async (request) => {
      await consumerOf(broker).subscribe('orders', () => new Promise<void>((turn) => setImmediate(turn)))
      await until(() => spansOf('process orders').length === 3, 'the process spans')
      request.end()
    })
    const processed = spansOf('process orders')
    expect(processed.map((span) => span.parentSpanContext?.spanId)).toEqual([
      undefined,
      idOf(spansOf('send orders')[0]),
      undefined,
    ])
    expect(new Set(processed.map((span) => span.spanContext().traceId)).size).toBe(3)
  })

  it('ME-3: a tombstone says so, on its way out and on its way in; empty values and the word null do not', async () => {
    const { broker, producer } = await stage()
    await producer.sendSync('orders', null, { key: 'gone' })
    await producer.sendBatchSync({ topic: 'orders', messages: [{ value: null, key: 'gone' }, { value: '' }] })
    await new Promise<void>((resolve) => void producer.sendAsync('orders', null, { key: 'gone' }, () => resolve()))
    await producer.sendSync('orders', 'null')
    const deserialize = vi.fn()
    const valueDeserializer = { deserialize }
    const seen: boolean[] = []
    await consumerOf(broker, { valueDeserializer }).subscribe('orders', (record) => void seen.push(record.isTombstone))
    await until(() => spansOf('process orders').length === 5, 'the process spans')
    const told = (name: string) => spansOf(name).map((span) => span.attributes['messaging.kafka.message.tombstone'])
    const expected = [true, true, undefined, true, undefined]
    expect(told('send orders')).toEqual(expected)
    expect(told('process orders')).toEqual(expected)
    expect(seen).toEqual([true, true, false, true, false])
    expect(deserialize).not.toHaveBeenCalled()
  })

  it('ME-3: a batch callback links to every record, from any way to send', async () => {
    const { broker, producer } = await stage()
    await producer.sendSync('orders', 'a')
    await producer.sendBatchSync({ topic: 'orders', messages: [{ value: 'b' }, { value: 'c' }] })
    await new Promise<void>((resolve) => void producer.sendAsync('orders', 'd', null, () => resolve()))
    const read: number[] = []
    await consumerOf(broker).subscribeBatch('orders', (records) => void read.push(records.length))
    await until(() => read.reduce((sum, count) => sum + count, 0) === 4, '4 records')
    await until(() => spansOf('process orders').length === read.length, 'the process spans')
    const sent = spansOf('send orders')
    const links = spansOf('process orders').flatMap((span) => span.links.map(({ context }) => context.spanId))
    const parents = spansOf('process orders').flatMap((span) => span.parentSpanContext?.spanId ?? [])
    expect(sent).toHaveLength(4)
    expect([...links, ...parents].sort()).toEqual(sent.map(idOf).sort())
  })

  it('ME-3: sends that fail and callbacks that throw carry the code', async () => {
    const { broker, producer } = await stage()
    broker.on({ api: 'Produce', times: 1 }, fault.error(29))
    await expect(producer.sendSync('orders', 'not allowed')).rejects.toMatchObject({ code: 'AUTHORIZATION_FAILED' })
    await expect(producer.sendSync('orders', Buffer.alloc(2_000_000))).rejects.toMatchObject({
      code: 'MESSAGE_TOO_LARGE',
    })
    const types = spansOf('send orders').map((span) => span.attributes['error.type'])
    expect(types).toEqual(['AUTHORIZATION_FAILED', 'MESSAGE_TOO_LARGE'])
    await producer.sendSync('orders', 'bad')
    await consumerOf(broker, { onError: 'skip' }).subscribe('orders', () => {
      throw new RangeError('no such customer')
    })
    await until(() => spansOf('process orders').length === 1, 'the process span')
    const [processed] = spansOf('process orders')
    expect(processed?.attributes['error.type']).toBe('RangeError')
    expect(processed?.status.code).toBe(api.SpanStatusCode.ERROR)
  })
})
