/** Feeds by themselves, on a log of arrays and a clock that stands still: one claim per test. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import { Feeds } from '../../../lib/gateway/feed/feeds.js'
import type { FeedsOptions } from '../../../lib/gateway/feed/types.js'
import { wireOf } from '../../../lib/gateway/frames/wire.js'
import type { StartAt } from '../../../lib/gateway/types.js'
import { FakeClock, seededRandom } from '../../../lib/util/index.js'
import { FakeBackend } from './fake-backend.js'
import { FakeClient } from './fake-client.js'

const MIB = 1024 * 1024

class Stage {
  readonly clock = new FakeClock()
  readonly backend = new FakeBackend(this.clock)
  readonly feeds: Feeds

  constructor(options: Partial<FeedsOptions> = {}, partitions = 1) {
    this.backend.topic('t', partitions)
    const all = { cacheBytes: 64 * MIB, maxCatchUps: 16, slowClient: 'pause' as const, ...options }
    this.feeds = new Feeds(this.backend, all, this.clock, seededRandom(1))
  }

  client(roomBytes?: number): FakeClient {
    const client = new FakeClient(roomBytes)
    client.reader = this.feeds.reader(client)
    return client
  }

  async join(from: StartAt = 'latest', key?: string, client = this.client()): Promise<FakeClient> {
    await client.reader.subscribe(['t'], key === undefined ? undefined : Buffer.from(key), from)
    await this.settle()
    return client
  }

  async produce(count: number, key: (index: number) => string | null = () => null, partition = 0): Promise<void> {
    this.backend.produce('t', partition, count, key)
    await this.settle()
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 60; turn++) {
      this.clock.turn()
      for (let hop = 0; hop < 10; hop++) await Promise.resolve()
    }
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms)
    await this.settle()
  }

  fail(error = new MQError('CONNECTION_FAILED', 'it broke', {})): void {
    for (const feed of [...this.backend.feeds]) feed.fail(error)
  }
}

function at(offset: number): StartAt {
  return new Map([['t', new Map([[0, offset]])]])
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

describe('subscribing', () => {
  it('GW-1: tells the next offset of each partition, and records come from there', async () => {
    const stage = new Stage({}, 2)
    await stage.produce(7)
    const client = stage.client()
    const offsets = await client.reader.subscribe(['t'], undefined, 'latest')
    expect(offsets).toEqual(
      new Map([
        [
          't',
          new Map([
            [0, 7],
            [1, 0],
          ]),
        ],
      ]),
    )
    expect(client.reader.topics).toBe(1)
    await stage.produce(3)
    expect(client.offsets).toEqual([7, 8, 9])
    const early = await stage.join('earliest')
    expect(early.offsets).toEqual(range(0, 10))
  })

  it('GW-1: nothing of a call is subscribed when one of its topics is not there', async () => {
    const stage = new Stage()
    const client = stage.client()
    const call = client.reader.subscribe(['t', 'none'], undefined, 'latest')
    await expect(call).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' })
    expect(client.reader.topics).toBe(0)
    await stage.produce(3)
    expect(client.log).toEqual([])
    await stage.pass(11_000)
    expect(stage.feeds.measures().feeds, 'and what was opened for it is closed').toBe(0)
    expect(stage.clock.pendingTimers).toBe(0)
  })

  it('GW-1: an offset beyond the end is INVALID_OFFSET with both numbers; the end itself is not', async () => {
    const stage = new Stage()
    await stage.produce(5)
    const client = stage.client()
    const call = client.reader.subscribe(['t'], undefined, at(6))
    await expect(call).rejects.toMatchObject({
      code: 'INVALID_OFFSET',
      message: expect.stringMatching(/offset 6 .* 5/),
    })
    const none = client.reader.subscribe(['t'], undefined, new Map([['t', new Map([[4, 0]])]]))
    await expect(none).rejects.toMatchObject({ code: 'PARTITION_NOT_FOUND' })
    await stage.join(at(5), undefined, client)
    await stage.produce(1)
    expect(client.offsets).toEqual([5])
  })

  it.each([20, 12])(
    'GW-1: what was deleted before a place is told as a gap, also of a log that has %i records',
    async (next) => {
      const stage = new Stage()
      await stage.produce(next)
      stage.backend.log('t', 0).deleteBefore(12)
      const client = stage.client()
      expect(await client.reader.subscribe(['t'], undefined, at(3))).toEqual(new Map([['t', new Map([[0, 12]])]]))
      await stage.settle()
      expect(client.gaps).toEqual([{ topic: 't', partition: 0, from: 3, to: 11, reason: 'deleted' }])
      expect(client.offsets).toEqual(range(12, next))
      expect(client.log[0]).toEqual(client.gaps[0])
    },
  )

  it('GW-1: offsets that compaction and transactions leave out are no gap, wherever they are', async () => {
    const stage = new Stage()
    const log = stage.backend.log('t', 0)
    const hole = (count: number) => {
      for (let left = count; left > 0; left--) log.hole()
    }
    hole(5)
    await stage.produce(2)
    hole(5)
    const live = await stage.join()
    hole(3)
    await stage.produce(2)
    const client = await stage.join('earliest')
    const within = await stage.join(at(8))
    expect(client.offsets).toEqual([5, 6, 15, 16])
    expect(within.offsets).toEqual([15, 16])
    expect(live.offsets).toEqual([15, 16])
    expect([...client.gaps, ...within.gaps, ...live.gaps]).toEqual([])
  })

  it('GW-1: a topic that is subscribed keeps its place, unless offsets are given for it', async () => {
    const stage = new Stage()
    const client = await stage.join()
    await stage.produce(5)
    await stage.join('earliest', undefined, client)
    await stage.join('latest', undefined, client)
    expect(client.offsets).toEqual(range(0, 5))
    await stage.join(at(3), undefined, client)
    expect(client.offsets).toEqual([...range(0, 5), 3, 4])
    expect(client.reader.topics).toBe(1)
  })

  it('GW-1: what is unsubscribed, or closed, while it is being looked up is not subscribed', async () => {
    const stage = new Stage()
    const client = stage.client()
    const call = client.reader.subscribe(['t'], undefined, 'latest')
    expect(client.reader.topics).toBe(1)
    expect(client.reader.unsubscribe(['t'], undefined)).toBe(0)
    expect(await call).toEqual(new Map())
    const cut = client.reader.subscribe(['t'], undefined, 'latest')
    client.reader.close()
    await expect(cut).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' })
    await expect(client.reader.subscribe(['t'], undefined, 'latest')).rejects.toMatchObject({
      code: 'CONNECTION_CLOSED',
    })
    await stage.produce(3)
    expect(client.log).toEqual([])
  })
})

describe('keys', () => {
  it('GW-1: a key subscription gets its records only, several add up, and a topic without a key gets all', async () => {
    const stage = new Stage()
    const client = await stage.join('latest', 'ann')
    const key = (index: number) => ['ann', 'bob', null, 'ann'][index % 4] as string | null
    await stage.produce(4, key)
    expect(client.offsets).toEqual([0, 3])
    await stage.join('latest', 'bob', client)
    await stage.produce(4, key)
    expect(client.offsets).toEqual([0, 3, 4, 5, 7])
    expect(client.reader.unsubscribe(['t'], Buffer.from('ann'))).toBe(1)
    await stage.produce(4, key)
    expect(client.offsets.slice(5)).toEqual([9])
    await stage.join('latest', undefined, client)
    await stage.produce(4, key)
    expect(client.offsets.slice(6)).toEqual([12, 13, 14, 15])
    expect(client.reader.unsubscribe(['t'], Buffer.from('bob')), 'it is not subscribed by key any more').toBe(1)
    expect(client.reader.unsubscribe([], undefined)).toBe(0)
    await stage.produce(4, key)
    expect(client.records).toHaveLength(10)
  })

  it('GW-1: keys are bytes: those that are no text differ as well', async () => {
    const stage = new Stage()
    const client = stage.client()
    await client.reader.subscribe(['t'], Buffer.from([0xff]), 'latest')
    const log = stage.backend.log('t', 0)
    for (const bytes of [[0xff], [0xfe], [0xef, 0xbf, 0xbd], [0xff]]) {
      log.records.push({ ...log.append('x'), key: Buffer.from(bytes) })
      log.records.splice(-2, 1)
    }
    stage.backend.wake('t', 0)
    await stage.settle()
    expect(client.offsets).toEqual([0, 3])
  })

  it('GW-1: who follows another key is not served at all, and yet has moved on', async () => {
    const stage = new Stage({ cacheBytes: 10_000 })
    const quiet = await stage.join('latest', 'quiet')
    const busy = await stage.join('latest', 'busy')
    await stage.produce(5_000, () => 'busy')
    expect(busy.records).toHaveLength(5_000)
    expect(quiet.sends).toBe(0)
    const { length } = stage.backend.opened
    await stage.produce(1, () => 'quiet')
    expect(quiet.offsets).toEqual([5_000])
    expect(stage.backend.opened.slice(length), 'it had no need to read what was none of its').toEqual([])
  })
})

describe('blocks', () => {
  it('GW-1: clients of one wire are sent the same bytes, one write per block', async () => {
    const stage = new Stage()
    const sent: Buffer[][] = []
    for (const wire of [wireOf('tcp', 'json'), wireOf('tcp', 'json'), wireOf('websocket', 'protobuf')]) {
      const got: Buffer[] = []
      sent.push(got)
      const reader = stage.feeds.reader({
        wire,
        isWritable: true,
        sendFrames: (bytes) => void got.push(bytes),
        gap: () => {},
        failed: () => {},
        tooSlow: () => {},
      })
      await reader.subscribe(['t'], undefined, 'latest')
    }
    await stage.produce(50)
    expect(sent.map(({ length }) => length)).toEqual([1, 1, 1])
    expect(sent[0]?.[0]).toBe(sent[1]?.[0])
    expect(sent[2]?.[0]).not.toBe(sent[0]?.[0])
  })

  it('GW-1: what came record by record is read again in few writes', async () => {
    const stage = new Stage()
    const live = await stage.join()
    for (let count = 0; count < 300; count++) {
      stage.backend.produce('t', 0, 1)
      for (let turn = 0; turn < 3; turn++) stage.clock.turn()
    }
    expect(live.sends).toBe(300)
    const back = await stage.join(at(0))
    expect(back.offsets).toEqual(range(0, 300))
    expect(back.sends).toBeLessThan(15)
    expect(stage.backend.opened).toHaveLength(1)
  })

  it('GW-3: the cache holds what it may, whatever is made of its blocks', async () => {
    const cacheBytes = 100_000
    const stage = new Stage({ cacheBytes })
    await stage.join()
    await stage.join('latest', 'k1')
    for (let round = 0; round < 30; round++) {
      await stage.produce(200, (index) => `k${index}`)
      const { cachedBytes } = stage.feeds.measures()
      expect(cachedBytes).toBeLessThanOrEqual(cacheBytes)
      expect(cachedBytes).toBeGreaterThan(0)
    }
  })

  it('GW-3: a feed is paused while its clients have not been offered what arrived', async () => {
    const stage = new Stage()
    const values = 'x'.repeat(100_000)
    for (let count = 0; count < 1_000; count++) stage.backend.log('t', 0).append(null, values)
    stage.backend.batchRecords = () => 5
    const client = stage.client()
    await client.reader.subscribe(['t'], undefined, 'latest')
    for (let count = 0; count < 1_000; count++) stage.backend.log('t', 0).append(null, values)
    stage.backend.wake('t', 0)
    let most = 0
    client.onSend = () => {
      most = Math.max(most, stage.backend.delivered - client.records.length)
    }
    await stage.settle()
    for (let count = 0; count < 20; count++) await stage.settle()
    expect(client.records).toHaveLength(1_000)
    expect(most * 100_000, 'about 1 MiB and a batch, and what a round sends').toBeLessThan(4 * MIB)
  })
})

describe('slow clients', () => {
  it('GW-3: pause: who is full is sent nothing, and goes on where it stood when it is drained', async () => {
    const stage = new Stage()
    const slow = await stage.join('latest', undefined, stage.client(1))
    const fast = await stage.join()
    await stage.produce(10)
    await stage.produce(10)
    expect(slow.offsets).toEqual(range(0, 10))
    expect(fast.offsets).toEqual(range(0, 20))
    slow.drain()
    await stage.settle()
    expect(slow.offsets).toEqual(range(0, 20))
    expect(slow.wrongs).toEqual([])
  })

  it('GW-3: pause: who is behind the cache is read for anew, then goes on from it, without a seam', async () => {
    const stage = new Stage({ cacheBytes: 30_000 })
    const slow = await stage.join('latest', undefined, stage.client(1))
    await stage.produce(10)
    for (let round = 0; round < 20; round++) await stage.produce(100)
    const { length } = stage.backend.opened
    for (let round = 0; round < 60; round++) {
      slow.drain()
      await stage.settle()
    }
    expect(slow.offsets).toEqual(range(0, 2_010))
    expect(stage.backend.opened.length).toBeGreaterThan(length)
    expect(stage.feeds.measures().catchUps).toBe(0)
  })

  it('GW-3: drop: who was live and is full misses what comes, is told, and it is counted', async () => {
    const stage = new Stage({ slowClient: 'drop' })
    const slow = await stage.join('latest', undefined, stage.client(1))
    const keyed = await stage.join('latest', 'k1', stage.client(1))
    await stage.produce(4, (index) => `k${index}`)
    await stage.produce(4, (index) => `k${index}`)
    await stage.produce(4, (index) => `k${index}`)
    expect(slow.offsets).toEqual([0, 1, 2, 3])
    expect(stage.feeds.measures().droppedRecords).toBe(8 + 2)
    slow.drain()
    keyed.drain()
    await stage.settle()
    expect(slow.gaps).toEqual([{ topic: 't', partition: 0, from: 4, to: 11, reason: 'dropped' }])
    await stage.produce(1)
    expect(slow.offsets).toEqual([0, 1, 2, 3, 12])
    expect(keyed.offsets).toEqual([1])
    expect(keyed.gaps).toHaveLength(1)
    expect(keyed.gaps[0]?.from).toBeLessThanOrEqual(5)
    expect(keyed.gaps[0]?.to).toBeGreaterThanOrEqual(9)
  })

  it.each(['drop', 'disconnect'] as const)(
    'GW-3: %s: who still reads the past is not slow, but given it as it takes it',
    async (slowClient) => {
      const stage = new Stage({ slowClient })
      await stage.produce(2_000)
      const client = await stage.join('earliest', undefined, stage.client(1))
      for (let round = 0; round < 30; round++) {
        client.drain()
        await stage.settle()
      }
      expect(client.offsets).toEqual(range(0, 2_000))
      expect(client.gaps).toEqual([])
      expect(client.slow).toBe(0)
    },
  )

  it('GW-3: disconnect: it is told once, and sent nothing more', async () => {
    const stage = new Stage({ slowClient: 'disconnect' }, 2)
    const slow = await stage.join('latest', undefined, stage.client(1))
    for (let round = 0; round < 5; round++) {
      await stage.produce(4)
      await stage.produce(4, undefined, 1)
    }
    expect(slow.slow).toBe(1)
    const { length } = slow.log
    slow.drain()
    await stage.settle()
    expect(slow.log).toHaveLength(length)
  })

  it('GW-3: places of catch-ups are given in turn: neither the full nor the hungry keep one from those who wait', async () => {
    const stage = new Stage({ cacheBytes: 10_000, maxCatchUps: 2 }, 1)
    await stage.produce(200_000)
    await stage.join()
    const full = await Promise.all(range(0, 4).map((n) => stage.join(at(n * 30_000), undefined, stage.client(1))))
    expect(stage.feeds.measures().catchUps).toBeLessThanOrEqual(2)
    const reads = stage.client(1)
    await stage.join(at(180_000), undefined, reads)
    const seen = [...full, reads]
    for (let round = 0; round < 60 && seen.some(({ sends }) => sends < 2); round++) {
      for (const client of seen) client.drain()
      await stage.pass(500)
      expect(stage.feeds.measures().catchUps).toBeLessThanOrEqual(2)
    }
    for (const { sends } of seen) expect(sends).toBeGreaterThanOrEqual(2)
  })

  it('GW-3: clients that are behind at about the same place share a reader', async () => {
    const stage = new Stage()
    await stage.produce(5_000)
    await stage.join()
    const { length } = stage.backend.opened
    const clients = range(0, 50).map(() => stage.client())
    await Promise.all(clients.map((client, index) => client.reader.subscribe(['t'], undefined, at(index * 10))))
    for (let count = 0; count < 10; count++) await stage.settle()
    for (const [index, client] of clients.entries()) expect(client.offsets).toEqual(range(index * 10, 5_000))
    expect(stage.backend.opened.length - length).toBeLessThanOrEqual(3)
  })

  it('GW-3: a turn of the event loop serves a bounded number of clients, the next ones the others', async () => {
    const stage = new Stage()
    const clients = range(0, 5_000).map(() => stage.client())
    await Promise.all(clients.map(({ reader }) => reader.subscribe(['t'], undefined, 'latest')))
    await stage.settle()
    stage.backend.produce('t', 0, 1)
    const served = () => clients.filter(({ sends }) => sends > 0).length
    const most: number[] = []
    for (let turn = 0, before = 0; turn < 10; turn++) {
      stage.clock.turn()
      most.push(served() - before)
      before = served()
    }
    expect(Math.max(...most)).toBeLessThanOrEqual(2_048)
    expect(served()).toBe(5_000)
    expect(clients.every(({ sends }) => sends === 1)).toBe(true)
  })
})

describe('lifetimes', () => {
  it('GW-1: a feed outlives its last subscriber for a while, and who comes back goes on from the cache', async () => {
    const stage = new Stage()
    const client = await stage.join()
    await stage.produce(3)
    client.reader.close()
    await stage.produce(3)
    await stage.pass(5_000)
    const back = await stage.join(at(3))
    expect(back.offsets).toEqual([3, 4, 5])
    expect(stage.backend.opened).toHaveLength(1)
    back.reader.close()
    await stage.pass(9_000)
    expect(stage.feeds.measures().feeds).toBe(1)
    await stage.pass(2_000)
    expect(stage.feeds.measures()).toMatchObject({ feeds: 0, cachedBytes: 0 })
    expect(stage.backend.feeds.size).toBe(0)
    expect(stage.clock.pendingTimers).toBe(0)
  })

  it('GW-1: partitions that a topic gets later join, from their beginning', async () => {
    const stage = new Stage()
    const client = await stage.join()
    const keyed = await stage.join('latest', 'a')
    stage.backend.topic('t', 2)
    await stage.produce(4, (index) => (index === 2 ? 'a' : 'b'), 1)
    await stage.pass(31_000)
    expect(client.records.map(({ partition, offset }) => [partition, offset])).toEqual([
      [1, 0],
      [1, 1],
      [1, 2],
      [1, 3],
    ])
    expect(keyed.offsets).toEqual([2])
  })

  it('GW-1: who names a partition before the topic was looked at again has it at once, and the others too', async () => {
    const stage = new Stage()
    const client = await stage.join()
    stage.backend.topic('t', 2)
    await stage.produce(4, undefined, 1)
    const offsets: StartAt = new Map([['t', new Map([[1, 2]])]])
    const early = await stage.join(offsets)
    expect(early.offsets).toEqual([2, 3])
    expect(client.offsets, 'from its beginning').toEqual([0, 1, 2, 3])
  })

  it('GW-1: a reader that breaks is opened again where it stood, after a wait', async () => {
    const stage = new Stage()
    const client = await stage.join()
    await stage.produce(3)
    stage.fail()
    await stage.produce(3)
    expect(client.offsets).toEqual([0, 1, 2])
    stage.backend.refuses = new MQError('TIMEOUT', 'nobody is there', {})
    await stage.pass(60_000)
    expect(client.failures).toEqual([])
    stage.backend.refuses = null
    await stage.pass(60_000)
    expect(client.offsets).toEqual(range(0, 6))
  })

  it('GW-1: what was deleted while a reader was broken is told, by key too', async () => {
    const stage = new Stage()
    const client = await stage.join()
    const keyed = await stage.join('latest', 'a')
    await stage.produce(3, () => 'b')
    stage.fail()
    await stage.produce(7, () => 'b')
    stage.backend.log('t', 0).deleteBefore(8)
    await stage.pass(1_000)
    const gap = { topic: 't', partition: 0, from: 3, to: 7, reason: 'deleted' }
    expect(client.gaps).toEqual([gap])
    expect(client.offsets).toEqual([0, 1, 2, 8, 9])
    expect(keyed.log).toEqual([gap])
  })

  it.each(['TOPIC_NOT_FOUND', 'AUTHORIZATION_FAILED'] as const)(
    'GW-1: %s ends the subscription and tells its clients',
    async (code) => {
      const stage = new Stage()
      const client = await stage.join()
      const other = await stage.join('earliest')
      stage.fail(new MQError(code, 'no', {}))
      await stage.settle()
      expect(client.failures).toMatchObject([{ topic: 't', error: { code } }])
      expect(other.failures).toHaveLength(1)
      expect(client.reader.topics).toBe(0)
      expect(stage.backend.feeds.size).toBe(0)
      await stage.join('earliest', undefined, client)
      await stage.produce(2)
      expect(client.offsets).toEqual([0, 1])
    },
  )

  it('GW-1: a topic that is gone when it is looked at ends its subscriptions', async () => {
    const stage = new Stage()
    const client = await stage.join()
    stage.backend.partitions.delete('t')
    await stage.pass(31_000)
    expect(client.failures).toMatchObject([{ topic: 't', error: { code: 'TOPIC_NOT_FOUND' } }])
    expect(stage.clock.pendingTimers).toBe(0)
  })

  it('GW-1: a log that is shorter than what was read is another one: its subscriptions end', async () => {
    const stage = new Stage()
    const client = await stage.join()
    await stage.produce(10)
    stage.fail()
    stage.backend.logs.clear()
    await stage.produce(4)
    await stage.pass(1_000)
    expect(client.failures).toMatchObject([{ error: { code: 'INVALID_OFFSET' } }])
    expect(client.offsets).toEqual(range(0, 10))
  })

  it('GW-1: close ends everything, and what is asked then is refused', async () => {
    const stage = new Stage()
    const client = await stage.join('earliest')
    const call = stage.client().reader.subscribe(['t'], undefined, 'latest')
    await stage.feeds.close()
    await expect(call).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' })
    await stage.produce(3)
    expect(client.log).toEqual([])
    expect(stage.backend.feeds.size).toBe(0)
    expect(stage.clock.pendingTimers).toBe(0)
    await expect(client.reader.subscribe(['t'], undefined, 'latest')).rejects.toMatchObject({
      code: 'CONNECTION_CLOSED',
    })
  })
})
