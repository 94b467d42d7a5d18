/** Kafka's own topics are nobody's by a general rule. */
import { describe, expect, it } from 'vitest'
import { Permissions } from '../../lib/gateway/permissions.js'

describe('GW-4: topics of Kafka itself', () => {
  it.each([
    ['*', '__consumer_offsets', false],
    ['*', '_private', true],
    ['_*', '__consumer_offsets', false],
    ['__*', '__consumer_offsets', true],
    ['__consumer*', '__consumer_offsets', true],
    ['__consumer_offsets', '__consumer_offsets', true],
    ['__consumer_offsets', '__transaction_state', false],
    ['*', 'orders', true],
  ])('the rule %s lets %s: %s', (rule, topic, allowed) => {
    const permissions = new Permissions({ name: 'ann', publish: [rule], subscribe: [rule] })
    expect([permissions.mayPublish(topic), permissions.maySubscribe(topic)]).toEqual([allowed, allowed])
  })
})
