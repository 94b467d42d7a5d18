/** A cluster under test in a network in memory, on a fake clock. */
import { afterEach, expect } from 'vitest'
import { Cluster, type ClusterEvents, type ClusterOptions } from '../../lib/cluster/index.js'
import { MQError } from '../../lib/errors/index.js'
import { FakeClock, type RandomSource, seededRandom } from '../../lib/util/index.js'
import { MemoryNet, settle } from './memory-net.js'
import { ScriptedBroker, type ScriptedState, scriptedState } from './scripted-broker.js'

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
export function atEnd(cleanup: () => Promise<void> | void): void {
  cleanups.push(cleanup)
}

export interface Scene {
  readonly clock: FakeClock
  readonly net: MemoryNet
  readonly state: ScriptedState
  /** By broker id - 1. */
  readonly brokers: ScriptedBroker[]
  readonly cluster: Cluster
  readonly events: { name: keyof ClusterEvents; event: unknown }[]
}

/** Brokers 1..count, a topic `orders` with three partitions led by 1, 2, 3 (or 1). */
export function scene(count = 1, options: Partial<ClusterOptions> = {}, random: RandomSource = seededRandom(7)): Scene {
  const clock = new FakeClock()
  const net = new MemoryNet()
  const state = scriptedState()
  const brokers = Array.from({ length: count }, () => new ScriptedBroker(state))
  for (const [index, broker] of brokers.entries()) {
    state.brokers.push({ nodeId: index + 1, host: 'broker', port: net.listen(broker.accept) })
  }
  state.topics.set('orders', {
    topicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
    partitions: [1, 2, 3].map((id) => ({ leaderId: Math.min(id, count), leaderEpoch: 5 })),
  })
  const cluster = new Cluster(
    { brokers: state.brokers.map(({ host, port }) => ({ host, port })), ...options },
    { clock, random, dial: net.dial },
  )
  const events: Scene['events'] = []
  for (const name of ['warning', 'error', 'brokerUp', 'brokerDown', 'clusterIdChanged'] as const) {
    cluster.events.on(name, (event) => events.push({ name, event }))
  }
  atEnd(() => cluster.close())
  return { clock, net, state, brokers, cluster, events }
}

/** Moves time in small steps and lets everything run in between. */
export async function pass(clock: FakeClock, ms: number, stepMs = 10): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) {
    clock.advance(Math.min(stepMs, left))
    await settle()
  }
}

/** Lets time pass until the promise is settled; fails when it is not after `limitMs`. */
export async function passUntil<T>(clock: FakeClock, promise: Promise<T>, limitMs = 60_000): Promise<T> {
  let isDone = false
  const done = promise.finally(() => {
    isDone = true
  })
  done.catch(() => {})
  for (let passed = 0; !isDone && passed < limitMs; passed += 10) await pass(clock, 10)
  if (!isDone) throw new Error(`not settled after ${limitMs} ms`)
  return done
}

/** The MQError a promise is rejected with. */
export async function failureOf(promise: Promise<unknown>): Promise<MQError> {
  const error = await promise.then(
    () => new Error('expected a rejection, it resolved'),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(MQError)
  return error as MQError
}
