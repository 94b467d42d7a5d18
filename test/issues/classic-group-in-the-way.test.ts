/**
 * A KIP-848 member that met a classic group with members joined for ever: the broker says "not a consumer group" (69) to
 * every join, which was read as "the group does not know us". `subscribe` ended in a TIMEOUT that named no cause.
 * Found on a real Kafka with group.consumer.migration.policy=disabled.
 */
import { expect, it } from 'vitest'
import { FakeClock } from '../../lib/util/index.js'
import { answer } from '../consumer/group/kip848-coordinator.js'
import { rigOf, turn } from '../consumer/group/kip848-support.js'

it('CO-10: a join that is answered with 69 is INCONSISTENT_GROUP_PROTOCOL, and is not repeated', async () => {
  const clock = new FakeClock()
  const { member, cluster, host } = rigOf(clock, {})
  member.start()
  await turn(clock)
  cluster.last.answer(answer(69, { errorMessage: 'Group g is not a consumer group.' }))
  await turn(clock)
  expect(member.state).toBe('fatal')
  expect(host.log).toEqual(['failed INCONSISTENT_GROUP_PROTOCOL'])
  const asked = cluster.beats.length
  clock.advance(60_000)
  await turn(clock)
  expect(cluster.beats.length).toBe(asked)
})
