/**
 * F-4: what the in-process broker does otherwise than Apache Kafka is told in full, in the README and in docs/broker.md
 * alike, and what can be seen from outside is as told.
 */
import { describe, expect, it } from 'vitest'
import {
  ApiVersions,
  IncrementalAlterConfigs,
  InitProducerId,
  Metadata,
  OffsetCommit,
  Produce,
} from '../../lib/protocol/index.js'
import { makeBatch } from '../broker/batches.js'
import { ConsumerGroupClient } from '../broker/consumer-group-client.js'
import { GroupClient } from '../broker/group-client.js'
import { bench, partitionOf } from '../broker/support.js'
import { read } from './markdown.js'

/** Bullets of a list, one line each. */
function bulletsBelow(file: string, heading: string): string[] {
  const section = read(file).split(heading)[1]?.split(/^#+ /m)[0] ?? ''
  const list = section.slice(section.indexOf('\n* '))
  return list
    .split(/\n\* /)
    .map((bullet) => bullet.replace(/\s+/g, ' ').trim())
    .filter((bullet) => bullet !== '')
}

const told = bulletsBelow('README.md', '### Differences from Apache Kafka')
/** Apis of Kafka that the differences say are not offered. */
const ABSENT = {
  Transactions: [24, 25, 26, 28],
  'GSSAPI, delegation tokens, ACLs, quotas, log dirs, reassignment': [
    38, 39, 40, 41, 29, 30, 31, 48, 49, 34, 35, 45, 46,
  ],
  telemetry: [71, 72],
}

describe('F-4: the list of differences', () => {
  it('F-4: README and docs/broker.md tell the same', () => {
    expect(told.length).toBeGreaterThan(8)
    expect(bulletsBelow('docs/broker.md', '## Differences from Apache Kafka')).toEqual(told)
  })
})

describe('F-4: differences from Apache Kafka', () => {
  const b = bench()

  it('F-4: what is said not to exist is not offered', async () => {
    const client = await b.start()
    const answer = await client.request(ApiVersions, 3, { clientSoftwareName: 'test', clientSoftwareVersion: '1' })
    const offered = answer.apiKeys.map(({ apiKey }) => apiKey)
    for (const [words, keys] of Object.entries(ABSENT)) {
      expect(told.join(' ')).toContain(words)
      expect(offered.filter((key) => (keys as number[]).includes(key))).toEqual([])
    }
  })

  it('F-4: what is changed for one broker holds for all', async () => {
    const client = await b.start({ nodes: 2 })
    const change = async (resourceName: string) => {
      const configs = [{ name: 'min.insync.replicas', configOperation: 0, value: '2' }]
      const body = { resources: [{ resourceType: 4, resourceName, configs }], validateOnly: false }
      return (await client.request(IncrementalAlterConfigs, 1, body)).responses[0]?.errorCode
    }
    expect(await change('2')).toBe(0)
    b.broker.createTopic('t', { replicationFactor: 2 })
    b.broker.setIsr({ topic: 't', partition: 0 }, [b.broker.log('t', 0).leader])
    const leader = await b.connect(b.broker.log('t', 0).leader)
    expect(await b.produce(leader, { values: ['a'] })).toMatchObject({ errorCode: 19 })
  })

  it('F-4: no transactions: no producer id for a transactional id (15), no transactional batch (53)', async () => {
    const client = await b.start()
    b.broker.createTopic('t')
    const init = { transactionalId: 'x', transactionTimeoutMs: 1000 }
    expect((await client.request(InitProducerId, 4, init)).errorCode).toBe(15)
    const records = makeBatch({ producerId: 1n, producerEpoch: 0, baseSequence: 0, values: ['a'], attributes: 16 })
    const topicData = [{ name: 't', partitionData: [{ index: 0, records }] }]
    const answer = await client.request(Produce, 12, { acks: -1, timeoutMs: 1000, topicData, transactionalId: 'x' })
    expect(partitionOf(answer)?.errorCode).toBe(53)
  })

  it('F-4: a group and its offsets move at once; no rebalance is delayed', async () => {
    const client = await b.start({ nodes: 2 })
    b.broker.createTopic('t')
    b.broker.moveCoordinator('g', 1)
    const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }]
    await client.request(OffsetCommit, 8, { groupId: 'g', topics: [{ name: 't', partitions }] })
    b.broker.moveCoordinator('g', 2)
    expect(b.broker.group('g')).toMatchObject({ state: 'Empty', coordinator: 2, offsets: [{ offset: 1 }] })
    const member = new GroupClient(await b.connect(2))
    expect(await member.enter()).toMatchObject({ errorCode: 0, generationId: 1 })
  })

  it('F-4: a group with members refuses those of the other protocol', async () => {
    const raw = await b.start()
    const topicIds = new Map([['t', b.broker.createTopic('t')]])
    const classic = new GroupClient(raw, 'classic')
    await classic.enter()
    const asConsumer = (groupId: string) => new ConsumerGroupClient(raw, { groupId, memberId: 'm', topicIds })
    expect((await asConsumer('classic').join()).errorCode).toBe(69)
    await asConsumer('consumer').join()
    expect((await new GroupClient(raw, 'consumer').join()).errorCode).toBe(23)
  })

  it('F-4: a pattern is matched again at the next heartbeat; flags in the middle of it are refused', async () => {
    const raw = await b.start()
    const member = new ConsumerGroupClient(raw, { groupId: 'g', memberId: 'm', topicIds: new Map() })
    expect((await member.join(null, { subscribedTopicRegex: 't(?i)x' })).errorCode).toBe(128)
    await member.join(null, { subscribedTopicRegex: 't.*' })
    const topicId = b.broker.createTopic('t')
    expect((await member.beat()).assignment).toEqual({ topicPartitions: [{ topicId, partitions: [0] }] })
  })

  it('F-4: topics are not created by asking unless that is allowed, and then have leaders at once', async () => {
    const client = await b.start()
    const ask = async () =>
      (await client.request(Metadata, 12, { topics: [{ name: 'new' }], allowAutoTopicCreation: true })).topics[0]
    expect(await ask()).toMatchObject({ errorCode: 3 })
    b.broker.setConfig('auto.create.topics.enable', true)
    expect(await ask()).toMatchObject({ errorCode: 0, partitions: [{ leaderId: 1, errorCode: 0 }] })
  })

  it('F-4: leaders move in the moment in which their broker goes; replicas copy at once', async () => {
    const client = await b.start({ nodes: 2 })
    b.broker.createTopic('t', { assignments: [[2, 1]] })
    await b.broker.kill(2)
    expect(b.broker.log('t', 0)).toMatchObject({ leader: 1, epoch: 1, isr: [1] })
    await b.produce(client, { values: ['a'] })
    await b.broker.start(2)
    expect(b.broker.log('t', 0).isr).toContain(2)
    expect(b.broker.log('t', 0, 2).logEnd).toBe(1)
  })

  it.each(['stop', 'kill'] as const)(
    'F-4: after %s nothing is lost and one batch per producer is remembered',
    async (how) => {
      const client = await b.start()
      b.broker.createTopic('t')
      for (let baseSequence = 0; baseSequence < 4; baseSequence++)
        await b.produce(client, { producerId: 9n, producerEpoch: 0, baseSequence, values: [`v${baseSequence}`] })
      await b.broker[how](1)
      await b.broker.start(1)
      expect(b.broker.log('t', 0).logEnd).toBe(4)
      expect(b.broker.log('t', 0).producers[0]?.batches.map(({ lastSequence }) => lastSequence)).toEqual([3])
    },
  )
})
