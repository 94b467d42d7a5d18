/** Several brokers: leaders, in-sync replicas, high watermark, what survives a move, a crash and an unclean election. */
import { describe, expect, it } from 'vitest'
import { Metadata, OffsetForLeaderEpoch, Produce } from '../../lib/protocol/index.js'
import { bench, PRODUCE_VERSION, partitionOf, produceBody, turn } from './support.js'

const T = { topic: 't', partition: 0 }

describe('replicas', () => {
  const b = bench()

  async function three(config = {}) {
    const client = await b.start({ nodes: 3, config })
    b.broker.createTopic('t', { assignments: [[1, 2, 3]] })
    return client
  }

  it('a new leader has a higher epoch; the old one answers 6 with a hint; followers had copied', async () => {
    const client = await three()
    await b.produce(client, { values: ['a'] })
    b.broker.moveLeader(T, 2)
    const refused = await client.request(Produce, PRODUCE_VERSION, produceBody('t', 0, { values: ['b'] }))
    expect(partitionOf(refused)).toMatchObject({ errorCode: 6, currentLeader: { leaderId: 2, leaderEpoch: 1 } })
    expect(refused.nodeEndpoints[0]?.nodeId).toBe(2)
    expect(await b.produce(await b.connect(2), { values: ['b'] })).toMatchObject({ errorCode: 0, baseOffset: 1 })
    expect(b.broker.log('t', 0, 1).logEnd).toBe(2)
    expect(b.broker.log('t', 0).epoch).toBe(1)
  })

  it('B-13: a live follower that becomes leader knows up to 5 batches of a producer', async () => {
    const client = await three()
    for (let sequence = 0; sequence < 6; sequence++) {
      const batch = { values: ['x'], producerId: 7n, producerEpoch: 0, baseSequence: sequence }
      expect((await b.produce(client, batch))?.errorCode).toBe(0)
    }
    b.broker.moveLeader(T, 3)
    const third = await b.connect(3)
    const resend = (baseSequence: number) =>
      b.produce(third, { values: ['x'], producerId: 7n, producerEpoch: 0, baseSequence })
    expect(await resend(1)).toMatchObject({ errorCode: 0, baseOffset: 1 })
    expect(await resend(0)).toMatchObject({ errorCode: 45 })
  })

  it('B-13: DeleteRecords leaves the memory of the live leader intact', async () => {
    const client = await three()
    const batch = { values: ['x'], producerId: 7n, producerEpoch: 0, baseSequence: 5 }
    await b.produce(client, batch)
    b.broker.deleteRecords(T, 1)
    expect(await b.produce(client, batch)).toMatchObject({ errorCode: 0, baseOffset: 0, logStartOffset: 1 })
  })

  it('B-3: too few in-sync replicas answer 19 before the log is touched; acks 1 does not care', async () => {
    const client = await three({ 'min.insync.replicas': 2 })
    b.broker.setIsr(T, [1])
    expect(await b.produce(client, { values: ['a'] })).toMatchObject({ errorCode: 19, logStartOffset: 0 })
    expect(b.broker.log('t', 0).logEnd).toBe(0)
    expect(await b.produce(client, { values: ['a'] }, { acks: 1 })).toMatchObject({ errorCode: 0 })
  })

  it('B-10: acks -1 waits for the high watermark, answers 7 when time is up; a resend gets its real ack', async () => {
    const client = await three()
    const release = b.broker.holdReplication(T)
    const batch = { values: ['a'], producerId: 7n, producerEpoch: 0, baseSequence: 0 }
    client.send(Produce, PRODUCE_VERSION, produceBody('t', 0, batch))
    await b.broker.appended('t', 0, 1)
    expect(b.broker.log('t', 0).highWatermark).toBe(0)
    await turn()
    b.clock.advance(1000)
    expect(partitionOf(await client.receive(Produce, PRODUCE_VERSION))).toMatchObject({ errorCode: 7 })
    const again = b.produce(client, batch)
    await b.broker.saw({ api: 'Produce', count: 2 })
    release()
    expect(await again).toMatchObject({ errorCode: 0, baseOffset: 0 })
    expect(b.broker.log('t', 0).highWatermark).toBe(1)
  })

  it('B-10: replicas lost after the append answer 20', async () => {
    const client = await three({ 'min.insync.replicas': 2 })
    b.broker.holdReplication(T)
    const waiting = b.produce(client, { values: ['a'] })
    await b.broker.appended('t', 0, 1)
    b.broker.setIsr(T, [1])
    expect(await waiting).toMatchObject({ errorCode: 20 })
    expect(b.broker.log('t', 0).logEnd).toBe(1)
  })

  it('a leader deposed while it waits answers 6 for data it has written; the new leader truncates it', async () => {
    const client = await three()
    const release = b.broker.holdReplication(T)
    const waiting = b.produce(client, { values: ['a'] })
    await b.broker.appended('t', 0, 1)
    b.broker.moveLeader(T, 2)
    expect(await waiting).toMatchObject({ errorCode: 6 })
    expect(b.broker.log('t', 0, 1).logEnd).toBe(1)
    release()
    expect(b.broker.log('t', 0, 1).logEnd).toBe(0)
  })

  it('unclean election loses what the new leader lacks, also below the high watermark', async () => {
    const client = await three()
    b.broker.setIsr(T, [1, 2])
    await b.produce(client, { values: ['a', 'b'] })
    expect(b.broker.log('t', 0).highWatermark).toBe(2)
    b.broker.uncleanElection(T, 3)
    expect(b.broker.log('t', 0)).toMatchObject({ leader: 3, logEnd: 0, highWatermark: 0, epoch: 1 })
    const third = await b.connect(3)
    expect(await b.produce(third, { values: ['c'] })).toMatchObject({ errorCode: 0, baseOffset: 0 })
    expect((await b.broker.records('t', 0, 1)).map(({ value }) => value?.toString())).toEqual(['c'])
  })

  it('OffsetForLeaderEpoch tells where an epoch ended', async () => {
    const client = await three()
    await b.produce(client, { values: ['a', 'b'] })
    b.broker.moveLeader(T, 2)
    const second = await b.connect(2)
    await b.produce(second, { values: ['c'] })
    const ask = async (leaderEpoch: number, currentLeaderEpoch = -1) => {
      const partitions = [{ partition: 0, currentLeaderEpoch, leaderEpoch }]
      const answer = await second.request(OffsetForLeaderEpoch, 4, { topics: [{ topic: 't', partitions }] })
      return answer.topics[0]?.partitions[0]
    }
    expect(await ask(0)).toMatchObject({ errorCode: 0, leaderEpoch: 0, endOffset: 2 })
    expect(await ask(1)).toMatchObject({ errorCode: 0, leaderEpoch: 1, endOffset: 3 })
    expect(await ask(0, 0)).toMatchObject({ errorCode: 74 })
    expect(await ask(0, 5)).toMatchObject({ errorCode: 75 })
    expect(await ask(9)).toMatchObject({ errorCode: 0, leaderEpoch: -1, endOffset: -1 })
  })

  it('kill: connections break, leaders move, the broker returns on its port and catches up', async () => {
    const client = await three()
    await b.produce(client, { values: ['a'] })
    const { bootstrap } = b.broker
    await b.broker.kill(1)
    await client.closed
    const second = await b.connect(2)
    const metadata = await second.request(Metadata, 12, { topics: null })
    expect(metadata.brokers.map(({ nodeId }) => nodeId)).toEqual([2, 3])
    expect(metadata.topics[0]?.partitions[0]).toMatchObject({ leaderId: 2, leaderEpoch: 1, offlineReplicas: [1] })
    await b.produce(second, { values: ['b'] })
    await b.broker.start(1)
    expect(b.broker.bootstrap).toBe(bootstrap)
    expect(b.broker.log('t', 0, 1).logEnd).toBe(2)
    expect([...b.broker.log('t', 0).isr].sort()).toEqual([1, 2, 3])
  })

  it('a partition whose only replica is gone has no leader (5), and leads again when it returns', async () => {
    await b.start({ nodes: 2 })
    b.broker.createTopic('t', { assignments: [[1]] })
    await b.broker.kill(1)
    const second = await b.connect(2)
    const ask = async () => (await second.request(Metadata, 12, { topics: [{ name: 't' }] })).topics[0]?.partitions[0]
    expect(await ask()).toMatchObject({ errorCode: 5, leaderId: -1 })
    await b.broker.start(1)
    expect(await ask()).toMatchObject({ errorCode: 0, leaderId: 1, leaderEpoch: 2 })
  })

  it('a partition that was made while all its brokers were away is led by the first that comes', async () => {
    await b.start({ nodes: 2 })
    b.broker.createTopic('t', { assignments: [[1]] })
    await b.broker.kill(1)
    b.broker.addPartitions('t', 3)
    const leaders = () => [1, 2].map((partition) => b.broker.log('t', partition).leader)
    const before = leaders()
    await b.broker.start(1)
    expect(before).toContain(-1)
    expect(leaders()).not.toContain(-1)
  })

  it('pause: a large request fills the socket, as with a stopped process', async () => {
    const client = await b.start({ config: { 'message.max.bytes': 64_000_000 } })
    b.broker.createTopic('t')
    b.broker.pause(1)
    const waiting = b.produce(client, { values: ['x'.repeat(32_000_000)] })
    for (let turns = 0; turns < 50; turns++) await turn()
    expect(client.transport.pendingBytes).toBeGreaterThan(0)
    b.broker.resume(1)
    expect(await waiting).toMatchObject({ errorCode: 0 })
  })

  it('pause: connections stay, nothing is done until resume', async () => {
    const client = await three()
    b.broker.pause(1)
    const waiting = b.produce(client, { values: ['a'] })
    const second = await b.connect(2)
    await second.request(Metadata, 12, { topics: null })
    expect(b.broker.log('t', 0).logEnd).toBe(0)
    b.broker.resume(1)
    expect(await waiting).toMatchObject({ errorCode: 0 })
  })
})
