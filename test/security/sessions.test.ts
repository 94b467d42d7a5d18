/**
 * CL-6, W-22: session lifetimes that a server makes up, and refusals at a renewal. A client neither hammers a server that
 * wants it to, nor waits for ever, nor forgets to renew.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Broker, createBroker } from '../../lib/broker/index.js'
import { Producer } from '../../lib/index.js'
import { SaslAuthenticate, SaslHandshake } from '../../lib/protocol/index.js'
import { FakeClock } from '../../lib/util/index.js'
import { speakSasl } from '../cluster/sasl/support.js'
import type { ScriptedBroker } from '../cluster/scripted-broker.js'
import { atEnd, hostileBroker, PASSWORD, RawServer, USER, Victim } from './stage.js'

/** Not SCRAM: its keys are derived on another thread, which no clock of ours moves either. */
const plain = { mechanism: 'PLAIN', username: USER, password: PASSWORD } as const
const STEP_MS = 50

/**
 * Lets everything happen that was under way on sockets: what was written before an echo was asked for has arrived when
 * the echo is back. Real sockets know nothing of a clock that is moved by hand.
 */
class Echo {
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  static async start(): Promise<Echo> {
    const server = await RawServer.start((socket) => void socket.pipe(socket))
    const socket = connect(server.port, '127.0.0.1').setNoDelay()
    await once(socket, 'connect')
    atEnd(() => void socket.destroy())
    return new Echo(socket)
  }

  async turns(): Promise<void> {
    // A question, its answer, and what follows from that.
    for (let turn = 0; turn < 3; turn++) {
      this.#socket.write('.')
      await once(this.#socket, 'data')
    }
  }
}

let echo: Echo
beforeEach(async () => {
  echo = await Echo.start()
})

/** Moves the client's time while sockets stay real. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= STEP_MS) {
    clock.advance(Math.min(STEP_MS, left))
    await echo.turns()
  }
}

/** Moves time until the promise is settled. */
async function passUntil<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let isDone = false
  const done = () => {
    isDone = true
  }
  promise.then(done, done)
  for (let steps = 0; !isDone && steps < 400; steps++) await pass(clock, STEP_MS)
  if (!isDone) throw new Error(`not settled after ${400 * STEP_MS} ms`)
  return promise
}

async function connected(lifetimeMs: number) {
  const hostile = await hostileBroker()
  speakSasl(hostile.broker, () => ({ answer: () => ({ sessionLifetimeMs: lifetimeMs }) }))
  const clock = new FakeClock()
  const producer = new Producer({ brokers: hostile.address, sasl: plain, logLevel: 'silent' }, { clock })
  atEnd(async () => {
    await passUntil(clock, producer.close({ timeoutMs: 0 }))
    expect(clock.pendingTimers, 'timers that were left').toBe(0)
  })
  await passUntil(clock, producer.connect())
  return { ...hostile, clock, producer }
}

/** Each socket begins by one handshake; the others renew. */
const renewals = (broker: ScriptedBroker) => broker.count(SaslHandshake) - broker.accepted

describe('lifetimes that a server makes up', () => {
  it.each([1, 10, 500, 999])('CL-6: %i ms: renewed at most once a second', async (lifetimeMs) => {
    const { broker, clock } = await connected(lifetimeMs)
    const sockets = broker.accepted
    await pass(clock, 10_000)
    expect(renewals(broker)).toBeGreaterThan(0)
    expect(renewals(broker)).toBeLessThanOrEqual(11 * sockets)
    expect(broker.accepted).toBeLessThanOrEqual(sockets + 2)
  })

  it.each([-1, -(2 ** 40), 0])('CL-6: %i ms: no session, nothing is renewed', async (lifetimeMs) => {
    const { broker, clock } = await connected(lifetimeMs)
    await pass(clock, 10_000)
    expect(renewals(broker)).toBe(0)
  })

  it.each([2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER])('CL-6: %i ms: nothing rings at once', async (lifetimeMs) => {
    const { broker, clock } = await connected(lifetimeMs)
    await pass(clock, 10_000)
    expect(renewals(broker)).toBe(0)
  })

  it('CL-6: one that no number can hold ends the connection, not the process', async () => {
    const hostile = await hostileBroker()
    hostile.broker.on(SaslHandshake, (r) => r.reply({ errorCode: 0, mechanisms: ['PLAIN'] }))
    hostile.broker.on(SaslAuthenticate, (r) => {
      const answer = { errorCode: 0, errorMessage: null, authBytes: new Uint8Array(0), sessionLifetimeMs: 1 }
      const frame = r.encode(answer)
      frame.fill(0x7f, frame.length - 9, frame.length - 1) // int64 in front of the empty list of tagged fields
      r.raw(frame)
    })
    const error = await new Victim({ brokers: hostile.address, sasl: plain }).refusal()
    expect(error.family, String(error)).toMatch(/connection|auth/)
  })
})

describe('a renewal that fails', () => {
  async function onBroker(act: (broker: Broker) => void) {
    const clock = new FakeClock()
    const sasl = { mechanisms: ['PLAIN'], users: { [USER]: PASSWORD }, sessionLifetimeMs: 10_000 } as const
    const broker = await createBroker({ clock, sasl })
    broker.createTopic('orders')
    atEnd(() => broker.close())
    const producer = new Producer({ brokers: broker.bootstrap, sasl: plain, logLevel: 'silent' }, { clock })
    atEnd(() => passUntil(clock, producer.close({ timeoutMs: 0 })).then(() => {}))
    await passUntil(clock, producer.sendSync('orders', 'first', { partition: 0 }))
    act(broker)
    await pass(clock, 12_000)
    return { broker, producer, clock }
  }

  it('CL-6: the password is not good any more: the next send is told, and the record is not stored', async () => {
    const { broker, producer, clock } = await onBroker((b) => b.setUser(USER, 'another'))
    const sent = producer.sendSync('orders', 'second', { partition: 0 }).catch((error: unknown) => error)
    expect(await passUntil(clock, sent)).toMatchObject({ fatal: true })
    expect(await broker.records('orders', 0)).toHaveLength(1)
  })

  it('CL-6: it is good: records go on over the same sockets', async () => {
    const { broker, producer, clock } = await onBroker(() => {})
    const before = producer.connectionStats()
    for (let round = 0; round < 5; round++) {
      await passUntil(clock, producer.sendSync('orders', `record ${round}`, { partition: 0 }))
      await pass(clock, 10_000)
    }
    expect(await broker.records('orders', 0)).toHaveLength(6)
    expect(producer.connectionStats()).toMatchObject({
      connectionsCreated: before.connectionsCreated,
      connectionsClosed: before.connectionsClosed,
    })
  })
})
