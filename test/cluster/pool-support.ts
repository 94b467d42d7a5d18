/** A connection pool in a network in memory, on a fake clock. */
import { ConnectionPool } from '../../lib/cluster/index.js'
import { type ClientConfig, resolveClientConfig } from '../../lib/config/index.js'
import { FakeClock, type RandomSource, seededRandom, silentLogger } from '../../lib/util/index.js'
import { MemoryNet } from './memory-net.js'
import { ScriptedBroker, type ScriptedState, scriptedState } from './scripted-broker.js'
import { atEnd } from './support.js'

export interface PoolScene {
  readonly clock: FakeClock
  readonly net: MemoryNet
  readonly state: ScriptedState
  /** By broker id - 1. */
  readonly brokers: ScriptedBroker[]
  readonly pool: ConnectionPool
}

/** Brokers 1..count; without `minIdle` nothing is opened that nobody asked for. */
export function poolScene(
  count = 1,
  pool: ClientConfig['pool'] = {},
  config: ClientConfig = {},
  random: RandomSource = seededRandom(7),
): PoolScene {
  const clock = new FakeClock()
  const net = new MemoryNet()
  const state = scriptedState()
  const brokers = Array.from({ length: count }, () => new ScriptedBroker(state))
  for (const [index, broker] of brokers.entries()) {
    state.brokers.push({ nodeId: index + 1, host: 'broker', port: net.listen(broker.accept) })
  }
  const resolved = resolveClientConfig({
    brokers: state.brokers.map(({ host, port }) => `${host}:${port}`),
    logger: silentLogger,
    ...config,
    pool: { minIdle: 0, maxIdle: Math.min(5, pool?.maxConnections ?? 5), healthCheckIntervalMs: 0, ...pool },
  })
  const made = new ConnectionPool(resolved, { clock, random, dial: net.dial })
  atEnd(() => made.close())
  return { clock, net, state, brokers, pool: made }
}
