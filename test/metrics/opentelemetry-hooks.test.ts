/** Spans as the real tracing SDK exports them, with its own context manager and propagator. */
import * as api from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { openTelemetryHooks, tracingHooks } from '../../lib/metrics/index.js'
import { type Logger, type ObservedRecord, silentLogger } from '../../lib/util/index.js'
import { tracingSdk } from './spans.js'

const { exporter } = tracingSdk()

const hooks = () => openTelemetryHooks(api, { clientId: 'shop', groupId: 'billing' })
const span = (name: string): ReadableSpan => {
  const found = exporter.getFinishedSpans().find((each) => each.name === name)
  if (found === undefined) throw new Error(`no span ${name}: ${exporter.getFinishedSpans().map((each) => each.name)}`)
  return found
}

function record(changes: Partial<ObservedRecord> = {}): ObservedRecord {
  return { topic: 'orders', partition: 2, offset: 17, key: null, headers: [], ...changes }
}

/** As a consumer reads them: pairs with bytes. */
function received(headers: readonly (readonly [string, string])[]): readonly (readonly [string, Buffer])[] {
  return headers.map(([name, value]) => [name, Buffer.from(value)])
}

describe('sending', () => {
  it('ME-3: `send orders` is a PRODUCER span with where the record went', () => {
    const observation = hooks().send('orders', 'customer-7')
    expect(exporter.getFinishedSpans()).toEqual([])
    observation?.end(null, 3, 1_204)
    const sent = span('send orders')
    expect(sent.kind).toBe(api.SpanKind.PRODUCER)
    expect(sent.status.code).toBe(api.SpanStatusCode.UNSET)
    expect(sent.attributes).toEqual({
      'messaging.system': 'kafka',
      'messaging.client.id': 'shop',
      'messaging.destination.name': 'orders',
      'messaging.operation.type': 'send',
      'messaging.operation.name': 'send',
      'messaging.kafka.message.key': 'customer-7',
      'messaging.destination.partition.id': '3',
      'messaging.kafka.offset': 1_204,
    })
  })

  it('ME-3: keys that are bytes are not shown, tombstones are', () => {
    hooks().send('orders', Buffer.from('secret'), true)?.end(null, 0, 1)
    const { attributes } = span('send orders')
    expect(attributes['messaging.kafka.message.tombstone']).toBe(true)
    expect(attributes).not.toHaveProperty('messaging.kafka.message.key')
  })

  it('ME-3: the headers carry the context of the span, whose parent is the caller', () => {
    const tracer = api.trace.getTracer('test')
    const headers = tracer.startActiveSpan('request', (outer) => {
      const observation = hooks().send('orders', null)
      observation?.end(null, 0, 0)
      outer.end()
      return observation?.headers
    })
    const { traceId, spanId } = span('send orders').spanContext()
    expect(headers).toEqual([['traceparent', `00-${traceId}-${spanId}-01`]])
    expect(span('send orders').parentSpanContext?.spanId).toBe(span('request').spanContext().spanId)
  })

  it('ME-3: a failure is recorded with its code, and without a place that is not known', () => {
    const error = new MQError('MESSAGE_TOO_LARGE', '2 MiB exceed 1 MiB: split the value')
    hooks().send('orders', null)?.end(error, -1, -1)
    const sent = span('send orders')
    expect(sent.status).toEqual({ code: api.SpanStatusCode.ERROR, message: error.message })
    expect(sent.attributes['error.type']).toBe('MESSAGE_TOO_LARGE')
    expect(sent.attributes).not.toHaveProperty('messaging.destination.partition.id')
    expect(sent.attributes).not.toHaveProperty('messaging.kafka.offset')
    expect(sent.events.map(({ name }) => name)).toEqual(['exception'])
  })
})

describe('processing', () => {
  it('ME-3: `process orders` is a CONSUMER span, child of the span that sent the record', () => {
    const observation = hooks().send('orders', null)
    observation?.end(null, 2, 17)
    const headers = received(observation?.headers ?? [])
    const result = hooks().process([record({ headers, key: 'customer-7' })], () => 'kept')
    expect(result).toBe('kept')
    const done = span('process orders')
    expect(done.kind).toBe(api.SpanKind.CONSUMER)
    expect(done.parentSpanContext?.spanId).toBe(span('send orders').spanContext().spanId)
    expect(done.spanContext().traceId).toBe(span('send orders').spanContext().traceId)
    expect(done.links).toEqual([])
    expect(done.attributes).toEqual({
      'messaging.system': 'kafka',
      'messaging.client.id': 'shop',
      'messaging.consumer.group.name': 'billing',
      'messaging.destination.name': 'orders',
      'messaging.operation.type': 'process',
      'messaging.operation.name': 'process',
      'messaging.destination.partition.id': '2',
      'messaging.kafka.offset': 17,
      'messaging.kafka.message.key': 'customer-7',
    })
  })

  it('ME-3: the callback runs inside the context of the span, also after it awaited', async () => {
    const seen: (string | undefined)[] = []
    const note = () => void seen.push(api.trace.getActiveSpan()?.spanContext().spanId)
    const promise = hooks().process([record()], async () => {
      note()
      await new Promise((resolve) => setImmediate(resolve))
      note()
      return 5
    })
    expect(exporter.getFinishedSpans()).toEqual([])
    expect(await promise).toBe(5)
    const id = span('process orders').spanContext().spanId
    expect(seen).toEqual([id, id])
    expect(api.trace.getActiveSpan()).toBeUndefined()
  })

  it('ME-3: a record sent by the callback belongs to its trace', () => {
    hooks().process([record()], () => hooks().send('invoices', null)?.end(null, 0, 0))
    expect(span('send invoices').parentSpanContext?.spanId).toBe(span('process orders').spanContext().spanId)
  })

  it('ME-3: whatever runs around the call, a record without a trace begins one of its own, and so does a batch', () => {
    api.trace.getTracer('test').startActiveSpan('request', (request) => {
      hooks().process([record()], () => undefined)
      hooks().process([record(), record()], () => undefined)
      request.end()
    })
    const spans = exporter.getFinishedSpans().filter(({ name }) => name === 'process orders')
    expect(spans.map((each) => each.parentSpanContext)).toEqual([undefined, undefined])
    expect(new Set(spans.map((each) => each.spanContext().traceId)).size).toBe(2)
  })

  it('ME-3: a batch has links to the spans of its records, one per record that has any', () => {
    const observations = ['a', 'b'].map((key) => hooks().send('orders', key))
    for (const observation of observations) observation?.end(null, 0, 0)
    const records = observations.map((each) => record({ headers: received(each?.headers ?? []) }))
    hooks().process([...records, record()], () => undefined)
    const batch = span('process orders')
    const sent = exporter.getFinishedSpans().filter((each) => each.name === 'send orders')
    expect(batch.links.map(({ context }) => context.spanId)).toEqual(sent.map((each) => each.spanContext().spanId))
    expect(batch.parentSpanContext).toBeUndefined()
    expect(batch.attributes['messaging.batch.message_count']).toBe(3)
    expect(batch.attributes).not.toHaveProperty('messaging.kafka.offset')
  })

  it('ME-3: what a callback throws passes through, recorded with its code', async () => {
    const error = new Error('outer', { cause: new MQError('TIMEOUT', 'late') })
    const fail = () => {
      throw error
    }
    expect(() => hooks().process([record()], fail)).toThrow(error)
    expect(span('process orders').attributes['error.type']).toBe('TIMEOUT')
    exporter.reset()
    const rejected = hooks().process([record()], () => Promise.reject(new TypeError('no number')))
    await expect(rejected).rejects.toThrow('no number')
    expect(span('process orders').attributes['error.type']).toBe('TypeError')
    expect(span('process orders').status.code).toBe(api.SpanStatusCode.ERROR)
  })

  it('ME-3: a promise is given back as it is, and false stays false', () => {
    const promise = Promise.resolve(false)
    expect(hooks().process([record()], () => promise)).toBe(promise)
    expect(hooks().process([record()], () => false)).toBe(false)
  })

  it('ME-3: a key whose deserializer throws fails in the callback, not in the hook', () => {
    const bad = Object.defineProperty(record(), 'key', {
      get: () => {
        throw new MQError('DESERIALIZATION_FAILED', 'no JSON')
      },
    })
    expect(hooks().process([bad], () => 'ran')).toBe('ran')
  })

  it('ME-3: headers that make no sense start a trace of their own', () => {
    for (const headers of [null, 'x', [['traceparent', null]], received([['traceparent', 'nonsense']])]) {
      hooks().process([record({ headers })], () => undefined)
    }
    const spans = exporter.getFinishedSpans()
    expect(spans.map((each) => each.parentSpanContext)).toEqual([undefined, undefined, undefined, undefined])
    expect(new Set(spans.map((each) => each.spanContext().traceId)).size).toBe(4)
  })
})

describe('monitoring.enableTracing', () => {
  it('ME-3: loads the API that is installed, and its spans reach the application', () => {
    const made = tracingHooks({ logger: silentLogger, clientId: 'shop' })
    made?.send('orders', null)?.end(null, 0, 0)
    expect(span('send orders').attributes['messaging.client.id']).toBe('shop')
  })

  it('ME-3: without the package there is one warning, and no hooks', () => {
    const lines: string[] = []
    const logger: Logger = { ...silentLogger, warn: (message) => void lines.push(message) }
    const load = () => {
      throw new Error('Cannot find module')
    }
    expect(tracingHooks({ logger, load })).toBeNull()
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('@opentelemetry/api')
  })
})
