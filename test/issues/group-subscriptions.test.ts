/**
 * Subscriptions that changed faster than the group: what was unsubscribed and subscribed again within a round was never
 * read again, two calls of `unsubscribe` left the group before a running callback was committed, `unsubscribeAll` left
 * a waiting `subscribe` hanging until its time-out, and `close({ timeoutMs: 0 })` waited for callbacks. CO-1, CO-6, CO-17.
 */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import type { MQError } from '../../lib/errors/index.js'
import { deferred } from '../../lib/util/index.js'
import { bench, expected, Seen } from '../consumer/support.js'

const on = bench()

/** What happens at all happens within these turns of the event loop; for what must not happen. */
async function turns(count = 200): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** A callback that has begun and ends when the test says so. */
function holding() {
  const begun = deferred<void>()
  const end = deferred<void>()
  const callback = async () => {
    begun.resolve()
    await end.promise
  }
  return { callback, begun: begun.promise, end: () => end.resolve() }
}

describe.each(['classic', 'consumer'] as const)('%s', (groupProtocol) => {
  const config = { groupId: 'g', groupProtocol, heartbeatIntervalMs: 50 }

  it.each(['the only topic', 'one of two topics'])(
    'CO-6: %s, unsubscribed and subscribed in one breath, is read',
    async (which) => {
      const broker = await on.start()
      broker.createTopic('t', { partitions: 2 })
      broker.createTopic('other')
      const consumer = on.consumer(config)
      if (which !== 'the only topic') await consumer.subscribe('other', () => {})
      await consumer.subscribe('t', () => {})
      const seen = new Seen()
      await Promise.all([consumer.unsubscribe('t'), consumer.subscribe('t', seen.take)])
      await on.produceNumbers('t', 0, 0, 3)
      await seen.count(3)
      expect(seen.records).toEqual(expected('t', 0, 0, 3))
    },
  )

  it('CO-6: what a callback is busy with when its topic is unsubscribed and subscribed again is committed first', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    await on.produceNumbers('t', 0, 0, 3)
    const consumer = on.consumer(config)
    const { callback, begun, end } = holding()
    await consumer.subscribe('t', callback)
    await begun
    const seen = new Seen()
    const both = Promise.all([consumer.unsubscribe('t'), consumer.subscribe('t', seen.take)])
    await turns()
    end()
    await both
    await seen.count(2)
    expect(seen.of('t', 0)).toEqual(expected('t', 0, 1, 2))
  })

  it('CO-6, CO-9: two calls of unsubscribe at once leave when the last callback has ended and is committed', async () => {
    const broker = await on.start()
    broker.createTopic('a')
    broker.createTopic('b')
    await on.produceNumbers('b', 0, 0, 1)
    const consumer = on.consumer(config)
    const { callback, begun, end } = holding()
    const revoked: string[] = []
    consumer.on('revoked', ({ partitions }) => revoked.push(...partitions.map(({ topic }) => topic)))
    await consumer.subscribe('a', () => {})
    await consumer.subscribe('b', callback)
    await begun
    const both = Promise.all([consumer.unsubscribe('a'), consumer.unsubscribe('b')])
    await turns()
    expect(broker.group('g').members).toHaveLength(1)
    end()
    await both
    expect(broker.group('g').members).toHaveLength(0)
    expect(broker.group('g').offsets.filter(({ topic }) => topic === 'b')).toMatchObject([{ offset: 1 }])
    expect(revoked.sort()).toEqual(['a', 'b']) // Each once.
  })

  it('CO-1, CO-6: unsubscribeAll ends a subscribe that waits for its group', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    const api = groupProtocol === 'classic' ? 'JoinGroup' : 'ConsumerGroupHeartbeat'
    const loading = broker.on({ api }, fault.error(14))
    const consumer = on.consumer(config)
    const first = consumer
      .subscribe('t', () => {})
      .then(
        () => 'subscribed',
        ({ code }: MQError) => code,
      )
    await broker.hit(loading)
    const left = consumer.unsubscribeAll()
    loading.remove()
    expect(await first).toBe('CONSUMER_CLOSED')
    await left
    await consumer.subscribe('t', () => {})
    expect(consumer.assignment).toHaveLength(1)
  })

  it('CO-17: close with timeoutMs 0 does not wait for callbacks', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 1)
    const consumer = on.consumer(config)
    const { callback, begun, end } = holding()
    await consumer.subscribe('t', callback)
    await begun
    const startMs = performance.now()
    await consumer.close({ timeoutMs: 0 })
    expect(performance.now() - startMs).toBeLessThan(2_000) // It was 4 s: the share of a revocation.
    end()
  })

  it('CO-17: close with timeoutMs 0 ends the wait of a consumer that stopped while another callback hangs', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    await on.produceNumbers('t', 0, 0, 1)
    await on.produceNumbers('t', 1, 0, 1)
    const consumer = on.consumer({ ...config, concurrency: 2 })
    const { callback, begun, end } = holding()
    const stopping = deferred<boolean>()
    await consumer.subscribe('t', ({ partition }) => (partition === 1 ? callback() : stopping.promise))
    await begun
    stopping.resolve(false)
    await turns(3)
    expect(consumer.state).toBe('stopped')
    const startMs = performance.now()
    await consumer.close({ timeoutMs: 0 })
    expect(performance.now() - startMs).toBeLessThan(2_000) // It was closeTimeoutMs.
    end()
  })

  it('CO-10, CO-14: a partition that was lost and came back waits for what was begun before', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 2)
    const consumer = on.consumer({ ...config, concurrency: 2 })
    const first = holding()
    const log: string[] = []
    let calls = 0
    const seen = new Seen()
    await consumer.subscribe('t', async (record) => {
      log.push(`begin ${record.offset}`)
      if (calls++ === 0) await first.callback()
      log.push(`end ${record.offset}`)
      seen.take(record)
    })
    await first.begun
    const again = new Promise<void>((resolve) => consumer.on('assigned', () => resolve()))
    broker.fence('g', broker.group('g').members[0]?.memberId ?? '')
    await again
    await turns()
    expect(log).toEqual(['begin 0'])
    first.end()
    await seen.count(3)
    expect(log).toEqual(['begin 0', 'end 0', 'begin 0', 'end 0', 'begin 1', 'end 1'])
  })
})
