/**
 * The pool under any order of acquire, release, break, silence, age, abort and close.
 * What must hold after every step: no broker has more sockets of the pool than it may; created - closed = open; every
 * waiter is served once and in order; no socket is in two hands.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ConnectionPool, PooledConnection } from '../../lib/cluster/index.js'
import { MQError } from '../../lib/errors/index.js'
import { seededRandom } from '../../lib/util/index.js'
import { type MemoryTransport, settle } from './memory-net.js'
import { type PoolScene, poolScene } from './pool-support.js'
import { passUntil } from './support.js'

const LENDABLE = 3
const BROKERS = 2

type Step =
  | { readonly kind: 'acquire'; readonly brokerId: number | undefined; readonly timeoutMs: number }
  | { readonly kind: 'release' | 'ask' | 'abort' | 'break'; readonly which: number }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'down' | 'up'; readonly which: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('acquire' as const),
      brokerId: fc.constantFrom(undefined, undefined, 1, 2),
      timeoutMs: fc.constantFrom(0, 50, 5_000),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constantFrom('release' as const, 'ask' as const), which: fc.nat(9) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('abort' as const, 'break' as const), which: fc.nat(9) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.constantFrom(10, 300, 4_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('down' as const, 'up' as const), which: fc.nat(BROKERS - 1) }),
  },
)

interface Caller {
  readonly number: number
  readonly brokerId: number | undefined
  readonly stop: AbortController
  outcome: 'waiting' | 'served' | 'failed'
  times: number
}

class Run {
  readonly scene: PoolScene
  readonly pool: ConnectionPool
  readonly callers: Caller[] = []
  readonly held: PooledConnection[] = []
  readonly story: string[] = []

  constructor(seed: number) {
    this.scene = poolScene(
      BROKERS,
      {
        maxConnections: LENDABLE + 3,
        minIdle: 1,
        maxIdle: 2,
        connectionMaxIdleMs: 3_000,
        connectionMaxLifetimeMs: 9_000,
        healthCheckIntervalMs: 1_000,
        healthCheckTimeoutMs: 200,
      },
      { connection: { readTimeoutMs: 2_000, maxRetries: 1 } },
      seededRandom(seed),
    )
    this.pool = this.scene.pool
  }

  async take(one: Step): Promise<void> {
    this.story.push(JSON.stringify(one))
    if (one.kind === 'acquire') this.#acquire(one.brokerId, one.timeoutMs)
    else if (one.kind === 'advance') await this.#advance(one.ms)
    else if (one.kind === 'down') this.#down(one.which)
    else if (one.kind === 'up') this.#up(one.which)
    else this.#touch(one.kind, one.which)
    await settle()
    this.check()
  }

  #acquire(brokerId: number | undefined, timeoutMs: number): void {
    const stop = new AbortController()
    const caller: Caller = { number: this.callers.length, brokerId, stop, outcome: 'waiting', times: 0 }
    // Who waits already, wants the same and was not passed over: it must be served before this one.
    this.callers.push(caller)
    this.pool.getConnection({ brokerId, timeoutMs, signal: stop.signal }).then(
      (connection) => {
        const earlier = this.callers.filter(
          (other) => other.number < caller.number && other.outcome === 'waiting' && fits(other, connection.nodeId),
        )
        expect(
          earlier.map(({ number }) => number),
          this.tell(`caller ${caller.number} overtook`),
        ).toEqual([])
        caller.outcome = 'served'
        caller.times++
        this.held.push(connection)
      },
      () => {
        caller.outcome = 'failed'
        caller.times++
      },
    )
  }

  #touch(kind: 'release' | 'ask' | 'abort' | 'break', which: number): void {
    if (kind === 'abort') return this.callers[which % Math.max(1, this.callers.length)]?.stop.abort('enough')
    if (kind === 'break') return breakOne(this.scene.net.opened, which)
    const at = which % Math.max(1, this.held.length)
    const connection = this.held[at]
    if (connection === undefined) return
    if (kind === 'ask') void connection.request('Metadata', { topics: [] }).catch(() => {})
    else {
      this.held.splice(at, 1)
      connection.release()
      connection.release()
    }
  }

  async #advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      this.scene.clock.advance(Math.min(50, left))
      await settle()
    }
  }

  #down(which: number): void {
    const broker = this.scene.brokers[which]
    this.scene.net.refuse(this.scene.state.brokers[which]?.port as number)
    broker?.hangUp()
  }

  #up(which: number): void {
    const broker = this.scene.brokers[which] as PoolScene['brokers'][0]
    this.scene.net.listenAt(this.scene.state.brokers[which]?.port as number, broker.accept)
  }

  check(): void {
    const stats = this.pool.getStats()
    const open = stats.connectionsCreated - stats.connectionsClosed
    expect(open, this.tell('created - closed = open')).toBe(stats.totalConnections)
    expect(stats.activeConnections + stats.idleConnections, this.tell('active + idle')).toBe(stats.totalConnections)
    expect(stats.lendableConnections, this.tell('idle <= maxIdle')).toBeLessThanOrEqual(2)
    const openHeld = this.held.filter(({ isOpen }) => isOpen)
    expect(stats.lentConnections, this.tell('lent = held and open')).toBe(openHeld.length)
    expect(stats.waitingCallers, this.tell('waiting')).toBe(
      this.callers.filter(({ outcome }) => outcome === 'waiting').length,
    )
    for (const { nodeId, port } of this.scene.state.brokers) {
      const sockets = this.scene.net.opened.filter(({ isOpen, remote }) => isOpen && remote === `broker:${port}`)
      // The pool's cluster has one control connection, and perhaps one to find the cluster.
      expect(sockets.length, this.tell(`sockets of broker ${nodeId}`)).toBeLessThanOrEqual(LENDABLE + 2)
      const lent = openHeld.filter((connection) => connection.nodeId === nodeId)
      expect(lent.length, this.tell(`lent of broker ${nodeId}`)).toBeLessThanOrEqual(LENDABLE)
    }
  }

  tell(what: string): string {
    return `${what}\n${this.story.join('\n')}`
  }
}

function fits(caller: Caller, brokerId: number): boolean {
  return caller.brokerId === undefined || caller.brokerId === brokerId
}

function breakOne(opened: readonly MemoryTransport[], which: number): void {
  const open = opened.filter(({ isOpen }) => isOpen)
  open[which % Math.max(1, open.length)]?.destroy(new MQError('CONNECTION_FAILED', 'cut'))
}

describe('CL-2, CL-3: the pool under any order of events', () => {
  it('keeps its limits, its counts and the order of its callers, and leaves nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.array(step, { minLength: 5, maxLength: 60 }), async (seed, steps) => {
        const run = new Run(seed)
        for (const one of steps) await run.take(one)
        await run.pool.close()
        await settle()
        expect(run.callers.map(({ times }) => times)).toEqual(run.callers.map(() => 1))
        const { totalConnections, connectionsCreated, connectionsClosed } = run.pool.getStats()
        expect([totalConnections, connectionsCreated - connectionsClosed]).toEqual([0, 0])
        expect([run.scene.net.openConnections, run.scene.clock.pendingTimers], run.tell('left behind')).toEqual([0, 0])
      }),
      { numRuns: 60 },
    )
  }, 60_000)

  it('a caller who is served in the end gets a connection that works', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.array(step, { minLength: 5, maxLength: 30 }), async (seed, steps) => {
        const run = new Run(seed)
        for (const one of steps) await run.take(one)
        for (const connection of run.held.splice(0)) connection.release()
        for (const which of [0, 1]) await run.take({ kind: 'up', which })
        await run.take({ kind: 'advance', ms: 12_000 })
        for (const connection of run.held.splice(0)) connection.release()
        await settle()
        for (const brokerId of [1, 2]) {
          const connection = await passUntil(run.scene.clock, run.pool.getConnection({ brokerId }))
          expect((await connection.request('Metadata', { topics: [] })).clusterId).toBe('cluster-a')
          connection.release()
        }
        await run.pool.close()
      }),
      { numRuns: 25 },
    )
  }, 60_000)
})
