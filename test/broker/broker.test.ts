/** The in-process broker through its real port: the apis a client needs to begin, and a life without leaks. */
import { afterEach, describe, expect, it } from 'vitest'
import { type Broker, type BrokerOptions, createBroker } from '../../lib/broker/index.js'
import {
  ApiVersions,
  CreateTopics,
  Fetch,
  InitProducerId,
  ListOffsets,
  Metadata,
  Produce,
} from '../../lib/protocol/index.js'
import { makeBatch } from './batches.js'
import { RawClient } from './raw-client.js'

let broker: Broker
const clients: RawClient[] = []

async function start(options: BrokerOptions = {}): Promise<RawClient> {
  broker = await createBroker(options)
  return connect()
}

async function connect(index = 0): Promise<RawClient> {
  const client = await RawClient.connect(broker.bootstrap.split(',')[index] as string)
  clients.push(client)
  return client
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await broker.close()
})

describe('broker', () => {
  it('BR-1: serves what a client needs to begin: versions, metadata, topic, produce, offsets, fetch', async () => {
    const client = await start()
    const versions = await client.request(ApiVersions, 4, { clientSoftwareName: 'raw', clientSoftwareVersion: '1' })
    expect(versions.errorCode).toBe(0)
    expect(versions.apiKeys.find(({ apiKey }) => apiKey === 0)).toMatchObject({ minVersion: 0, maxVersion: 13 })
    const created = await client.request(CreateTopics, 7, {
      topics: [{ name: 'orders', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }],
    })
    expect(created.topics[0]).toMatchObject({ errorCode: 0, numPartitions: 2 })
    const metadata = await client.request(Metadata, 13, { topics: null })
    const topicId = metadata.topics[0]?.topicId as string
    expect(metadata.topics[0]?.partitions.map(({ leaderId }) => leaderId)).toEqual([1, 1])
    const { producerId } = await client.request(InitProducerId, 5, { transactionalId: null, transactionTimeoutMs: 0 })
    const records = makeBatch({ values: ['a', 'b'], producerId, producerEpoch: 0, baseSequence: 0 })
    const produced = await client.request(Produce, 13, {
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ topicId, partitionData: [{ index: 1, records }] }],
    })
    expect(produced.responses[0]?.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 0 })
    const listed = await client.request(ListOffsets, 10, {
      replicaId: -1,
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 1, timestamp: -1 }] }],
    })
    expect(listed.topics[0]?.partitions[0]).toMatchObject({ errorCode: 0, offset: 2 })
    const fetched = await client.request(Fetch, 18, {
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1000000,
      topics: [{ topicId, partitions: [{ partition: 1, fetchOffset: 0, partitionMaxBytes: 1000000 }] }],
    })
    const partition = fetched.responses[0]?.partitions[0]
    expect(partition).toMatchObject({ errorCode: 0, highWatermark: 2, logStartOffset: 0 })
    expect(partition?.records?.length).toBe(records.length)
    const stored = await broker.records('orders', 1)
    expect(stored.map(({ value }) => value?.toString())).toEqual(['a', 'b'])
  })
})
