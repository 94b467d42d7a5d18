/**
 * Legal but unsafe settings are told to whoever made the client: once, by event and by log, with their path.
 * Why the event comes a turn later: nobody can listen to a client that is being made.
 */
import { afterEach, describe, expect, it } from 'vitest'
import {
  AdminClient,
  type ClientConfig,
  Consumer,
  createConnectionPool,
  FakeClock,
  MQ,
  Producer,
  type ProducerConfig,
  resolveConfig,
} from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

const OPEN: ClientConfig = {
  brokers: '127.0.0.1:1',
  sasl: { mechanism: 'PLAIN', username: 'shop', password: 'hunter2' },
}
const CARELESS: ClientConfig = { brokers: '127.0.0.1:1', ssl: { insecureSkipVerify: true } }
interface Listened {
  on(event: 'warning', listener: (warning: { message: string; context: object }) => void): unknown
  close(): Promise<unknown>
}
const PLAIN_TEXT = 'sasl.mechanism: PLAIN without TLS sends the password as it is: switch ssl on'
const SKIP_TEXT = 'ssl.insecureSkipVerify: any certificate is accepted: use it for tests only'

describe('warnings of a configuration', () => {
  const closers: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0)) await close()
  })

  function heard() {
    const logged: string[] = []
    const logger = { ...silentLogger, warn: (text: string) => void logged.push(text) }
    const told: object[] = []
    const listen = (warning: { message: string; context: object }) =>
      void told.push({ message: warning.message, ...warning.context })
    return { logged, logger, told, listen }
  }

  const makers: [string, (config: ClientConfig, clock: FakeClock) => Listened][] = [
    ['a producer', (config, clock) => new Producer(config, { clock })],
    ['a consumer', (config, clock) => new Consumer(config, { clock })],
  ]
  it.each(makers)('CL-6, 3.2: %s on its own tells them by event and log', (_name, make) => {
    for (const [config, text] of [[OPEN, PLAIN_TEXT] as const, [CARELESS, SKIP_TEXT] as const]) {
      const { logged, logger, told, listen } = heard()
      const clock = new FakeClock()
      const client = make({ ...config, logger }, clock)
      closers.push(() => client.close())
      client.on('warning', listen)
      expect(told).toEqual([])
      clock.runDeferred()
      expect(told).toEqual([{ message: text, path: text.split(':')[0] }])
      expect(logged).toEqual([text])
    }
  })

  it('CL-6, 3.2: an instance tells what concerns all clients once, and not again for each of them', async () => {
    const { logged, logger, told, listen } = heard()
    const mq = new MQ({ ...OPEN, logger, producer: { maxInFlight: 2, idempotence: false } })
    closers.push(() => mq.close())
    mq.on('warning', listen)
    void [mq.producer, mq.consumer, mq.admin, mq.pool]
    mq.createProducer({ lingerMs: 1 })
    mq.createConsumer({ groupId: 'more' })
    await new Promise((resolve) => setImmediate(resolve))
    const own = logged.filter((text) => text.startsWith('producer.'))
    expect(logged.filter((text) => text === PLAIN_TEXT)).toEqual([PLAIN_TEXT])
    expect(told.filter((one) => (one as { path?: string }).path === 'sasl.mechanism')).toEqual([
      { message: PLAIN_TEXT, path: 'sasl.mechanism' },
    ])
    // Two producers have it: the instance's and the further one, which inherits it.
    expect(new Set(own).size).toBe(1)
    expect(own).toHaveLength(2)
    expect(told).toHaveLength(1 + own.length)
  })

  it('CL-6, 3.2: a further client that opens a door of its own tells it itself', async () => {
    const { logged, logger, told, listen } = heard()
    const mq = new MQ({ brokers: '127.0.0.1:1', logger })
    closers.push(() => mq.close())
    mq.on('warning', listen)
    mq.createProducer({ ssl: { insecureSkipVerify: true } })
    await new Promise((resolve) => setImmediate(resolve))
    expect(told).toEqual([{ message: SKIP_TEXT, path: 'ssl.insecureSkipVerify' }])
    expect(logged).toEqual([SKIP_TEXT])
  })

  it('CL-6, 3.2: admin clients and pools log them, unless somebody else has resolved the configuration', async () => {
    const { logged, logger } = heard()
    const admin = new AdminClient({ ...CARELESS, logger })
    const pool = createConnectionPool({ ...CARELESS, logger })
    closers.push(
      () => admin.close(),
      () => pool.close(),
    )
    expect(logged).toEqual([SKIP_TEXT, SKIP_TEXT])
    const again = new AdminClient(resolveConfig({ ...CARELESS, logger }))
    closers.push(() => again.close())
    expect(logged).toHaveLength(2)
  })

  it('PR-11: a change that is legal but unwise is told too, what was so before is not', () => {
    const { logged, logger, told, listen } = heard()
    const clock = new FakeClock()
    const config = { ...OPEN, logger, producer: { idempotence: false, maxInFlight: 1 } }
    const { producer: resolved } = resolveConfig(config) // As an instance does, which tells what concerns all.
    const producer = new Producer(resolved as ProducerConfig, { clock })
    closers.push(() => producer.close())
    producer.on('warning', listen)
    producer.updateConfig({ maxInFlight: 3 })
    producer.updateConfig({ lingerMs: 3 })
    clock.runDeferred()
    expect(logged).toHaveLength(1)
    expect(logged[0]).toMatch(/^maxInFlight: /)
    expect(told).toEqual([{ message: logged[0], path: 'maxInFlight' }])
  })
})
