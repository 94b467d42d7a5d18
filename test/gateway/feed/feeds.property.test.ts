/** Whatever clients, logs and readers do: each client gets exactly its records, in order, and is told what is missing. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import { Feeds } from '../../../lib/gateway/feed/feeds.js'
import type { SlowClient } from '../../../lib/gateway/feed/types.js'
import { wireOf } from '../../../lib/gateway/frames/wire.js'
import type { FeedRecord, StartAt } from '../../../lib/gateway/types.js'
import { FakeClock, type RandomSource, randomInt, seededRandom } from '../../../lib/util/index.js'
import { FakeBackend } from './fake-backend.js'
import { FakeClient, type Gap, type Got } from './fake-client.js'

const PARTITIONS = 2
const KEYS = ['ann', 'bob', 'cy', 'dee']
const MAX_CATCH_UPS = 2
const STEPS = 200

interface Member {
  readonly client: FakeClient
  readonly key: string | undefined
  readonly starts: ReadonlyMap<number, number>
  isGone: boolean
}

class World {
  readonly clock = new FakeClock()
  readonly random: RandomSource
  readonly backend: FakeBackend
  readonly feeds: Feeds
  readonly slowClient: SlowClient
  readonly cacheBytes: number
  /** Every record that ever was, by partition and offset. */
  readonly written: FeedRecord[][] = Array.from({ length: PARTITIONS }, () => [])
  readonly members: Member[] = []
  readonly past: { partition: number; next: number }[] = []

  constructor(seed: number, slowClient: SlowClient) {
    this.random = seededRandom(seed)
    this.slowClient = slowClient
    this.cacheBytes = [0, 20_000, 200_000, 10_000_000][this.below(4)] as number
    this.backend = new FakeBackend(this.clock)
    this.backend.batchRecords = () => 1 + this.below(60)
    this.backend.topic('t', PARTITIONS)
    const options = { cacheBytes: this.cacheBytes, maxCatchUps: MAX_CATCH_UPS, slowClient }
    this.feeds = new Feeds(this.backend, options, this.clock, this.random)
  }

  below(bound: number): number {
    return randomInt(this.random, bound)
  }

  async settle(turns = 12): Promise<void> {
    for (let turn = 0; turn < turns; turn++) {
      this.clock.turn()
      for (let hop = 0; hop < 12; hop++) await Promise.resolve()
    }
    const { cachedBytes, catchUps } = this.feeds.measures()
    expect(cachedBytes).toBeLessThanOrEqual(this.cacheBytes)
    expect(catchUps).toBeLessThanOrEqual(MAX_CATCH_UPS)
    expect(this.backend.mostOpen).toBeLessThanOrEqual(PARTITIONS + MAX_CATCH_UPS)
  }

  produce(): void {
    const partition = this.below(PARTITIONS)
    const log = this.backend.log('t', partition)
    const wide = this.below(20) === 0
    for (let left = 1 + this.below(80); left > 0; left--) {
      if (this.below(9) === 0) log.hole()
      const key = this.below(5) === 0 ? null : (KEYS[this.below(KEYS.length)] as string)
      const value = `${partition}@${log.next}${'x'.repeat(this.below(wide ? 30_000 : 200))}`
      ;(this.written[partition] as FeedRecord[]).push(log.append(key, value))
    }
    this.backend.wake('t', partition)
  }

  async join(): Promise<void> {
    const key = this.below(2) === 0 ? (KEYS[this.below(KEYS.length)] as string) : undefined
    const room = this.below(2) === 0 ? Number.POSITIVE_INFINITY : 2_000 + this.below(40_000)
    const client = new FakeClient(room, wireOf(this.below(2) === 0 ? 'tcp' : 'websocket', 'json'))
    client.reader = this.feeds.reader(client)
    const subscribed = client.reader.subscribe(['t'], key === undefined ? undefined : Buffer.from(key), this.startAt())
    subscribed.catch(() => {}) // Judged below: it may be looked for while the world goes on.
    for (let tries = 0; tries < 3; tries++) await this.settle(1)
    try {
      const starts = (await subscribed).get('t') as ReadonlyMap<number, number>
      this.members.push({ client, key, starts, isGone: false })
    } catch (error) {
      if (!(error instanceof MQError) || !error.is('TIMEOUT')) throw error
    }
  }

  startAt(): StartAt {
    const kind = this.below(4)
    if (kind === 0) return 'latest'
    if (kind === 1) return 'earliest'
    const offsets = new Map<number, number>()
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { next } = this.backend.log('t', partition)
      if (this.below(3) > 0)
        offsets.set(partition, kind === 2 ? Math.max(0, next - this.below(40)) : this.below(next + 1))
    }
    return new Map([['t', offsets]])
  }

  async step(): Promise<void> {
    const what = this.below(20)
    const member = this.members[this.below(Math.max(1, this.members.length))]
    if (what < 8) this.produce()
    else if (what < 10 && this.members.filter(({ isGone }) => !isGone).length < 12) await this.join()
    else if (what < 11 && member !== undefined) {
      member.isGone = true
      member.client.reader.close()
    } else if (what < 15) for (const { client } of this.members) if (this.below(2) === 0) client.drain()
    if (what === 15) this.failOne()
    if (what === 16) {
      const log = this.backend.log('t', this.below(PARTITIONS))
      if (this.below(4) === 0) log.deleteBefore(log.earliest + this.below(log.next - log.earliest + 1))
    }
    if (what === 17) this.clock.advance(this.below(3_000))
    if (what === 18) this.backend.refuses = this.below(3) === 0 ? new MQError('TIMEOUT', 'nobody answers', {}) : null
    await this.settle(this.below(6))
  }

  failOne(): void {
    const feeds = [...this.backend.feeds]
    const feed = feeds[this.below(Math.max(1, feeds.length))]
    feed?.fail(new MQError('CONNECTION_FAILED', 'the reader broke', {}))
  }

  /** Everybody reads everything. */
  async finish(): Promise<void> {
    this.backend.refuses = null
    for (let round = 0; round < 3_000; round++) {
      const before = this.members.reduce((sum, { client }) => sum + client.log.length, 0)
      for (const { client } of this.members) client.drain()
      this.clock.advance(500)
      await this.settle(4)
      const after = this.members.reduce((sum, { client }) => sum + client.log.length, 0)
      if (round > 30 && before === after && this.feeds.measures().catchUps === 0) return
    }
    throw new Error('clients did not get to the end')
  }

  check({ client, key, starts, isGone }: Member): void {
    expect(client.wrongs).toEqual([])
    expect(client.failures).toEqual([])
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const told = client.log.filter((one) => one.partition === partition)
      const gaps = told.filter((one): one is Gap => 'reason' in one)
      const offsets = told.filter((one): one is Got => 'offset' in one).map(({ offset }) => offset)
      const places = told.flatMap((one) => ('offset' in one ? [one.offset] : [one.from, one.to]))
      expect(places, 'ascending, gaps included').toEqual([...places].sort((a, b) => a - b))
      expect(new Set(offsets).size, 'none twice').toBe(offsets.length)
      const inGap = (offset: number) => gaps.some(({ from, to }) => offset >= from && offset <= to)
      const { earliest } = this.backend.log('t', partition)
      for (const { from, to, reason } of gaps) {
        expect(to).toBeGreaterThanOrEqual(from)
        if (reason === 'deleted') expect(to, 'only what is gone is told to be').toBeLessThan(earliest)
        else expect(this.slowClient).toBe('drop')
      }
      const from = starts.get(partition) as number
      const wanted = (this.written[partition] as FeedRecord[]).filter(
        (record) => record.offset >= from && (key === undefined || String(record.key) === key),
      )
      const missing = wanted.filter(({ offset }) => !offsets.includes(offset) && !inGap(offset))
      // Who left has a beginning of it.
      const end = isGone ? (places[places.length - 1] ?? -1) : Number.POSITIVE_INFINITY
      expect(missing.filter(({ offset }) => offset <= end).map(({ offset }) => offset)).toEqual([])
      const own = new Set(wanted.map(({ offset }) => offset))
      expect(
        offsets.filter((offset) => !own.has(offset)),
        'nothing else',
      ).toEqual([])
      for (const one of told) {
        if ('offset' in one) expect(one.value?.startsWith(`${partition}@${one.offset}`)).toBe(true)
      }
    }
  }
}

async function live(seed: number, slowClient: SlowClient): Promise<void> {
  const world = new World(seed, slowClient)
  try {
    for (let step = 0; step < STEPS; step++) await world.step()
    await world.finish()
    for (const member of world.members) world.check(member)
    await world.feeds.close()
    expect(world.backend.feeds.size).toBe(0)
    expect(world.clock.pendingTimers).toBe(0)
  } catch (error) {
    throw new Error(`seed ${seed}, slowClient ${slowClient}: ${(error as Error).message}`, { cause: error })
  }
}

describe('feeds, whatever happens', () => {
  const first = Number(process.env.SEED ?? 1)
  const seeds = process.env.SEED === undefined ? 10 : 1

  it.each(['pause', 'drop'] as const)(
    'GW-1 GW-3: each client gets its records once, in order (slowClient %s)',
    async (slowClient) => {
      for (let seed = first; seed < first + seeds; seed++) await live(seed, slowClient)
    },
    120_000,
  )
})
