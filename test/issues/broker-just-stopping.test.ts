/**
 * A broker (or a proxy before one) that takes connections and closes them at once, as it does while it stops, made
 * members of groups give up for good: closed on ApiVersions in version 4 and then in 0, it looked like one that is too old
 * to ever serve us. And one connection that fell back to version 0 told of no features, which KIP-848 members took for
 * "this cluster does not have it". Found by the group simulation. W-17, C-34.
 */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { bench, expected, Seen } from '../consumer/support.js'

const on = bench()

describe.each(['classic', 'consumer'] as const)('%s', (groupProtocol) => {
  it.each([1, 2, 3, 4, 5])('W-17: joins although connections are closed from number %i on, twice', async (nth) => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 3)
    broker.on({ api: 'ApiVersions', clientId: 'reader', nth, times: 2 }, fault.drop('before'))
    const seen = new Seen()
    const consumer = on.consumer({ groupId: 'g', groupProtocol })
    await consumer.subscribe('t', seen.take)
    await seen.count(3)
    expect(seen.records).toEqual(expected('t', 0, 0, 3))
    expect(consumer.state).toBe('open')
  })

  it('W-21: joins although the first connection has fallen back to ApiVersions 0, which tells of no features', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 3)
    // Every other connection: whichever the first is, it is asked again in version 0.
    for (let nth = 1; nth < 12; nth += 2)
      broker.on({ api: 'ApiVersions', clientId: 'reader', nth }, fault.drop('before'))
    const seen = new Seen()
    const consumer = on.consumer({ groupId: 'g', groupProtocol })
    await consumer.subscribe('t', seen.take)
    await seen.count(3)
    expect(consumer.state).toBe('open')
  })
})
