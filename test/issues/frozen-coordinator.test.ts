/**
 * A coordinator whose machine is lost answers nothing and closes nothing. Each heartbeat to it waited out the whole
 * session (10 s), and the question who coordinates now could wait as long at the very same broker: although the group had
 * another coordinator after three seconds, members gave their partitions up. Found by stopping a node of three (SIGSTOP)
 * of a real Kafka.
 */
import { expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { groupBench } from '../consumer/group/classic-support.js'

const bench = groupBench()

it.each(['classic', 'consumer'] as const)(
  'C-34: %s: members follow to another coordinator when theirs answers nothing any more',
  async (groupProtocol) => {
    const b = bench()
    const broker = await b.start({ nodes: 3, config: { 'group.consumer.heartbeat.interval.ms': 3_000 } })
    broker.createTopic('t', { partitions: 6 })
    const played = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => b.play(name, { config: { groupProtocol } }))
    await b.shared(played, 6)
    const stories = () => played.map(({ host }) => host.story.filter((line) => line !== 'settled'))
    const before = stories()
    broker.on({ node: broker.group('g').coordinator }, fault.blackhole())
    await b.pass(3_000)
    broker.moveCoordinator('g')
    await b.pass(20_000)
    expect(stories()).toEqual(before)
    expect(played.map(({ member }) => member.state)).toEqual(played.map(() => 'stable'))
  },
)
