/**
 * Two findings of the group simulation about listeners that take their time. A partition that was lost while its
 * `revoked` listener still ran was told twice, as revoked and as lost, although it ends once. And a consumer that was
 * closed while its `assigned` listener ran kept a timer of up to `rebalanceTimeoutMs`, and the process with it. CO-5.
 */
import { describe, expect, it } from 'vitest'
import { deferred } from '../../lib/util/index.js'
import { bench } from '../consumer/support.js'

const on = bench()

describe.each(['classic', 'consumer'] as const)('%s', (groupProtocol) => {
  it('CO-5: what was told as revoked is not told as lost', async () => {
    const broker = await on.start({ config: { 'group.consumer.heartbeat.interval.ms': 20 } })
    broker.createTopic('t', { partitions: 2 })
    const config = { groupId: 'g', groupProtocol, heartbeatIntervalMs: 20 }
    const story: string[] = []
    const ending = deferred<void>()
    const first = on.consumer(config)
    await first.subscribe('t', () => {})
    const memberId = first.getMetrics().memberId
    const told = deferred<void>()
    first.on('revoked', ({ partitions }) => {
      story.push(`revoked ${partitions.length}`)
      told.resolve()
      return ending.promise
    })
    const losing = deferred<void>()
    first.on('lost', ({ partitions }) => {
      story.push(`lost ${partitions.length}`)
      losing.resolve()
    })
    const second = on.consumer(config)
    const joined = second.subscribe('t', () => {})
    await told.promise
    broker.fence('g', memberId)
    await losing.promise // The other partition.
    ending.resolve()
    await joined
    expect(story.slice(0, 2)).toEqual(['revoked 1', 'lost 1'])
  })

  it('CO-5: a listener that never ends does not keep a closed consumer alive', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    const consumer = on.consumer({ groupId: 'g', groupProtocol })
    const told = deferred<void>()
    consumer.on('assigned', () => {
      told.resolve()
      return new Promise<void>(() => {})
    })
    const before = timers()
    const subscribed = consumer.subscribe('t', () => {})
    subscribed.catch(() => {})
    await told.promise
    await consumer.close()
    await expect(subscribed).rejects.toMatchObject({ code: 'CONSUMER_CLOSED' })
    expect(timers() - before).toBeLessThanOrEqual(0)
  })
})

function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
}
