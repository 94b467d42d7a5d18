/** A broker that fails again and again is left alone for a while; records wait, and their deadlines hold. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import type { ProducerConfig } from '../../lib/config/index.js'
import type { MQError } from '../../lib/errors/index.js'
import type { CircuitEvent } from '../../lib/producer/index.js'
import { errorOf, logOf, type Stage, stage, turns, until } from './support.js'

const BREAKER = { enabled: true, failures: 3, successes: 2, timeoutMs: 10_000 }

interface CircuitStage extends Stage {
  readonly changes: CircuitEvent[]
}

async function setUp(config: ProducerConfig = {}, nodes = 1): Promise<CircuitStage> {
  const connection = { retryBackoffMs: 5, retryBackoffMaxMs: 10, dialTimeoutMs: 200, readTimeoutMs: 200 }
  const made = await stage(
    { circuitBreaker: BREAKER, connection, lingerMs: 0, compression: 'none', ...config },
    { partitions: 2, replicationFactor: 1, assignments: [[1], [nodes]] },
    { nodes },
  )
  const changes: CircuitEvent[] = []
  made.producer.on('circuit', (change) => changes.push(change))
  return { ...made, changes }
}

const states = (made: CircuitStage) => made.changes.map(({ from, to }) => `${from} -> ${to}`)
const circuitOf = (made: CircuitStage, brokerId = 1) => made.producer.measures().circuits.get(brokerId)

/** Every connection of broker 1 breaks before anything is written, until the circuit is open. */
async function open(made: CircuitStage) {
  const { broker, producer } = made
  await producer.sendSync('orders', 'before', { partition: 0 })
  const broken = broker.on({ api: 'Produce', node: 1 }, fault.drop('before'))
  const sent = producer.sendSync('orders', 'waits', { partition: 0 })
  sent.catch(() => {})
  await until(() => circuitOf(made) === 2, 'the circuit opens')
  return { broken, sent }
}

describe('PR-19: circuit breaker', () => {
  it('PR-19: three lost connections open it, then nothing is sent until the time is over', async () => {
    const made = await setUp()
    const { broker, producer, clock } = made
    const { broken, sent } = await open(made)
    expect(made.changes).toEqual([{ brokerId: 1, from: 'closed', to: 'open' }])
    expect(broken.hits).toBe(3)
    const { circuitState, backoffMs } = producer.getMetrics()
    expect(circuitState).toBe('open')
    expect(backoffMs).toBeGreaterThan(9000)
    broken.remove()
    const before = broker.count({ api: 'Produce' })
    const startMs = clock.monotonicMs()
    for (let n = 0; n < 20; n++) producer.sendAsync('orders', `v${n}`, { partition: 0 })
    await sent
    expect(clock.monotonicMs() - startMs).toBeGreaterThan(9000)
    await producer.flush()
    expect(broker.count({ api: 'Produce' })).toBeGreaterThan(before)
    await until(() => made.changes.length === 3, 'closed')
    expect(states(made)).toEqual(['closed -> open', 'open -> halfOpen', 'halfOpen -> closed'])
    expect(producer.getMetrics()).toMatchObject({ circuitState: 'closed', backoffMs: 0, pendingMessages: 0 })
    const stored = (await logOf(broker, 'orders')).map(({ value }) => value)
    expect(stored).toEqual(['before', 'waits', ...Array.from({ length: 20 }, (_, n) => `v${n}`)])
  })

  it('PR-19: half-open lets exactly one request pass at a time, until two have been answered', async () => {
    const made = await setUp()
    const { broker, producer } = made
    const { broken, sent } = await open(made)
    broken.remove()
    const [first, second] = [1, 2].map((nth) => broker.on({ api: 'Produce', nth }, fault.hold()))
    const before = broker.count({ api: 'Produce' })
    producer.sendAsync('orders', 'another lane', { partition: 1 })
    await broker.saw({ api: 'Produce', count: before + 1 })
    expect(circuitOf(made)).toBe(1)
    expect(producer.getMetrics().circuitState).toBe('halfOpen')
    for (let n = 0; n < 5; n++) {
      producer.sendAsync('orders', `v${n}`, { partition: n % 2 })
      await turns(20)
    }
    expect(broker.count({ api: 'Produce' }) - before, 'one trial').toBe(1)
    first?.release()
    await broker.saw({ api: 'Produce', count: before + 2 })
    await turns(20)
    expect(broker.count({ api: 'Produce' }) - before, 'the second trial').toBe(2)
    expect(circuitOf(made)).toBe(1)
    second?.release()
    await sent
    await producer.flush()
    expect(circuitOf(made)).toBe(0)
  })

  it('PR-19: a trial that fails opens it again', async () => {
    const made = await setUp()
    const { broken, sent } = await open(made)
    await until(() => made.changes.length === 3, 'open again')
    expect(states(made)).toEqual(['closed -> open', 'open -> halfOpen', 'halfOpen -> open'])
    expect(broken.hits, 'one request more').toBe(4)
    broken.remove()
    await sent
  })

  it('PR-19: a broker that cannot be reached at all opens it, and is not dialled while it is open', async () => {
    const made = await setUp()
    const { broker, producer } = made
    await producer.sendSync('orders', 'before', { partition: 0 })
    await broker.kill(1)
    const sent = producer.sendSync('orders', 'waits', { partition: 0 })
    await until(() => circuitOf(made) === 2, 'the circuit opens')
    await broker.start(1)
    const startMs = made.clock.monotonicMs()
    await turns(500)
    expect(broker.count({ api: 'Produce' }), 'it is up again, and nobody asks').toBe(1)
    await sent
    expect(made.clock.monotonicMs() - startMs).toBeGreaterThan(9000)
  })

  it('PR-19: many requests that are lost with one connection are one failure', async () => {
    const made = await setUp({ maxInFlight: 5 })
    const { broker, producer } = made
    await producer.sendSync('orders', 'opens', { partition: 0 })
    const held = broker.on({ api: 'Produce' }, fault.hold())
    for (let n = 0; n < 5; n++) {
      producer.sendAsync('orders', `v${n}`, { partition: 0 })
      await turns(10)
    }
    expect(producer.measures().inFlightRequests).toBe(5)
    held.remove()
    broker.disconnect(1)
    await producer.flush()
    expect(made.changes).toEqual([])
  })

  it('PR-19: what a broker answers is no failure of it, whatever it says', async () => {
    const made = await setUp()
    const { broker, producer } = made
    const notEnough = broker.on({ api: 'Produce', times: 20 }, fault.error(19))
    await producer.sendSync('orders', 'v', { partition: 0 })
    expect(notEnough.hits).toBe(20)
    expect(made.changes).toEqual([])
    expect(producer.measures().retries.get('NOT_ENOUGH_REPLICAS')).toBe(20)
  })

  it('PR-19, PR-16: deadlines hold while it is open', async () => {
    const made = await setUp({ requestTimeoutMs: 500, deliveryTimeoutMs: 3000 })
    const { producer, clock } = made
    const { sent } = await open(made)
    const startMs = clock.monotonicMs()
    const error = await errorOf(sent)
    expect(error.code).toBe('TIMEOUT')
    const late = await errorOf(producer.sendSync('orders', 'too late', { partition: 0 }))
    expect(late.code).toBe('TIMEOUT')
    expect(clock.monotonicMs() - startMs).toBeLessThan(9000)
    expect(circuitOf(made)).toBe(2)
    expect(producer.isDegraded).toBe(true)
    await until(() => circuitOf(made) === 1, 'half-open')
    expect(producer.isDegraded, 'nothing waits for the broker: it may be well').toBe(false)
  })

  it('PR-19: without failFast new sends are accepted while it is open, until memory is full', async () => {
    const made = await setUp({ bufferMemoryBytes: 2_200_000, maxBatchBytes: 1_000_000, onFull: 'reject' })
    const { producer } = made
    await open(made)
    let accepted = 0
    const errors: MQError[] = []
    producer.on('error', (error) => errors.push(error))
    for (let n = 0; n < 300; n++) {
      producer.sendAsync('orders', 'x'.repeat(10_000), { partition: 0 })
      accepted = producer.getMetrics().totalMessages
    }
    await turns(3)
    expect(accepted).toBeGreaterThan(100)
    expect(accepted).toBeLessThan(300)
    expect(new Set(errors.map(({ code, context }) => `${code}/${context.reason}`))).toEqual(
      new Set(['POOL_EXHAUSTED/BUFFER_FULL']),
    )
  })

  it('PR-19: a circuit ends with its producer: no timer is left', async () => {
    const made = await setUp()
    await open(made)
    await made.producer.close({ timeoutMs: 0 })
    await made.broker.close()
    expect(made.clock.pendingTimers).toBe(0)
  })
})

describe('PR-19: failFast', () => {
  const failFast = { circuitBreaker: { ...BREAKER, failFast: true } }

  it('PR-19: new sends to lanes of that broker are refused at once, those to other brokers go on', async () => {
    const made = await setUp(failFast, 2)
    const { broker, producer, clock } = made
    await producer.sendSync('orders', 'other broker', { partition: 1 })
    producer.sendAsync('orders', 'in the buffer', { partition: 0 })
    const { broken, sent } = await open(made)
    const startMs = clock.monotonicMs()
    const refused = await errorOf(producer.sendSync('orders', 'refused', { partition: 0 }))
    expect(refused).toMatchObject({ code: 'CONNECTION_FAILED', retryable: true })
    expect(refused.context).toMatchObject({ reason: 'CIRCUIT_OPEN', brokerId: 1, persistence: 'not-persisted' })
    expect(clock.monotonicMs() - startMs).toBeLessThan(100)
    const told = await new Promise<MQError | null>((resolve) =>
      producer.sendAsync('orders', 'refused', { partition: 0 }, (error) => resolve(error)),
    )
    expect(told?.context.reason).toBe('CIRCUIT_OPEN')
    expect((await producer.sendSync('orders', 'goes on', { partition: 1 })).offset).toBe(1)
    const [bad, good] = await producer.sendBatchSync({
      topic: 'orders',
      messages: [
        { value: 'refused', partition: 0 },
        { value: 'goes on', partition: 1 },
      ],
    })
    expect(bad?.error?.context.reason).toBe('CIRCUIT_OPEN')
    expect(good?.offset).toBe(2)
    broken.remove()
    await sent
    await producer.flush()
    expect((await producer.sendSync('orders', 'taken again', { partition: 0 })).partition).toBe(0)
    const stored = (await logOf(broker, 'orders', 0)).map(({ value }) => value)
    expect(stored).toEqual(['in the buffer', 'before', 'waits', 'taken again'])
    const { totalMessages, successMessages, refusedMessages } = producer.getMetrics()
    expect([totalMessages, successMessages, refusedMessages]).toEqual([7, 7, 3])
  })

  it('PR-19: keyless records avoid the broker; what was accepted before is still delivered', async () => {
    const made = await setUp(failFast, 2)
    const { broken, sent } = await open(made)
    const { producer } = made
    const partitions = new Set<number>()
    for (let n = 0; n < 20; n++) {
      const { partition } = await producer.sendSync('orders', `keyless ${n}`)
      partitions.add(partition)
    }
    expect([...partitions]).toEqual([1])
    broken.remove()
    await expect(sent).resolves.toMatchObject({ partition: 0 })
  })

  it('PR-19: while it is half-open new sends are taken', async () => {
    const made = await setUp(failFast)
    const { broken } = await open(made)
    broken.remove()
    await until(() => circuitOf(made) !== 2, 'half-open')
    await expect(made.producer.sendSync('orders', 'taken', { partition: 0 })).resolves.toMatchObject({ partition: 0 })
  })
})

describe('PR-19: degraded', () => {
  it('PR-19: without brokers sends are accepted, health says why, and recovery needs no restart', async () => {
    const made = await setUp({ circuitBreaker: {} })
    const { broker, producer } = made
    expect(producer.isDegraded).toBe(false)
    await producer.sendSync('orders', 'before', { partition: 0 })
    await broker.kill(1)
    const results = Array.from({ length: 20 }, (_, n) => producer.sendSync('orders', `v${n}`, { partition: 0 }))
    await until(() => producer.isDegraded, 'degraded')
    expect(() => producer.checkHealth()).toThrow(expect.objectContaining({ code: 'CONNECTION_FAILED' }))
    expect(producer.getMetrics().pendingMessages).toBe(20)
    await broker.start(1)
    await Promise.all(results)
    await until(() => !producer.isDegraded, 'well again')
    producer.checkHealth()
    expect((await logOf(broker, 'orders')).map(({ value }) => value).slice(1)).toEqual(
      Array.from({ length: 20 }, (_, n) => `v${n}`),
    )
  })

  it('PR-19: a producer that never found a broker is degraded while it looks for one', async () => {
    const made = await setUp({ circuitBreaker: {}, maxBlockMs: 30_000 })
    const { broker, producer } = made
    await broker.kill(1)
    const sent = producer.sendSync('orders', 'v', { partition: 0 })
    await until(() => producer.isDegraded, 'degraded')
    expect(() => producer.checkHealth()).toThrow('no broker tells about the cluster')
    await broker.start(1)
    await expect(sent).resolves.toMatchObject({ offset: 0 })
    expect(producer.isDegraded).toBe(false)
  })

  it('PR-19: an open circuit is named, and one that leads nothing of ours is no trouble', async () => {
    const made = await setUp({}, 2)
    await open(made)
    expect(() => made.producer.checkHealth()).toThrow(/circuit of broker 1/)
    const other = await setUp({ circuitBreaker: {} }, 2)
    await other.producer.sendSync('orders', 'v', { partition: 0 })
    await other.producer.sendSync('orders', 'v', { partition: 1 })
    await other.broker.kill(2)
    await turns(50)
    await other.producer.sendSync('orders', 'v', { partition: 0 })
    await until(() => !other.producer.isDegraded, 'nothing waits for broker 2')
  })

  it('PR-19: a closed producer says so', async () => {
    const made = await setUp()
    await made.producer.sendSync('orders', 'v')
    await made.producer.close()
    expect(() => made.producer.checkHealth()).toThrow(expect.objectContaining({ code: 'PRODUCER_CLOSED' }))
  })
})
