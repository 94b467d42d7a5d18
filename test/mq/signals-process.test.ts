/** Closing on signals in real processes, while records flow. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Broker, createBroker, fault } from '../../lib/broker/index.js'

const SERVICE = fileURLToPath(new URL('./service.ts', import.meta.url))

interface Said {
  readonly what: string
  readonly accepted?: number
  readonly acknowledged?: number
}

async function start(timeoutMs: number) {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  for (const topic of ['in', 'orders']) broker.createTopic(topic, { partitions: 1 })
  const child = fork(SERVICE, [broker.bootstrap, String(timeoutMs)], { execArgv: ['--import', 'tsx'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const said: Said[] = []
  const ready = new Promise<void>((resolve) => {
    child.on('message', (message: Said) => {
      said.push(message)
      if (message.what === 'ready') resolve()
    })
  })
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  await ready
  return { broker, child, said, code }
}

const of = (said: readonly Said[], what: string) => said.filter((one) => one.what === what)
const countIn = async (broker: Broker) => (await broker.records('orders', 0)).length

describe('closeOnSignals, in a process', () => {
  it('FA-4: SIGTERM while records flow: all that was accepted is stored, the group is left, exit code 0', async () => {
    const { broker, child, said, code } = await start(20_000)
    child.kill('SIGTERM')
    expect(await code).toBe(0)
    const [exit] = of(said, 'exit')
    expect(exit?.accepted).toBeGreaterThan(0)
    expect([exit?.acknowledged, await countIn(broker)]).toEqual([exit?.accepted, exit?.accepted])
    expect(broker.group('service')?.members).toEqual([])
    expect(of(said, 'unhandled')).toEqual([])
  }, 60_000)

  it('FA-4: records that cannot be sent in time make it exit with 1', async () => {
    const { broker, child, said, code } = await start(200)
    broker.on({ api: 'Produce' }, fault.blackhole())
    await broker.saw({ api: 'Produce', count: broker.requests({ api: 'Produce' }).length + 1 })
    child.kill('SIGINT')
    expect(await code).toBe(1)
    expect(of(said, 'unhandled')).toEqual([])
  }, 60_000)

  it('FA-4: a second signal ends it at once, with 130', async () => {
    const { broker, child, code } = await start(60_000)
    broker.on({ api: 'Produce' }, fault.blackhole())
    await broker.saw({ api: 'Produce', count: broker.requests({ api: 'Produce' }).length + 1 })
    child.kill('SIGINT')
    await broker.saw({ api: 'LeaveGroup' }) // The first signal has arrived.
    child.kill('SIGTERM')
    expect(await code).toBe(130)
  }, 60_000)
})
