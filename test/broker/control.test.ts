/** The control API on data and identity, and the administrative requests. */
import { describe, expect, it } from 'vitest'
import {
  CreatePartitions,
  CreateTopics,
  DeleteRecords,
  DeleteTopics,
  DescribeCluster,
  DescribeConfigs,
  DescribeProducers,
  Fetch,
  FindCoordinator,
  Metadata,
  OffsetCommit,
  OffsetFetch,
  ZERO_UUID,
} from '../../lib/protocol/index.js'
import { makeBatch, NOW } from './batches.js'
import { bench } from './support.js'

const T = { topic: 't', partition: 0 }
const idempotent = (baseSequence: number, producerId = 5n) => ({
  values: ['x'],
  producerId,
  producerEpoch: 0,
  baseSequence,
})

describe('control', () => {
  const b = bench()

  it('retention.bytes bounds a log in memory', async () => {
    const client = await b.start()
    b.broker.createTopic('t', { configs: { 'retention.bytes': 500 } })
    for (let sent = 0; sent < 50; sent++) await b.produce(client, { values: ['0123456789'] })
    const log = b.broker.log('t', 0)
    expect(log.bytes).toBeLessThanOrEqual(500)
    expect(log.logEnd).toBe(50)
    expect(log.logStart).toBe(50 - log.batches.length)
    expect((await b.fetch(client, { offset: log.logStart })).responses[0]?.partitions[0]?.errorCode).toBe(0)
  })

  it('retention.ms acts at the check, when the topic sets it', async () => {
    const client = await b.start()
    b.broker.createTopic('t', { configs: { 'retention.ms': 1000 } })
    await b.produce(client, { values: ['old'] })
    b.broker.advance(600_000)
    expect(b.broker.log('t', 0)).toMatchObject({ logStart: 1, logEnd: 1, bytes: 0 })
  })

  it('B-11: expiry by record time at the check; forgetState at once', async () => {
    const client = await b.start({ config: { 'producer.id.expiration.ms': 5000 } })
    b.broker.createTopic('t')
    await b.produce(client, idempotent(0))
    b.broker.advance(6000)
    expect(b.broker.log('t', 0).producers).toHaveLength(1)
    b.broker.expireProducers()
    expect(b.broker.log('t', 0).producers).toHaveLength(0)
    await b.produce(client, { ...idempotent(9), timestamp: NOW + 6000 })
    await b.produce(client, { ...idempotent(4, 6n), timestamp: NOW + 6000 })
    b.broker.expireProducers(T, 5n)
    expect(b.broker.log('t', 0).producers.map(({ producerId }) => producerId)).toEqual([6n])
    b.broker.forgetState(T)
    expect(await b.produce(client, idempotent(70, 6n))).toMatchObject({ errorCode: 0 })
  })

  it('B-12: after a clean stop the snapshot outlives deleted records; a crash loses the state with them', async () => {
    const client = await b.start()
    b.broker.createTopic('clean')
    b.broker.createTopic('crash')
    await b.produce(client, idempotent(0), { topic: 'clean' })
    b.broker.deleteRecords({ topic: 'clean', partition: 0 }, 1)
    await b.broker.stop(1)
    await b.broker.start(1)
    expect(b.broker.log('clean', 0).producers).toHaveLength(1)
    await b.produce(await b.connect(1), idempotent(0), { topic: 'crash' })
    b.broker.deleteRecords({ topic: 'crash', partition: 0 }, 1)
    expect(b.broker.log('crash', 0).producers).toHaveLength(1)
    await b.broker.kill(1)
    await b.broker.start(1)
    expect(b.broker.log('crash', 0).producers).toHaveLength(0)
    expect(b.broker.log('clean', 0).producers).toHaveLength(1)
  })

  it('recreateTopic, addPartitions, deleteTopic, setClusterId', async () => {
    const client = await b.start()
    const first = b.broker.createTopic('t', { partitions: 2, configs: { 'max.message.bytes': 1234 } })
    await b.produce(client, { values: ['x'] })
    const second = b.broker.recreateTopic('t')
    expect(second).not.toBe(first)
    expect(b.broker.log('t', 0).logEnd).toBe(0)
    b.broker.addPartitions('t', 5)
    b.broker.setClusterId('another')
    const metadata = await client.request(Metadata, 12, { topics: [{ name: null, topicId: second }] })
    expect(metadata).toMatchObject({ clusterId: 'another', topics: [{ name: 't', topicId: second }] })
    expect(metadata.topics[0]?.partitions).toHaveLength(5)
    const old = await client.request(Metadata, 12, { topics: [{ name: null, topicId: first }] })
    expect(old.topics[0]?.errorCode).toBe(100)
    b.broker.deleteTopic('t')
    const gone = await client.request(Metadata, 12, { topics: [{ name: 't' }, { name: '?' }] })
    expect(gone.topics.map(({ errorCode }) => errorCode)).toEqual([3, 17])
    expect(() => b.broker.log('t', 0)).toThrow(expect.objectContaining({ code: 'TOPIC_NOT_FOUND' }))
  })

  it('topics are created by asking only where that is allowed twice', async () => {
    const client = await b.start({ config: { 'auto.create.topics.enable': true, 'num.partitions': 3 } })
    const ask = (allowAutoTopicCreation: boolean) =>
      client.request(Metadata, 12, { topics: [{ name: 'auto' }], allowAutoTopicCreation })
    expect((await ask(false)).topics[0]?.errorCode).toBe(3)
    expect((await ask(true)).topics[0]?.partitions).toHaveLength(3)
  })

  it('corruptLog damages what is served, and can damage one replica only', async () => {
    const client = await b.start({ nodes: 2 })
    b.broker.createTopic('t', { assignments: [[1, 2]] })
    await b.produce(client, { values: ['x'] })
    b.broker.corruptLog(T, 0, { at: 63, xor: 1 })
    const fetched = (await b.fetch(client)).responses[0]?.partitions[0]?.records as Uint8Array
    const intact = b.broker.log('t', 0, 2).batches[0]?.bytes as Uint8Array
    expect(fetched[63]).toBe((intact[63] as number) ^ 1)
  })

  it('appendRaw stores what no producer may send', async () => {
    const client = await b.start()
    b.broker.createTopic('t')
    await b.produce(client, { values: ['a'] })
    const control = makeBatch({ values: ['m'], attributes: 0x20 })
    expect(b.broker.appendRaw(T, control)).toBe(1)
    expect(b.broker.appendRaw(T, Buffer.from('an old message set'), 3)).toBe(2)
    expect(() => b.broker.appendRaw(T, Buffer.alloc(5))).toThrow(expect.objectContaining({ code: 'INVALID_OFFSET' }))
    expect(b.broker.log('t', 0)).toMatchObject({ logEnd: 5, highWatermark: 5 })
    const [partition] = (await b.fetch(client, { offset: 1 })).responses[0]?.partitions ?? []
    expect(partition?.records?.length).toBe(control.length + 18)
  })

  it('compact keeps the newest of each key, offsets have gaps, the last batch of a producer stays emptied', async () => {
    const client = await b.start()
    b.broker.createTopic('t', { configs: { 'cleanup.policy': 'compact' } })
    await b.produce(client, { values: ['1'], keys: ['a'], producerId: 5n, producerEpoch: 0, baseSequence: 0 })
    await b.produce(client, { values: ['1'], keys: ['b'] })
    await b.produce(client, { values: ['2'], keys: ['a'] })
    await b.produce(client, { values: ['2'], keys: ['b'] })
    await b.broker.compact(T)
    const log = b.broker.log('t', 0)
    expect(log.batches.map(({ baseOffset, count }) => [baseOffset, count])).toEqual([
      [0, 0],
      [2, 1],
      [3, 1],
    ])
    expect(log.producers).toHaveLength(1)
    expect((await b.broker.records('t', 0)).map(({ offset }) => offset)).toEqual([2, 3])
    await b.broker.kill(1)
    await b.broker.start(1)
    expect(b.broker.log('t', 0).producers[0]).toMatchObject({ producerId: 5n, batches: [{ lastSequence: 0 }] })
  })

  it('a LogAppendTime topic sets time and CRC; the duplicate keeps the first time', async () => {
    const client = await b.start()
    b.broker.createTopic('t', { configs: { 'message.timestamp.type': 'LogAppendTime' } })
    const batch = { ...idempotent(0), timestamp: NOW - 50_000 }
    expect(await b.produce(client, batch)).toMatchObject({ errorCode: 0, logAppendTimeMs: NOW })
    b.broker.advance(10)
    expect(await b.produce(client, batch)).toMatchObject({ errorCode: 0, logAppendTimeMs: NOW })
    expect((await b.broker.records('t', 0)).map(({ timestamp }) => timestamp)).toEqual([NOW])
    const [stored] = b.broker.log('t', 0).batches
    const resent = Buffer.from(stored?.bytes as Uint8Array)
    resent.writeBigInt64BE(0n, 0)
    expect(resent.equals(makeBatch(batch))).toBe(false)
  })

  it('CreateTopics: each reason to refuse, validateOnly, broker defaults, assignments', async () => {
    const client = await b.start({ nodes: 2, config: { 'num.partitions': 4, 'default.replication.factor': 2 } })
    b.broker.createTopic('old')
    const base = { numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
    const create = async (topic: object, validateOnly = false) => {
      const topics = [{ ...base, name: 'new', ...topic }]
      return (await client.request(CreateTopics, 7, { topics, validateOnly })).topics[0]
    }
    const codes = [
      await create({ name: 'old' }),
      await create({ name: 'a/b' }),
      await create({ numPartitions: 0 }),
      await create({ replicationFactor: 3 }),
      await create({ numPartitions: -1, replicationFactor: -1, assignments: [{ partitionIndex: 1, brokerIds: [1] }] }),
      await create({ configs: [{ name: 'no.such', value: '1' }] }),
      await create({}, true),
    ].map((topic) => topic?.errorCode)
    expect(codes).toEqual([36, 17, 37, 38, 39, 40, 0])
    expect(await create({ numPartitions: -1, replicationFactor: -1 })).toMatchObject({
      errorCode: 0,
      numPartitions: 4,
      replicationFactor: 2,
    })
    const assignments = [{ partitionIndex: 0, brokerIds: [2, 1] }]
    await create({ name: 'assigned', numPartitions: -1, replicationFactor: -1, assignments })
    expect(b.broker.log('assigned', 0)).toMatchObject({ leader: 2, replicas: [2, 1] })
  })

  it('DeleteTopics by name and id, CreatePartitions, DeleteRecords', async () => {
    const client = await b.start()
    const topicId = b.broker.createTopic('t')
    await b.produce(client, { values: ['a', 'b'] })
    const lower = async (offset: number, name = 't') => {
      const topics = [{ name, partitions: [{ partitionIndex: 0, offset }] }]
      return (await client.request(DeleteRecords, 2, { topics, timeoutMs: 0 })).topics[0]?.partitions[0]
    }
    expect(await lower(1)).toMatchObject({ errorCode: 0, lowWatermark: 1 })
    expect(await lower(9)).toMatchObject({ errorCode: 1 })
    expect(await lower(-1)).toMatchObject({ errorCode: 0, lowWatermark: 2 })
    expect(await lower(0, 'none')).toMatchObject({ errorCode: 3 })
    const grow = async (count: number, name = 't') => {
      const topics = [{ name, count, assignments: null }]
      const body = { topics, timeoutMs: 0, validateOnly: false }
      return (await client.request(CreatePartitions, 3, body)).results[0]?.errorCode
    }
    expect([await grow(3), await grow(3), await grow(1, 'none')]).toEqual([0, 37, 3])
    const drop = async (topic: { name: string | null; topicId: string }) =>
      (await client.request(DeleteTopics, 6, { topics: [topic], timeoutMs: 0 })).responses[0]
    expect(await drop({ name: null, topicId })).toMatchObject({ errorCode: 0, name: 't' })
    expect(await drop({ name: null, topicId })).toMatchObject({ errorCode: 100 })
    expect(await drop({ name: 't', topicId: ZERO_UUID })).toMatchObject({ errorCode: 3 })
  })

  it('DescribeConfigs shows values, sources and defaults; setTopicConfig and setConfig act at once', async () => {
    const client = await b.start()
    b.broker.createTopic('t', { configs: { 'max.message.bytes': 100 } })
    const ask = async (resourceType: number, resourceName: string, keys: string[] | null) => {
      const resources = [{ resourceType, resourceName, configurationKeys: keys }]
      return (await client.request(DescribeConfigs, 4, { resources })).results[0]
    }
    const key = 'max.message.bytes'
    expect((await ask(2, 't', [key]))?.configs).toMatchObject([{ name: key, value: '100', configSource: 1 }])
    expect((await b.produce(client, { values: ['x'.repeat(100)] }))?.errorCode).toBe(10)
    b.broker.setTopicConfig('t', key, null)
    expect((await ask(2, 't', [key]))?.configs).toMatchObject([{ value: '1048588', configSource: 5 }])
    b.broker.setConfig('message.max.bytes', 90)
    expect((await b.produce(client, { values: ['x'.repeat(100)] }))?.errorCode).toBe(10)
    expect((await ask(4, '1', ['message.max.bytes']))?.configs).toMatchObject([{ value: '90', configSource: 4 }])
    expect((await ask(2, 'none', null))?.errorCode).toBe(3)
    expect(() => b.broker.setConfig('no.such', 1)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
  })

  it('coordinators move; offsets are kept without members', async () => {
    const client = await b.start({ nodes: 2 })
    b.broker.createTopic('t')
    b.broker.moveCoordinator('g', 1)
    const found = await client.request(FindCoordinator, 6, { keyType: 0, coordinatorKeys: ['g'] })
    expect(found.coordinators[0]).toMatchObject({ nodeId: 1, errorCode: 0 })
    const commit = async () => {
      const partitions = [{ partitionIndex: 0, committedOffset: 7, committedMetadata: 'm' }]
      const body = { groupId: 'g', topics: [{ name: 't', partitions }] }
      return (await client.request(OffsetCommit, 9, body)).topics[0]?.partitions[0]?.errorCode
    }
    expect(await commit()).toBe(0)
    const fetched = await client.request(OffsetFetch, 9, { groups: [{ groupId: 'g', topics: null }] })
    expect(fetched.groups[0]?.topics[0]?.partitions[0]).toMatchObject({ committedOffset: 7, metadata: 'm' })
    b.broker.moveCoordinator('g', 2)
    expect(await commit()).toBe(16)
    const none = await client.request(OffsetFetch, 5, {
      groupId: 'g',
      topics: [{ name: 't', partitionIndexes: [0] }],
    })
    expect(none.errorCode).toBe(16)
  })

  it('DescribeCluster and DescribeProducers', async () => {
    const client = await b.start({ nodes: 2, racks: ['a', 'b'] })
    b.broker.createTopic('t', { assignments: [[2]] })
    const cluster = await client.request(DescribeCluster, 2, {
      includeClusterAuthorizedOperations: false,
    })
    expect(cluster.brokers.map(({ brokerId, rack }) => [brokerId, rack])).toEqual([
      [1, 'a'],
      [2, 'b'],
    ])
    const answer = await client.request(DescribeProducers, 0, { topics: [{ name: 't', partitionIndexes: [0, 9] }] })
    expect(answer.topics[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([6, 3])
  })

  it('setVersions offers other ranges, or an api not at all', async () => {
    const client = await b.start()
    b.broker.setVersions('Metadata', 0, 5)
    await client.request(Metadata, 5, { topics: [] })
    b.broker.setVersions('Fetch')
    client.send(Fetch, 12, b.fetchBody({}))
    await client.closed
    expect(() => b.broker.setVersions('EndTxn', 0, 1)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
  })

  it('control calls name what does not fit', async () => {
    await b.start({ nodes: 2 })
    b.broker.createTopic('t', { assignments: [[1]] })
    expect(() => b.broker.moveLeader(T, 2)).toThrow(expect.objectContaining({ code: 'INVALID_PARTITION' }))
    expect(() => b.broker.setIsr(T, [2])).toThrow(expect.objectContaining({ code: 'INVALID_PARTITION' }))
    expect(() => b.broker.createTopic('t')).toThrow(expect.objectContaining({ code: 'INVALID_TOPIC' }))
    expect(() => b.broker.addPartitions('t', 1)).toThrow(expect.objectContaining({ code: 'INVALID_PARTITION' }))
    expect(() => b.broker.corruptLog(T, 5)).toThrow(expect.objectContaining({ code: 'INVALID_OFFSET' }))
    await expect(b.broker.kill(9)).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
  })

  it('requests: what arrived, by filter, bounded', async () => {
    const client = await b.start()
    b.broker.createTopic('t')
    await b.produce(client, { values: ['x'] })
    await b.fetch(client)
    const [request] = b.broker.requests({ api: 'Produce' })
    expect(request).toMatchObject({ node: 1, version: 12, clientId: 'raw', body: { acks: -1 }, atMs: NOW })
    expect(b.broker.requests({ where: ({ api }) => api === 'Fetch' })).toHaveLength(1)
    expect(b.broker.count({})).toBe(2)
    b.broker.forgetRequests()
    expect(b.broker.requests()).toEqual([])
  })
})
