/** The resolution over the real log and the in-process broker: what a test over arrays could have wrong about the log. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Broker, createBroker } from '../../../../lib/broker/index.js'
import { Cluster } from '../../../../lib/cluster/index.js'
import { Resolution } from '../../../../lib/producer/log/resolution/resolution.js'
import { Produce } from '../../../../lib/protocol/index.js'
import { Pauses, seededRandom, systemClock } from '../../../../lib/util/index.js'
import type { WriteAheadLog } from '../../../../lib/wal/index.js'
import { RawClient } from '../../../broker/raw-client.js'
import { batchesOf, crashedLog, type LoggedBatch } from './support/real-log.js'
import { Told, walSettings } from './support/stage.js'

const PID = 77n

async function scene(names: string, acknowledged = 0) {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  const topicId = broker.createTopic('orders')
  const batches = batchesOf(names, { producerId: PID, timestamp: Date.now() })
  const settings = walSettings({ zombieWaitMs: 50 })
  const before = { clusterId: broker.clusterId, topic: 'orders', topicId, batches }
  const wal = await crashedLog({ ...before, acknowledged: { batches: acknowledged, baseOffset: 0 } }, settings)
  return { broker, batches, wal, settings }
}

async function write(broker: Broker, batches: readonly LoggedBatch[]): Promise<void> {
  const client = await RawClient.connect(broker.bootstrap)
  for (const { bytes } of batches) {
    const topicData = [{ name: 'orders', partitionData: [{ index: 0, records: bytes }] }]
    const answer = await client.request(Produce, 7, { transactionalId: null, acks: -1, timeoutMs: 1000, topicData })
    expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
  }
  client.close()
}

async function resolve(broker: Broker, wal: WriteAheadLog, settings = walSettings()) {
  const [host = '', port = ''] = broker.bootstrap.split(':')
  const cluster = new Cluster({ brokers: [{ host, port: Number(port) }] })
  const pauses = new Pauses(systemClock)
  const told = new Told()
  const random = seededRandom(3)
  const parts = { wal, cluster, settings, clock: systemClock, random, pauses, requestTimeoutMs: 5000, events: told }
  const resolution = new Resolution(parts)
  onTestFinished(async () => {
    resolution.stop()
    pauses.stop()
    await cluster.close()
  })
  resolution.start()
  await resolution.done
  return { resolution, told }
}

async function logged(broker: Broker): Promise<string> {
  const records = await broker.records('orders', 0)
  return records.map(({ value }) => Buffer.from(value ?? []).toString()).join(' ')
}

const expected = (names: string) => [...names].flatMap((name) => [0, 1, 2].map((index) => `${name}.${index}`)).join(' ')

describe('over the real log', () => {
  it('4.2: written in part: each record once, in order, and the log holds nothing unsettled any more', async () => {
    const { broker, batches, wal } = await scene('abcdefg')
    await write(broker, batches.slice(0, 4))
    expect(wal.recovered).toMatchObject({ entries: 7, records: 21, clusterId: broker.clusterId })
    const { told } = await resolve(broker, wal)
    expect(await logged(broker)).toBe(expected('abcdefg'))
    expect(told.openings).toEqual([{ stream: 0, leftovers: [] }])
    expect(wal.measures().unsettledRecords).toBe(0)
    expect(wal.measures().settledRecords).toMatchObject({ delivered: 9, duplicate: 12 })
    expect([...wal.entriesOf(0)]).toEqual([])
  })

  it('E3: what the log says about acknowledgements is what the resolution needs', async () => {
    const { broker, batches, wal } = await scene('abcde', 1)
    await write(broker, batches.slice(0, 4))
    await broker.stop(1)
    await broker.start(1)
    const { resolution, told } = await resolve(broker, wal)
    expect(await logged(broker)).toBe(expected('abcde'))
    expect([...resolution.verdicts]).toEqual([
      ['proven', 2],
      ['duplicate', 1],
      ['delivered', 1],
    ])
    expect(told.edges).toMatchObject([{ case: 'E3', firstPosition: 3, lastPosition: 8, records: 6 }])
    expect(told.edges[0]?.incarnationId).toBe(wal.recovered.previous?.incarnationId)
  })

  it('E4: the header scan begins behind the last acknowledged offset of the log', async () => {
    const { broker, batches, wal } = await scene('abcd', 2)
    await write(broker, batches.slice(0, 3))
    broker.forgetState({ topic: 'orders', partition: 0 })
    expect(wal.stream(0)).toMatchObject({ lastAckedOffset: 5 })
    const { resolution } = await resolve(broker, wal)
    expect(await logged(broker)).toBe(expected('abcd'))
    expect(resolution.edges.get('E4')?.get('orders')).toBe(6)
  })

  it('drop: positions are settled as dropped, and another start finds nothing', async () => {
    const { broker, wal } = await scene('ab')
    broker.recreateTopic('orders')
    const { resolution } = await resolve(broker, wal)
    expect(resolution.heldStreams).toEqual([{ topic: 'orders', partition: 0, case: 'E6', records: 6 }])
    await resolution.resolve('orders', 0, 'drop')
    expect(wal.measures()).toMatchObject({ unsettledRecords: 0, settledRecords: { dropped: 6 } })
  })
})
