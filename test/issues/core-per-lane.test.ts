/**
 * Two habits of the producer's core. The first topic id that a cluster told (brokers before 2.8 tell none) counted as a
 * new topic, and everything pending failed TOPIC_NOT_FOUND in the middle of an upgrade. And each record that was refused
 * at the limit of memory looked at every lane: 10,000 lanes made `sendAsync` a matter of milliseconds.
 */
import { expect, it, vi } from 'vitest'
import type { Cluster, TopicMetadata } from '../../lib/cluster/index.js'
import { resolveProducerConfig } from '../../lib/config/index.js'
import { type CoreEvents, ProducerCore } from '../../lib/producer/producer-core.js'
import { RecordTime } from '../../lib/producer/record-clock.js'
import { ZERO_UUID } from '../../lib/protocol/index.js'
import { FakeClock, seededRandom } from '../../lib/util/index.js'

function scene() {
  const clock = new FakeClock()
  let tell: (topic: TopicMetadata) => void = () => {}
  const one = { errorCode: 0, leaderId: 1, leaderEpoch: 0, replicas: [1], isr: [1], offlineReplicas: [] }
  const partitions = [0, 1, 2].map((partition) => ({ partition, ...one }))
  const metadata = { name: 'orders', topicId: ZERO_UUID, isInternal: false, errorCode: 0, partitions }
  const cluster = {
    onTopic: (listener: typeof tell) => {
      tell = listener
      return () => {}
    },
    useTopic: () => {},
    topic: () => metadata,
    link: () => ({ brokerId: 1, isReady: false, hasRoom: false, connect: () => {} }),
  }
  const events = new Proxy({}, { get: () => () => {} }) as CoreEvents
  const config = resolveProducerConfig({})
  const core = new ProducerCore(config, cluster as unknown as Cluster, clock, seededRandom(1), events, () =>
    Promise.reject(new Error('there is no log')),
  )
  return { clock, core, topic: core.topicOf('orders'), tell: (topicId: string) => tell({ ...metadata, topicId }) }
}

it('P-41: the first id of a topic is no new topic', () => {
  const { core, topic, tell } = scene()
  const lane = topic.lanes[0]
  lane?.append(new RecordTime(), null, -1, 'value', 5, null, 1, null)
  core.counters.accepted++
  tell('bbbbbbbbbbbbbbbbbbbbbA')
  expect(topic.lanes.map(({ topicId }) => topicId)).toEqual(Array(3).fill('bbbbbbbbbbbbbbbbbbbbbA'))
  expect({ failed: core.counters.failed, waiting: lane?.activeRecords }).toEqual({ failed: 0, waiting: 1 })
  tell('cccccccccccccccccccccA')
  expect(core.counters.failed).toBe(1)
})

it('P-8: lanes are asked to leave once per turn, however often memory is short in it', () => {
  const { clock, core, topic } = scene()
  const asked = topic.lanes.map((lane) => vi.spyOn(lane, 'leaveSoon'))
  for (let refused = 0; refused < 100; refused++) core.leaveSoon()
  clock.advance(1)
  expect(asked.map(({ mock }) => mock.calls.length)).toEqual([1, 1, 1])
})
