import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { PooledConnection } from '../../lib/cluster/index.js'
import { APIS } from '../../lib/cluster/pool/apis.js'
import { MQError } from '../../lib/errors/index.js'
import { ALL_APIS, ApiVersions, InitProducerId, Metadata } from '../../lib/protocol/index.js'
import { type MemoryTransport, settle } from './memory-net.js'
import { poolScene } from './pool-support.js'
import { failureOf, pass, passUntil } from './support.js'

const wanted = { transactionalId: null, transactionTimeoutMs: 0 }
const given = { errorCode: 0, producerId: 4711n, producerEpoch: 0 }

/** What happens to a promise, without waiting for it. */
function watched<T>(promise: Promise<T>): { value: T | undefined; error: unknown; isSettled: boolean } {
  const seen = { value: undefined as T | undefined, error: undefined as unknown, isSettled: false }
  promise.then(
    (value) => Object.assign(seen, { value, isSettled: true }),
    (error: unknown) => Object.assign(seen, { error, isSettled: true }),
  )
  return seen
}

describe('CL-2: getConnection and release', () => {
  it('lends a connection that asks by name, with the answer typed', async () => {
    const { pool } = poolScene(1)
    const connection = await pool.getConnection()
    expect(connection.nodeId).toBe(1)
    expect(connection.isOpen).toBe(true)
    const answer = await connection.request('Metadata', { topics: null })
    expect(answer.clusterId).toBe('cluster-a')
    expect(answer.brokers.map(({ nodeId }) => nodeId)).toEqual([1])
    pool.releaseConnection(connection)
  })

  it('names, bodies and answers are checked by the compiler', async () => {
    const { pool } = poolScene(1)
    const connection = await pool.getConnection()
    // @ts-expect-error there is no such request
    await failureOf(connection.request('Metadate', { topics: null }))
    // @ts-expect-error topics is a list or null
    await failureOf(connection.request('Metadata', { topics: 'all' }))
    const answer = await connection.request('Metadata', { topics: [] })
    const controllerId: number = answer.controllerId
    // @ts-expect-error the answer has no such field
    expect([controllerId, answer.leader]).toEqual([1, undefined])
  })

  it('a schema, and a body that depends on the version, do as well', async () => {
    const { pool, brokers } = poolScene(1)
    brokers[0]?.on(InitProducerId, (request) => request.reply({ ...given, producerEpoch: request.version }))
    const connection = await pool.getConnection()
    const answer = await connection.request(
      InitProducerId,
      (version) => ({ ...wanted, transactionTimeoutMs: version }),
      {
        maxVersion: 3,
      },
    )
    expect(answer.producerEpoch).toBe(3)
    expect(brokers[0]?.of(InitProducerId)[0]?.body.transactionTimeoutMs).toBe(3)
  })

  it('every api with negotiated versions has its name, but those of the opening of a connection', () => {
    const ours = ALL_APIS.filter(({ client, name }) => client !== undefined && !name.startsWith('Sasl'))
    expect(Object.keys(APIS).sort()).toEqual(ours.map(({ name }) => name).sort())
    for (const [name, api] of Object.entries(APIS)) expect(api.name).toBe(name)
  })

  it('trap 20: a released connection is lent again, and its socket stays open', async () => {
    const { pool, net } = poolScene(1)
    const first = await pool.getConnection()
    const opened = net.opened.length
    first.release()
    const second = await pool.getConnection()
    expect(net.opened.length).toBe(opened)
    expect(second).not.toBe(first)
    expect(pool.getStats()).toMatchObject({ lentConnections: 1, lendableConnections: 0 })
  })

  it('release twice is harmless, also when somebody else has the socket by then', async () => {
    const { pool } = poolScene(1, { maxConnections: 4 })
    const first = await pool.getConnection()
    first.release()
    const second = await pool.getConnection()
    first.release()
    pool.releaseConnection(first)
    expect(pool.getStats()).toMatchObject({ lentConnections: 1, lendableConnections: 0 })
    const third = watched(pool.getConnection())
    await settle()
    expect(third.isSettled).toBe(false)
    second.release()
    await settle()
    expect(third.value?.nodeId).toBe(1)
  })

  it('after release a lease reaches nothing any more: CONNECTION_CLOSED, unsent', async () => {
    const { pool, brokers } = poolScene(1)
    const connection = await pool.getConnection()
    connection.release()
    expect(connection.isOpen).toBe(false)
    const asked = brokers[0]?.requests.length
    const error = await failureOf(connection.request('ListGroups', {}))
    expect([error.code, error.context['wasSent']]).toEqual(['CONNECTION_CLOSED', 'no'])
    expect(brokers[0]?.requests.length).toBe(asked)
  })

  it('await using gives it back', async () => {
    const { pool } = poolScene(1)
    {
      await using connection = await pool.getConnection()
      expect(connection.isOpen).toBe(true)
    }
    expect(pool.getStats().lentConnections).toBe(0)
  })

  it('at most maxConnections - 3 per broker are lent; the next caller waits and is then told POOL_EXHAUSTED', async () => {
    const { pool, clock, net } = poolScene(1, { maxConnections: 5, acquireTimeoutMs: 200 })
    const first = await pool.getConnection()
    await pool.getConnection()
    const opened = net.opened.length
    const late = failureOf(pool.getConnection())
    const startMs = clock.monotonicMs()
    const error = await passUntil(clock, late)
    expect([error.code, error.context.reason, error.retryable]).toEqual(['POOL_EXHAUSTED', 'NO_CONNECTION', true])
    expect(clock.monotonicMs() - startMs).toBe(200)
    expect(net.opened.length).toBe(opened)
    first.release()
    expect((await pool.getConnection()).nodeId).toBe(1)
  })

  it('acquireTimeoutMs 0 fails at once when all are lent, and still opens what may be opened', async () => {
    const { pool } = poolScene(1, { maxConnections: 4, acquireTimeoutMs: 0 })
    const connection = await pool.getConnection()
    const error = await failureOf(pool.getConnection())
    expect([error.code, error.context.reason]).toEqual(['POOL_EXHAUSTED', 'NO_CONNECTION'])
    connection.release()
    expect((await pool.getConnection()).isOpen).toBe(true)
  })

  it('with maxConnections 3 there is nothing to lend, and the error says what to change', async () => {
    const { pool, net } = poolScene(1, { maxConnections: 3, maxIdle: 3 })
    const error = await failureOf(pool.getConnection())
    expect([error.code, error.retryable]).toEqual(['POOL_EXHAUSTED', false])
    expect(error.message).toContain('pool.maxConnections 3')
    expect(net.opened.length).toBe(0)
  })

  it('waiters are served in the order in which they came', async () => {
    const { pool } = poolScene(1, { maxConnections: 4 })
    let held = await pool.getConnection()
    const order: number[] = []
    const waiting = [0, 1, 2, 3].map((number) =>
      pool.getConnection().then((connection) => {
        order.push(number)
        held = connection
      }),
    )
    for (const next of waiting) {
      await settle()
      held.release()
      await next
    }
    expect(order).toEqual([0, 1, 2, 3])
  })

  it('a waiter for one broker does not hold up one that takes any', async () => {
    const { pool } = poolScene(2, { maxConnections: 4 })
    const one = await pool.getConnection({ brokerId: 1 })
    const two = await pool.getConnection({ brokerId: 2 })
    const forOne = watched(pool.getConnection({ brokerId: 1 }))
    const forAny = watched(pool.getConnection())
    two.release()
    await settle()
    expect([forOne.isSettled, forAny.value?.nodeId]).toEqual([false, 2])
    one.release()
    await settle()
    expect(forOne.value?.nodeId).toBe(1)
  })

  it('connections to any broker spread over the brokers', async () => {
    const { pool } = poolScene(3)
    const ids = new Set<number>()
    for (let count = 0; count < 3; count++) ids.add((await pool.getConnection()).nodeId)
    expect([...ids].sort()).toEqual([1, 2, 3])
  })

  it('a caller whose connection went to one who came first has another one opened at once', async () => {
    const { pool, brokers } = poolScene(1)
    await pool.ping()
    const broker = brokers[0] as (typeof brokers)[0]
    let opened = 0
    broker.on(ApiVersions, (request) => {
      if (opened++ > 0) request.reply(broker.versions() as never) // The first one is never answered.
    })
    const first = watched(pool.getConnection())
    const second = watched(pool.getConnection())
    await settle()
    expect([first.value?.isOpen, second.value?.isOpen, opened]).toEqual([true, true, 3])
  })

  it('a signal ends the wait with its own reason, and the place in the queue is free', async () => {
    const { pool, clock } = poolScene(1, { maxConnections: 4 })
    const held = await pool.getConnection()
    const stop = new AbortController()
    const aborted = watched(pool.getConnection({ signal: stop.signal }))
    const next = watched(pool.getConnection())
    const reason = new Error('changed my mind')
    stop.abort(reason)
    await settle()
    expect(aborted.error).toBe(reason)
    held.release()
    await settle()
    expect(next.value?.isOpen).toBe(true)
    expect(pool.getStats().waitingCallers).toBe(0)
    await expect(pool.getConnection({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    next.value?.release()
    const kept = new AbortController()
    const again = await pool.getConnection({ signal: kept.signal })
    await again.request('Metadata', { topics: [] }, { signal: kept.signal, timeoutMs: 1_000 })
    expect(getEventListeners(kept.signal, 'abort')).toEqual([]) // A signal that lives long collects nothing.
    expect(clock.pendingTimers).toBeLessThanOrEqual(4) // sockets' own idle limits and the metadata age
  })

  it('timeoutMs of a call goes before acquireTimeoutMs; a negative one is refused', async () => {
    const { pool, clock } = poolScene(1, { maxConnections: 4, acquireTimeoutMs: 10_000 })
    await pool.getConnection()
    const startMs = clock.monotonicMs()
    const error = await passUntil(clock, failureOf(pool.getConnection({ timeoutMs: 50 })))
    expect([error.code, clock.monotonicMs() - startMs]).toEqual(['POOL_EXHAUSTED', 50])
    expect((await failureOf(pool.getConnection({ timeoutMs: -1 }))).code).toBe('INVALID_CONFIG')
    expect((await failureOf(pool.getConnection({ timeoutMs: Number.NaN }))).code).toBe('INVALID_CONFIG')
  })

  it('a broker that cannot be reached is passed over for the next; asked for by name it fails with its error', async () => {
    const { pool, net, state, clock } = poolScene(2)
    await pool.ping()
    net.refuse(state.brokers[0]?.port as number)
    for (let count = 0; count < 4; count++) {
      expect((await passUntil(clock, pool.getConnection())).nodeId).toBe(2)
    }
    const error = await passUntil(clock, failureOf(pool.getConnection({ brokerId: 1 })))
    expect([error.code, error.context['brokerId'], error.context['wasSent']]).toEqual(['CONNECTION_FAILED', 1, 'no'])
  })

  it('a broker that nobody knows is CONNECTION_FAILED, and the pool is no less healthy for it', async () => {
    const { pool, clock } = poolScene(1)
    const error = await passUntil(clock, failureOf(pool.getConnection({ brokerId: 99 })))
    expect([error.code, error.context['brokerId']]).toEqual(['CONNECTION_FAILED', 99])
    expect(() => pool.checkHealth()).not.toThrow()
  })

  it('no broker at all: CONNECTION_FAILED after maxRetries further rounds', async () => {
    const { pool, net, state, clock } = poolScene(1, {}, { connection: { maxRetries: 2 } })
    net.refuse(state.brokers[0]?.port as number)
    const error = await passUntil(clock, failureOf(pool.getConnection()))
    expect(error.code).toBe('CONNECTION_FAILED')
    expect(net.dialled.length).toBe(3)
    expect(() => pool.checkHealth()).toThrow(expect.objectContaining({ code: 'CONNECTION_FAILED' }))
  })

  it('a broker that comes back within the rounds is reached', async () => {
    const { pool, net, state, brokers, clock } = poolScene(1)
    await pool.ping()
    const port = state.brokers[0]?.port as number
    net.refuse(port)
    brokers[0]?.hangUp()
    const waiting = watched(pool.getConnection())
    await settle()
    expect(waiting.isSettled).toBe(false)
    net.listenAt(port, (brokers[0] as (typeof brokers)[0]).accept)
    await pass(clock, 5_000)
    expect(waiting.value?.nodeId).toBe(1)
  })

  it('an opening that takes longer than the call wants to wait: CONNECTION_TIMEOUT, and the next call gets it', async () => {
    const { pool, brokers, clock } = poolScene(1)
    await pool.ping()
    const held: (() => void)[] = []
    brokers[0]?.on(ApiVersions, (request) => {
      held.push(() => request.reply(brokers[0]?.versions() as never))
    })
    const error = await passUntil(clock, failureOf(pool.getConnection({ timeoutMs: 100 })))
    expect(error.code).toBe('CONNECTION_TIMEOUT')
    const next = watched(pool.getConnection())
    for (const answer of held) answer()
    await settle()
    expect(next.value?.nodeId).toBe(1)
  })
})

describe('CL-2: requests on a lent connection', () => {
  it('several are under way at once, more than a socket takes wait for room', async () => {
    const { pool, brokers } = poolScene(1)
    let epoch = 0
    const held: (() => void)[] = []
    brokers[0]?.on(InitProducerId, (request) => {
      const mine = epoch++
      held.push(() => request.reply({ ...given, producerEpoch: mine }))
    })
    const connection = await pool.getConnection()
    const answers = Array.from({ length: 50 }, () => connection.request('InitProducerId', wanted))
    await settle()
    expect(held.length).toBe(32)
    while (held.length > 0) {
      for (const answer of held.splice(0)) answer()
      await settle()
    }
    const epochs = (await Promise.all(answers)).map(({ producerEpoch }) => producerEpoch)
    expect(epochs).toEqual(Array.from({ length: 50 }, (_, index) => index))
  })

  it('requests that wait for room are bounded', async () => {
    const { pool, brokers } = poolScene(1)
    brokers[0]?.on(InitProducerId, () => {})
    const connection = await pool.getConnection()
    const asked = Array.from({ length: 32 + 1_000 }, () => failureOf(connection.request('InitProducerId', wanted)))
    const error = await failureOf(connection.request('InitProducerId', wanted))
    expect([error.code, error.context.reason]).toEqual(['POOL_EXHAUSTED', 'NO_CONNECTION'])
    await pool.close()
    await Promise.all(asked)
  })

  it('released with an answer outstanding it is lent to nobody else before the answer is there', async () => {
    const { pool, brokers } = poolScene(1, { maxConnections: 4 })
    let answer = () => {}
    brokers[0]?.on(InitProducerId, (request) => {
      answer = () => request.reply(given)
    })
    const connection = await pool.getConnection()
    const asked = watched(connection.request('InitProducerId', wanted))
    await settle()
    connection.release()
    const next = watched(pool.getConnection())
    await settle()
    expect([next.isSettled, pool.getStats().activeConnections >= 1]).toEqual([false, true])
    answer()
    await settle()
    expect([asked.value?.producerId, next.value?.nodeId]).toEqual([4711n, 1])
  })

  it('a socket that breaks while it is lent fails what was under way and is not used again', async () => {
    const { pool, brokers, net } = poolScene(1, { maxConnections: 4 })
    brokers[0]?.on(InitProducerId, () => {})
    const connection = await pool.getConnection()
    const asked = failureOf(connection.request('InitProducerId', wanted))
    await settle()
    const socket = net.opened.at(-1) as MemoryTransport
    socket.destroy(new MQError('CONNECTION_FAILED', 'the line was cut'))
    const error = await asked
    expect([error.code, error.context['wasSent']]).toEqual(['CONNECTION_FAILED', 'possibly'])
    expect(connection.isOpen).toBe(false)
    const after = await failureOf(connection.request('ListGroups', {}))
    expect([after.code, after.context['wasSent'], (after.cause as MQError).message]).toEqual([
      'CONNECTION_CLOSED',
      'no',
      'the line was cut',
    ])
    const opened = net.opened.length
    expect((await pool.getConnection()).isOpen).toBe(true) // Its place is free although nobody released it.
    expect(net.opened.length).toBe(opened + 1)
    connection.release()
    expect(pool.getStats()).toMatchObject({ lentConnections: 1, connectionErrors: 1 })
  })

  it('a free socket whose end is still to be told is not lent', async () => {
    const { pool, net } = poolScene(1)
    ;(await pool.getConnection()).release()
    const socket = net.opened.at(-1) as MemoryTransport
    socket.holdsClosed = true
    socket.destroy(new MQError('CONNECTION_FAILED', 'cut'))
    expect(await pool.getConnection()).toMatchObject({ isOpen: true })
    socket.tellClosed()
  })

  it('timeoutMs and signal end the wait, not the connection', async () => {
    const { pool, brokers, clock } = poolScene(1)
    const answers: (() => void)[] = []
    brokers[0]?.on(InitProducerId, (request) => {
      answers.push(() => request.reply(given))
    })
    const connection = await pool.getConnection()
    const late = failureOf(connection.request('InitProducerId', wanted, { timeoutMs: 30 }))
    const stop = new AbortController()
    const aborted = watched(connection.request('InitProducerId', wanted, { signal: stop.signal }))
    const error = await passUntil(clock, late)
    expect([error.code, error.context['wasSent']]).toEqual(['CONNECTION_TIMEOUT', 'possibly'])
    stop.abort('enough')
    await settle()
    expect(aborted.error).toBe('enough')
    for (const answer of answers) answer()
    await settle()
    const again = connection.request('InitProducerId', wanted)
    await settle()
    answers.at(-1)?.()
    expect((await again).producerId).toBe(4711n)
  })

  it('a broker that is silent loses the socket limitMs + readTimeoutMs later', async () => {
    const { pool, brokers, clock } = poolScene(1, {}, { connection: { readTimeoutMs: 1_000 } })
    brokers[0]?.on(InitProducerId, () => {})
    const connection = await pool.getConnection()
    const startMs = clock.monotonicMs()
    const error = await passUntil(clock, failureOf(connection.request('InitProducerId', wanted, { limitMs: 500 })))
    expect(error.code).toBe('CONNECTION_TIMEOUT')
    expect(clock.monotonicMs() - startMs).toBe(1_500)
  })

  it('what cannot be asked is refused unsent: unknown name, version the broker lacks, bad body, acks 0', async () => {
    const { pool, brokers } = poolScene(1)
    brokers[0]?.ranges.delete(InitProducerId.key)
    const connection = await pool.getConnection()
    const requests = brokers[0]?.requests.length
    const ask = connection.request.bind(connection) as (api: unknown, body: unknown) => Promise<unknown>
    const failures = await Promise.all([
      failureOf(ask('Metadate', { topics: null })),
      failureOf(ask('toString', {})),
      failureOf(ask(undefined, {})),
      failureOf(ask('InitProducerId', wanted)),
      failureOf(ask('Metadata', { topics: 'all' })),
      failureOf(ask('Metadata', null)),
      failureOf(ask('Metadata', () => JSON.parse('{'))),
      failureOf(ask('Produce', { acks: 0, timeoutMs: 1, topicData: [] })),
    ])
    expect(failures.map(({ code }) => code)).toEqual([
      'INVALID_CONFIG',
      'INVALID_CONFIG',
      'INVALID_CONFIG',
      'CONNECTION_FAILED',
      'SERIALIZATION_FAILED',
      'SERIALIZATION_FAILED',
      'SERIALIZATION_FAILED',
      'INVALID_CONFIG',
    ])
    expect(failures[3]?.context.reason).toBe('UNSUPPORTED_VERSION')
    expect(brokers[0]?.requests.length).toBe(requests)
    expect((await connection.request('Metadata', { topics: [] })).errorCode).toBe(0)
  })
})

describe('CL-3: ready, idle, old and ill connections', () => {
  it('unused, a pool has neither socket nor timer', async () => {
    const { pool, clock, net } = poolScene(3, { minIdle: 2, healthCheckIntervalMs: 1_000, healthCheckTimeoutMs: 1_000 })
    expect([clock.pendingTimers, net.opened.length, pool.state]).toEqual([0, 0, 'new'])
    expect(pool.getStats()).toEqual({
      totalConnections: 0,
      activeConnections: 0,
      idleConnections: 0,
      maxConnections: 10,
      connectionsCreated: 0,
      connectionsClosed: 0,
      connectionErrors: 0,
      lentConnections: 0,
      lendableConnections: 0,
      openingConnections: 0,
      waitingCallers: 0,
    })
  })

  it('after first use minIdle connections are kept ready', async () => {
    const { pool } = poolScene(1, { minIdle: 2 })
    const connection = await pool.getConnection()
    await settle()
    expect(pool.getStats()).toMatchObject({ lentConnections: 1, lendableConnections: 2 })
    connection.release()
    await settle()
    expect(pool.getStats()).toMatchObject({ lentConnections: 0, lendableConnections: 3 })
  })

  it('what is ready counts within the limit per broker', async () => {
    const { pool } = poolScene(1, { minIdle: 5, maxIdle: 5, maxConnections: 5 })
    const connection = await pool.getConnection()
    await settle()
    expect(pool.getStats()).toMatchObject({ lentConnections: 1, lendableConnections: 1, openingConnections: 0 })
    connection.release()
  })

  it('at most maxIdle stay when they are given back; those that were used longest ago go', async () => {
    const { pool, net, clock } = poolScene(1, { maxIdle: 2 })
    const lent: PooledConnection[] = []
    for (let count = 0; count < 4; count++) lent.push(await pool.getConnection())
    const sockets = net.opened.slice(-4)
    for (const connection of lent) {
      clock.advance(10)
      connection.release()
    }
    await settle()
    expect(sockets.map(({ isOpen }) => isOpen)).toEqual([false, false, true, true])
    expect(pool.getStats()).toMatchObject({ lendableConnections: 2, connectionErrors: 0 })
  })

  it('the connection used last is lent first', async () => {
    const { pool, clock, brokers } = poolScene(2)
    const one = await pool.getConnection({ brokerId: 1 })
    const two = await pool.getConnection({ brokerId: 2 })
    two.release()
    clock.advance(10)
    one.release()
    expect((await pool.getConnection()).nodeId).toBe(1)
    expect(brokers.length).toBe(2)
  })

  it('connectionMaxIdleMs closes what nobody uses; requests are no idleness', async () => {
    const { pool, clock, net } = poolScene(1, { connectionMaxIdleMs: 60_000 })
    const connection = await pool.getConnection()
    const socket = net.opened.at(-1) as MemoryTransport
    connection.release()
    await pass(clock, 50_000, 1_000)
    const again = await pool.getConnection()
    await again.request('Metadata', { topics: [] })
    again.release()
    await pass(clock, 59_000, 1_000)
    expect(socket.isOpen).toBe(true)
    await pass(clock, 1_000, 1_000)
    expect(socket.isOpen).toBe(false)
    expect(pool.getStats()).toMatchObject({ lendableConnections: 0, connectionErrors: 0 })
  })

  it('probes are no use: an idle connection goes in time although it is probed', async () => {
    const { pool, clock, net } = poolScene(1, {
      connectionMaxIdleMs: 60_000,
      healthCheckIntervalMs: 7_000,
      healthCheckTimeoutMs: 1_000,
    })
    ;(await pool.getConnection()).release()
    const socket = net.opened.at(-1) as MemoryTransport
    await pass(clock, 59_000, 1_000)
    expect(socket.isOpen).toBe(true)
    await pass(clock, 2_000, 1_000)
    expect(socket.isOpen).toBe(false)
  })

  it('connectionMaxLifetimeMs replaces what is free, and never cuts a request', async () => {
    const { pool, clock, net, brokers } = poolScene(
      1,
      { minIdle: 1, maxIdle: 1, connectionMaxLifetimeMs: 60_000 },
      { connection: { readTimeoutMs: 300_000 } },
    )
    let answer = () => {}
    brokers[0]?.on(InitProducerId, (request) => {
      answer = () => request.reply(given)
    })
    const connection = await pool.getConnection()
    await settle()
    const [lent, idle] = net.opened.slice(-2) as [MemoryTransport, MemoryTransport]
    const asked = watched(connection.request('InitProducerId', wanted))
    await pass(clock, 61_000, 1_000)
    expect([lent.isOpen, idle.isOpen, asked.isSettled]).toEqual([true, false, false])
    expect(pool.getStats()).toMatchObject({ lentConnections: 1, lendableConnections: 1, connectionErrors: 0 })
    connection.release() // Over age, its answer outstanding: it goes when that is there.
    await pass(clock, 10_000, 1_000)
    expect(lent.isOpen).toBe(true)
    answer()
    await settle()
    expect([asked.value?.producerId, lent.isOpen]).toEqual([4711n, false])
    expect(pool.getStats()).toMatchObject({ lentConnections: 0, lendableConnections: 1, connectionErrors: 0 })
  })

  it('idle connections are probed each healthCheckIntervalMs; lent ones are not', async () => {
    const { pool, clock, brokers } = poolScene(1, { healthCheckIntervalMs: 1_000, healthCheckTimeoutMs: 500 })
    const one = await pool.getConnection()
    const two = await pool.getConnection()
    two.release()
    const before = brokers[0]?.count(ApiVersions) as number
    await pass(clock, 3_050)
    expect((brokers[0]?.count(ApiVersions) as number) - before).toBe(3)
    expect(brokers[0]?.of(ApiVersions).at(-1)?.version).toBe(2) // Later ones are refused without our name.
    expect(pool.measures().pingSeconds.count).toBe(3)
    expect(pool.getStats()).toMatchObject({ lentConnections: 1, lendableConnections: 1 })
    one.release()
  })

  it('a connection whose probe stays unanswered is replaced', async () => {
    const { pool, clock, brokers, net } = poolScene(1, {
      minIdle: 1,
      healthCheckIntervalMs: 1_000,
      healthCheckTimeoutMs: 500,
    })
    ;(await pool.getConnection()).release()
    await settle()
    const idle = pool.getStats().lendableConnections
    const [socket] = net.opened.slice(-1)
    const broker = brokers[0] as (typeof brokers)[0]
    let isDeaf = true
    broker.on(ApiVersions, (request) => {
      if (!isDeaf) request.reply(broker.versions() as never)
    })
    await pass(clock, 1_400)
    expect(socket?.isOpen).toBe(true)
    isDeaf = false
    await pass(clock, 300)
    expect(socket?.isOpen).toBe(false)
    expect(pool.getStats().lendableConnections).toBeGreaterThanOrEqual(1)
    expect(pool.getStats().connectionErrors).toBe(idle)
  })

  it('acquireTimeoutMs 0 waits for a connection that is just being probed', async () => {
    const { pool, clock, brokers } = poolScene(1, {
      maxConnections: 4,
      acquireTimeoutMs: 0,
      healthCheckIntervalMs: 1_000,
      healthCheckTimeoutMs: 500,
    })
    ;(await pool.getConnection()).release()
    const broker = brokers[0] as (typeof brokers)[0]
    let answer = () => {}
    broker.on(ApiVersions, (request) => {
      answer = () => request.reply(broker.versions() as never)
    })
    await pass(clock, 1_100)
    const waiting = watched(pool.getConnection())
    await settle()
    expect(waiting.isSettled).toBe(false)
    answer()
    await settle()
    expect(waiting.value?.nodeId).toBe(1)
  })

  it('a broker that is down is dialled with back-off only, and connections are ready again when it is back', async () => {
    const { pool, clock, brokers, net, state } = poolScene(1, { minIdle: 2 })
    ;(await pool.getConnection()).release()
    await settle()
    const port = state.brokers[0]?.port as number
    net.refuse(port)
    brokers[0]?.hangUp()
    await settle()
    const dialled = net.dialled.length
    await pass(clock, 60_000, 100)
    const attempts = net.dialled.length - dialled
    expect(attempts).toBeGreaterThan(5)
    expect(attempts).toBeLessThan(250)
    expect(() => pool.checkHealth()).toThrow(MQError)
    net.listenAt(port, (brokers[0] as (typeof brokers)[0]).accept)
    await pass(clock, 11_000, 100)
    expect(pool.getStats().lendableConnections).toBe(2)
    expect(() => pool.checkHealth()).not.toThrow()
  })

  it('stats and measures cover sources that were included, and totals stay when one is taken out', async () => {
    const { pool } = poolScene(1)
    const producer = {
      totalConnections: 2,
      activeConnections: 1,
      idleConnections: 1,
      connectionsCreated: 7,
      connectionsClosed: 5,
      connectionErrors: 3,
      throttledMs: 0,
      trailingBytes: 0,
    }
    const exclude = pool.include({ connectionStats: () => producer })
    const connection = await pool.getConnection()
    // One to find the brokers, which is closed, and one that is lent.
    expect(pool.getStats()).toMatchObject({
      totalConnections: 3,
      activeConnections: 2,
      idleConnections: 1,
      connectionsCreated: 9,
      connectionsClosed: 6,
      connectionErrors: 3,
    })
    expect(pool.measures()).toMatchObject({ totalConnections: 3, maxConnections: 10, connectionsCreated: 9 })
    exclude()
    exclude()
    expect(pool.getStats()).toMatchObject({
      totalConnections: 1,
      connectionsCreated: 9,
      connectionsClosed: 8,
      connectionErrors: 3,
    })
    connection.release()
  })
})

describe('ME-5: what a health check asks of the pool', () => {
  it('one broker of two that cannot be reached does not make it ill while it has a connection to the other', async () => {
    const { pool, net, state, clock } = poolScene(2)
    const connection = await pool.getConnection({ brokerId: 2 })
    net.refuse(state.brokers[0]?.port as number)
    expect((await passUntil(clock, failureOf(pool.getConnection({ brokerId: 1 })))).code).toBe('CONNECTION_FAILED')
    expect(() => pool.checkHealth()).not.toThrow()
    connection.release()
  })

  it('callers that wait for what is lent make it POOL_EXHAUSTED, until they are served', async () => {
    const { pool } = poolScene(1, { maxConnections: 4 })
    const connection = await pool.getConnection()
    expect(() => pool.checkHealth()).not.toThrow()
    const waiting = watched(pool.getConnection())
    expect(() => pool.checkHealth()).toThrow(
      expect.objectContaining({ code: 'POOL_EXHAUSTED', context: expect.objectContaining({ waitingCallers: 1 }) }),
    )
    connection.release()
    await settle()
    expect(waiting.isSettled).toBe(true)
    expect(() => pool.checkHealth()).not.toThrow()
  })

  it('a ping that succeeds proves that the trouble is over', async () => {
    const { pool, net, state, brokers, clock } = poolScene(1, {}, { connection: { maxRetries: 0 } })
    const port = state.brokers[0]?.port as number
    net.refuse(port)
    await passUntil(clock, failureOf(pool.getConnection()))
    expect(() => pool.checkHealth()).toThrow(expect.objectContaining({ code: 'CONNECTION_FAILED' }))
    net.listenAt(port, (brokers[0] as (typeof brokers)[0]).accept)
    await passUntil(clock, pool.ping())
    expect(() => pool.checkHealth()).not.toThrow()
  })
})

describe('CL-5: ping', () => {
  it('is a real round trip: trap 24', async () => {
    const { pool, brokers, clock } = poolScene(2)
    const { rttMs, nodeId } = await pool.ping()
    expect([1, 2]).toContain(nodeId)
    expect(rttMs).toBeGreaterThanOrEqual(0)
    const asked = () => brokers.reduce((sum, broker) => sum + broker.count(ApiVersions), 0)
    const before = asked()
    await pool.ping()
    expect(asked()).toBeGreaterThan(before)
    expect(pool.measures().pingSeconds.count).toBe(2)
    clock.advance(0)
  })

  it('counts the time of the answer in rttMs', async () => {
    const { pool, brokers, clock } = poolScene(1)
    await pool.ping()
    const broker = brokers[0] as (typeof brokers)[0]
    broker.on(ApiVersions, (request) => {
      clock.setTimer(() => request.reply(broker.versions() as never), 40)
    })
    const { rttMs } = await passUntil(clock, pool.ping())
    expect(rttMs).toBe(40)
    expect(pool.measures().pingSeconds.sum).toBeCloseTo(0.04)
  })

  it('refused: CONNECTION_FAILED, after maxRetries further rounds', async () => {
    const { pool, net, state, clock } = poolScene(1, {}, { connection: { maxRetries: 2 } })
    net.refuse(state.brokers[0]?.port as number)
    expect((await passUntil(clock, failureOf(pool.ping()))).code).toBe('CONNECTION_FAILED')
    expect(net.dialled.length).toBe(3)
  })

  it('K-26: fails when the broker died since', async () => {
    const { pool, net, state, brokers, clock } = poolScene(1)
    await pool.ping()
    net.refuse(state.brokers[0]?.port as number)
    brokers[0]?.hangUp()
    expect((await passUntil(clock, failureOf(pool.ping()))).code).toBe('CONNECTION_FAILED')
  })

  it('K-26: a socket that breaks under the ping is CONNECTION_FAILED too: only what we close is closed', async () => {
    const { pool, brokers } = poolScene(1, {}, { connection: { maxRetries: 0 } })
    await pool.ping()
    brokers[0]?.on(ApiVersions, (request) => request.transport.destroy(new MQError('CONNECTION_CLOSED', 'died')))
    expect((await failureOf(pool.ping())).code).toBe('CONNECTION_FAILED')
  })

  it('K-26: fails in time when the broker fell silent and its socket is still open', async () => {
    const { pool, brokers, clock } = poolScene(1)
    await pool.ping()
    brokers[0]?.on(ApiVersions, () => {})
    const startMs = clock.monotonicMs()
    const error = await passUntil(clock, failureOf(pool.ping({ timeoutMs: 250 })))
    expect([error.code, clock.monotonicMs() - startMs]).toEqual(['CONNECTION_TIMEOUT', 250])
  })

  it('one silent broker does not keep the answer of another back', async () => {
    const { pool, brokers, clock } = poolScene(2)
    await pool.ping()
    brokers[0]?.on(ApiVersions, () => {})
    for (let count = 0; count < 4; count++) expect((await passUntil(clock, pool.ping())).nodeId).toBe(2)
  })

  it('a signal ends it with its own reason', async () => {
    const { pool, brokers } = poolScene(1)
    await pool.ping()
    brokers[0]?.on(ApiVersions, () => {})
    const stop = new AbortController()
    const asked = watched(pool.ping({ signal: stop.signal }))
    await settle()
    const reason = new Error('enough')
    stop.abort(reason)
    await settle()
    expect(asked.error).toBe(reason)
  })
})

describe('CL-2: close', () => {
  it('rejects waiters, closes lent connections too, and leaves neither socket nor timer', async () => {
    const { pool, clock, net, brokers } = poolScene(1, {
      maxConnections: 4,
      healthCheckIntervalMs: 1_000,
      healthCheckTimeoutMs: 500,
    })
    brokers[0]?.on(InitProducerId, () => {})
    const connection = await pool.getConnection()
    const asked = failureOf(connection.request('InitProducerId', wanted))
    const waiting = failureOf(pool.getConnection())
    await settle()
    await pool.close()
    expect([(await waiting).code, (await asked).code]).toEqual(['CONNECTION_CLOSED', 'CONNECTION_CLOSED'])
    expect([net.openConnections, clock.pendingTimers, pool.state]).toEqual([0, 0, 'closed'])
    connection.release()
    await pool.close()
    for (const call of [() => pool.getConnection(), () => pool.ping()]) {
      expect((await failureOf(call())).code).toBe('CONNECTION_CLOSED')
    }
    expect(() => pool.checkHealth()).toThrow(expect.objectContaining({ code: 'CONNECTION_CLOSED' }))
    const { connectionsCreated, connectionsClosed, totalConnections } = pool.getStats()
    expect([connectionsCreated - connectionsClosed, totalConnections]).toEqual([0, 0])
  })

  it('during an opening: the attempt is given up', async () => {
    const { pool, clock, net, brokers } = poolScene(1)
    await pool.ping()
    brokers[0]?.on(ApiVersions, () => {})
    const waiting = failureOf(pool.getConnection())
    await settle()
    await pool.close()
    expect((await waiting).code).toBe('CONNECTION_CLOSED')
    expect([net.openConnections, clock.pendingTimers]).toEqual([0, 0])
  })

  it('while brokers are looked for', async () => {
    const { pool, clock, net, state } = poolScene(1)
    net.refuse(state.brokers[0]?.port as number)
    const waiting = failureOf(pool.getConnection())
    await settle()
    await pool.close()
    expect((await waiting).code).toBe('CONNECTION_CLOSED')
    expect(clock.pendingTimers).toBe(0)
  })

  it('while a caller pauses between two rounds', async () => {
    const { pool, clock, net, state, brokers } = poolScene(1)
    await pool.ping()
    net.refuse(state.brokers[0]?.port as number)
    brokers[0]?.hangUp()
    const waiting = failureOf(pool.getConnection())
    await settle()
    expect(pool.getStats()).toMatchObject({ waitingCallers: 1, openingConnections: 0 })
    await pool.close()
    expect((await waiting).code).toBe('CONNECTION_CLOSED')
    expect(clock.pendingTimers).toBe(0)
  })

  it('before first use', async () => {
    const { pool, clock, net } = poolScene(1)
    await pool.close()
    expect([net.opened.length, clock.pendingTimers, pool.state]).toEqual([0, 0, 'closed'])
  })
})

describe('metadata of the pool', () => {
  it('asks for no topic', async () => {
    const { pool, brokers } = poolScene(1)
    await pool.getConnection()
    expect(brokers[0]?.of(Metadata).every(({ body }) => body.topics?.length === 0)).toBe(true)
  })
})
