/** What goes with a record besides what its caller gave, and who learns what became of it. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import type { ProducerConfig } from '../../lib/config/index.js'
import type { MQError } from '../../lib/errors/index.js'
import type { Producer } from '../../lib/producer/index.js'
import type { HeadersInput } from '../../lib/protocol/index.js'
import { type SendHook, type SendObservation, withTraceId } from '../../lib/util/index.js'
import { drivenClock } from '../support/driven-clock.js'
import { codeOf, errorOf, logOf, newProducer, startBroker, turns } from './support.js'

const TRACE = { enabled: true }

async function setUp(config: ProducerConfig = {}, hooks: SendHook | null = null) {
  const clock = drivenClock()
  const broker = await startBroker({ clock })
  broker.createTopic('orders', { partitions: 2 })
  let made = 0
  const newTraceId = () => `id-${++made}`
  return { broker, clock, producer: newProducer(broker, config, { clock, hooks, newTraceId }) }
}

type Setting = Awaited<ReturnType<typeof setUp>>

async function headersOf({ broker }: Setting, partition = 0) {
  return (await logOf(broker, 'orders', partition)).map(({ headers }) => headers)
}

const to0 = { partition: 0 }

describe('PR-23: trace ids', () => {
  it('PR-23: a record sent inside a trace id carries it, others get one of their own, in every way to send', async () => {
    const made = await setUp({ trace: TRACE })
    const { producer } = made
    await withTraceId('outer', async () => {
      await producer.sendSync('orders', 'a', to0)
      await producer.sendSyncWithKey('orders', 'k', 'b')
    })
    producer.sendAsync('orders', 'c', to0)
    producer.sendAsync('orders', 'd', to0, () => {})
    producer.sendAsync('orders', 'no options')
    await producer.sendBatchSync({ topic: 'orders', messages: [{ value: 'e', partition: 0 }] })
    await producer.flush()
    const all = [...(await headersOf(made, 0)), ...(await headersOf(made, 1))]
    const ids = all.map((headers) => headers.map(([name, value]) => `${name}: ${value}`).join())
    expect(ids.toSorted()).toEqual([
      'X-Trace-ID: id-1',
      'X-Trace-ID: id-2',
      'X-Trace-ID: id-3',
      'X-Trace-ID: id-4',
      'X-Trace-ID: outer',
      'X-Trace-ID: outer',
    ])
  })

  it("PR-23: without a generator of one's own ids are UUIDs, each another", async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const producer = newProducer(broker, { trace: TRACE })
    await producer.sendBatchSync({ topic: 'orders', messages: [{ value: 'a' }, { value: 'b' }] })
    const ids = (await logOf(broker, 'orders')).map(({ headers }) => headers[0]?.[1])
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(ids[0]).not.toBe(ids[1])
  })

  const forms: [string, HeadersInput, [string, string | null][]][] = [
    [
      'a record',
      { a: '1', list: ['x', 'y'], gone: undefined },
      [
        ['a', '1'],
        ['list', 'x'],
        ['list', 'y'],
        ['X-Trace-ID', 'id-1'],
      ],
    ],
    [
      'pairs',
      [
        ['a', '1'],
        ['a', '2'],
        ['n', null],
      ],
      [
        ['a', '1'],
        ['a', '2'],
        ['n', null],
        ['X-Trace-ID', 'id-1'],
      ],
    ],
    ['a record that has one', { 'X-Trace-ID': 'mine' }, [['X-Trace-ID', 'mine']]],
    [
      'pairs that have one',
      [
        ['X-Trace-ID', 'mine'],
        ['a', '1'],
      ],
      [
        ['X-Trace-ID', 'mine'],
        ['a', '1'],
      ],
    ],
    ['a record whose entry is undefined', { 'X-Trace-ID': undefined }, [['X-Trace-ID', 'id-1']]],
    [
      'an unlucky name',
      { constructor: 'c' },
      [
        ['constructor', 'c'],
        ['X-Trace-ID', 'id-1'],
      ],
    ],
  ]
  it.each(forms)(
    'PR-23, PR-5: headers as %s: order and duplicates reach the wire, the id stands behind them',
    async (_name, headers, expected) => {
      const made = await setUp({ trace: TRACE })
      const frozen = Object.freeze(headers)
      const before = JSON.stringify(frozen)
      await made.producer.sendSync('orders', 'v', { ...to0, headers: frozen })
      expect(await headersOf(made)).toEqual([expected])
      expect(JSON.stringify(frozen), "the caller's headers are not changed").toBe(before)
    },
  )

  it("PR-23: name of the header and a header for the time; the time is the record's own", async () => {
    const made = await setUp({ trace: { enabled: true, header: 'trace', timestampHeader: 'sent-at' } })
    await made.producer.sendSync('orders', 'v', { ...to0, timestamp: Date.UTC(2023, 0, 2, 3, 4, 5, 678) })
    await made.producer.sendSync('orders', 'v', { ...to0, headers: { 'sent-at': 'mine' } })
    const [first, second] = await headersOf(made)
    expect(first).toEqual([
      ['trace', 'id-1'],
      ['sent-at', '2023-01-02T03:04:05.678Z'],
    ])
    expect(second).toEqual([
      ['sent-at', 'mine'],
      ['trace', 'id-2'],
    ])
  })

  it("PR-23: off by default: no header, and the caller's options are used as they are", async () => {
    const made = await setUp()
    await withTraceId('outer', () => made.producer.sendSync('orders', 'v', to0))
    expect(await headersOf(made)).toEqual([[]])
  })

  it('PR-23: headers that are none are refused as without trace, and a wrong time too', async () => {
    const { producer } = await setUp({ trace: { enabled: true, timestampHeader: 't' } })
    const wrong = [['only a name']] as unknown as HeadersInput
    expect(await codeOf(producer.sendSync('orders', 'v', { headers: wrong }))).toBe('SERIALIZATION_FAILED')
    expect(await codeOf(producer.sendSync('orders', 'v', { timestamp: 8.7e15 })), 'the broker decides').toBe(
      'PRODUCE_FAILED',
    )
    expect(await codeOf(producer.sendSync('orders', 'v', { timestamp: -1 }))).toBe('SERIALIZATION_FAILED')
  })
})

interface Ended {
  readonly value: string
  readonly code: string | null
  readonly partition: number
  readonly offset: number
}

/** Observes every record by its key, and counts how often each end was told. */
function recorder() {
  const begun: string[] = []
  const ended: Ended[] = []
  const hook: SendHook = {
    send(topic, key): SendObservation {
      const value = `${topic}/${String(key)}`
      begun.push(value)
      return {
        headers: [['traceparent', `of ${String(key)}`]],
        end(error, partition, offset) {
          ended.push({ value, code: (error as MQError | null)?.code ?? null, partition, offset })
        },
      }
    },
  }
  return { hook, begun, ended }
}

describe('PR-23: hooks', () => {
  it('PR-23: what was acknowledged ends with its place, however it was sent; the headers are on the wire', async () => {
    const { hook, begun, ended } = recorder()
    const made = await setUp({}, hook)
    const { producer } = made
    await producer.sendSync('orders', 'v', { ...to0, key: 'a' })
    producer.sendAsync('orders', 'v', { ...to0, key: 'b' })
    let told = 0
    producer.sendAsync('orders', 'v', { ...to0, key: 'c' }, () => told++)
    await producer.sendBatchSync({ topic: 'orders', messages: [{ value: 'v', key: 'd', partition: 0 }] })
    await producer.sendSync('orders', 'v', { ...to0, key: 'e', until: 'accepted' })
    await producer.flush()
    expect(begun).toEqual(['a', 'b', 'c', 'd', 'e'].map((key) => `orders/${key}`))
    expect(ended).toEqual(
      ['a', 'b', 'c', 'd', 'e'].map((key, offset) => ({ value: `orders/${key}`, code: null, partition: 0, offset })),
    )
    expect(told).toBe(1)
    expect(await headersOf(made)).toEqual(['a', 'b', 'c', 'd', 'e'].map((key) => [['traceparent', `of ${key}`]]))
  })

  it("PR-23: the record's own header of that name stays, and the trace id stands before those of the hook", async () => {
    const { hook } = recorder()
    const made = await setUp({ trace: TRACE }, hook)
    await made.producer.sendSync('orders', 'v', { ...to0, key: 'a', headers: { traceparent: 'mine' } })
    await made.producer.sendSync('orders', 'v', { ...to0, key: 'b' })
    expect(await headersOf(made)).toEqual([
      [
        ['traceparent', 'mine'],
        ['X-Trace-ID', 'id-1'],
      ],
      [
        ['X-Trace-ID', 'id-2'],
        ['traceparent', 'of b'],
      ],
    ])
  })

  const refusals: [string, string, (producer: Producer) => unknown][] = [
    ['too large, waited for', 'MESSAGE_TOO_LARGE', (p) => codeOf(p.sendSync('orders', 'x'.repeat(2e6), { key: 'k' }))],
    ['too large, not waited for', 'MESSAGE_TOO_LARGE', (p) => p.sendAsync('orders', 'x'.repeat(2e6), { key: 'k' })],
    ['no such partition', 'INVALID_PARTITION', (p) => codeOf(p.sendSync('orders', 'v', { key: 'k', partition: 99 }))],
    ['an illegal topic', 'INVALID_TOPIC', (p) => p.sendAsync('no topic', 'v', { key: 'k' }, () => {})],
    [
      'in a batch',
      'INVALID_PARTITION',
      (p) => p.sendBatchSync({ topic: 'orders', messages: [{ value: 'v', key: 'k', partition: 99 }] }),
    ],
    [
      'a value that is none',
      'SERIALIZATION_FAILED',
      (p) => codeOf(p.sendSync('orders', 5 as unknown as string, { key: 'k' })),
    ],
  ]
  it.each(refusals)('PR-23: a refused record ends too, once: %s', async (_name, code, send) => {
    const { hook, begun, ended } = recorder()
    const { producer } = await setUp({}, hook)
    producer.on('error', () => {})
    await producer.sendSync('orders', 'metadata is there', { partition: 1 })
    await send(producer)
    await turns(5)
    expect(begun).toHaveLength(2)
    expect(ended.slice(1).map((one) => one.code)).toEqual([code])
    expect(ended[1]?.offset).toBe(-1)
  })

  it('PR-23: a record that nobody waits for is told to the error event although it is observed', async () => {
    const { hook, ended } = recorder()
    const { producer } = await setUp({}, hook)
    const errors: string[] = []
    producer.on('error', ({ code }) => errors.push(code))
    producer.sendAsync('orders', 'x'.repeat(2e6))
    let told = 0
    producer.sendAsync('orders', 'x'.repeat(2e6), () => told++)
    await turns(5)
    expect([errors, told, ended.length]).toEqual([['MESSAGE_TOO_LARGE'], 1, 2])
  })

  it('PR-23: failed, expired, dropped, withdrawn or closed: each ends once', async () => {
    const { hook, begun, ended } = recorder()
    const config = {
      maxBatchBytes: 100_000,
      bufferMemoryBytes: 200_000,
      requestTimeoutMs: 500,
      deliveryTimeoutMs: 2000,
      compression: 'none',
    } as const
    const { broker, producer } = await setUp(config, hook)
    producer.on('error', () => {})
    await producer.sendSync('orders', 'v', { ...to0, key: 'fine' })
    broker.on({ api: 'Produce', nth: 1 }, fault.error(29))
    await codeOf(producer.sendSync('orders', 'v', { ...to0, key: 'refused by the broker' }))
    const silent = broker.on({ api: 'Produce' }, fault.drop('before'))
    const expired = codeOf(producer.sendSync('orders', 'v', { ...to0, key: 'expires' }))
    while (producer.sendAsync('orders', 'x'.repeat(20_000), { ...to0, key: 'fills' }));
    while (producer.measures().hardLimits === 0)
      producer.sendAsync('orders', 'x'.repeat(20_000), { ...to0, key: 'fills' })
    const abort = new AbortController()
    const withdrawn = errorOf(
      producer.sendSync('orders', 'x'.repeat(20_000), { ...to0, key: 'withdrawn', signal: abort.signal }),
    )
    abort.abort()
    await withdrawn
    expect(ended.at(-1)).toMatchObject({ value: 'orders/withdrawn', code: 'PRODUCE_FAILED', offset: -1 })
    expect(
      await codeOf(producer.sendSync('orders', 'v', { key: 'aborted before', signal: AbortSignal.abort() })),
    ).not.toBe('fulfilled')
    expect(await expired).toBe('TIMEOUT')
    silent.remove()
    await producer.close({ timeoutMs: 0 })
    producer.sendAsync('orders', 'v', { key: 'after close' })
    await codeOf(producer.sendSync('orders', 'v', { key: 'after close' }))
    await turns(5)
    expect(ended.length).toBe(begun.length)
    const codes = new Map(ended.map(({ value, code }) => [value, code]))
    expect(codes.get('orders/refused by the broker')).toBe('AUTHORIZATION_FAILED')
    expect(codes.get('orders/expires')).toBe('TIMEOUT')
    expect(codes.get('orders/aborted before')).toBe('PRODUCE_FAILED')
    expect(codes.get('orders/after close')).toBe('PRODUCER_CLOSED')
  })

  it('PR-23: a record that waits for memory, and one that waits for metadata, begin and end once', async () => {
    const { hook, begun, ended } = recorder()
    const { broker, producer } = await setUp(
      { maxBatchBytes: 100_000, bufferMemoryBytes: 200_000, compression: 'none' },
      hook,
    )
    const early = producer.sendSync('orders', 'v', { ...to0, key: 'early' })
    await early
    const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
    const all = Array.from({ length: 30 }, (_, n) =>
      producer.sendSync('orders', 'x'.repeat(20_000), { ...to0, key: `${n}` }),
    )
    await turns(20)
    expect(producer.measures().hardLimits, 'some wait').toBeGreaterThan(0)
    held.release()
    await Promise.all(all)
    expect(begun).toHaveLength(31)
    expect(ended.map(({ offset }) => offset)).toEqual(Array.from({ length: 31 }, (_, n) => n))
  })

  it('PR-23: a hook that throws, in send, in end or in its headers, hurts nothing and is told once', async () => {
    const throwing: SendHook[] = [
      {
        send: () => {
          throw new Error('mine')
        },
      },
      {
        send: () => ({
          headers: [],
          end: () => {
            throw new Error('mine')
          },
        }),
      },
      { send: () => ({ headers: null as unknown as [], end: () => {} }) },
    ]
    for (const hook of throwing) {
      const made = await setUp({}, hook)
      const warnings: MQError[] = []
      made.producer.on('warning', (warning) => warnings.push(warning))
      for (let n = 0; n < 3; n++) await made.producer.sendSync('orders', `v${n}`, to0)
      expect(await headersOf(made)).toEqual([[], [], []])
      expect(warnings.map(({ context }) => context.reason).slice(0, 2)).toEqual(
        hook === throwing[2] ? [] : ['CALLBACK'],
      )
    }
  })

  it('PR-23: a hook that observes nothing leaves the record as it is', async () => {
    const made = await setUp({}, { send: () => null })
    await made.producer.sendSync('orders', 'v', { ...to0, headers: { a: '1' } })
    expect(await headersOf(made)).toEqual([[['a', '1']]])
  })
})
