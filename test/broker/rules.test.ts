/**
 * Rules of a broker that need no recording to be told: what is remembered, what a produce request must be, what a batch
 * must be, and that this broker is written apart from the client it judges.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { DescribeProducers, Produce } from '../../lib/protocol/index.js'
import { crc32c } from '../../lib/util/index.js'
import { type BatchSpec, makeBatch, NOW } from './batches.js'
import type { RawClient } from './raw-client.js'
import { bench, PRODUCE_VERSION, partitionOf } from './support.js'

const ME = { producerId: 7n, producerEpoch: 0 }
const HOUR_MS = 3_600_000

/** A batch with some of its bytes changed, and a CRC that fits again. */
function changed(spec: BatchSpec, change: (batch: Buffer) => void): Buffer {
  const batch = makeBatch(spec)
  change(batch)
  batch.writeUInt32BE(crc32c(batch.subarray(21)) >>> 0, 17)
  return batch
}

async function store(client: RawClient, records: Uint8Array | null, more: { acks?: number; timeoutMs?: number } = {}) {
  const topicData = [{ name: 't', partitionData: [{ index: 0, records }] }]
  return partitionOf(await client.request(Produce, PRODUCE_VERSION, { acks: -1, timeoutMs: 1000, topicData, ...more }))
}

describe('what a broker remembers', () => {
  const b = bench()

  it('B-1: per producer the last 5 batches, nothing about content; another epoch empties the memory', async () => {
    const client = await b.start()
    b.broker.createTopic('t')
    for (let baseSequence = 0; baseSequence < 12; baseSequence += 2) {
      expect(
        await b.produce(client, { ...ME, baseSequence, values: ['a', 'b'], timestamp: NOW + baseSequence }),
      ).toMatchObject({ errorCode: 0, baseOffset: baseSequence })
    }
    const [entry] = b.broker.log('t', 0).producers
    expect(entry).toMatchObject({
      producerId: 7n,
      producerEpoch: 0,
      lastTimestamp: NOW + 10,
      currentTxnStartOffset: -1,
    })
    expect(
      entry?.batches.map(({ lastSequence, lastOffset, offsetDelta }) => [lastSequence, lastOffset, offsetDelta]),
    ).toEqual([3, 5, 7, 9, 11].map((last) => [last, last, 1]))
    expect(Object.keys(entry?.batches[0] ?? {}).sort()).toEqual([
      'lastOffset',
      'lastSequence',
      'offsetDelta',
      'timestamp',
    ])
    // Other content under the same numbers is taken for the same batch, and is lost.
    expect(await b.produce(client, { ...ME, baseSequence: 10, values: ['c', 'd'] })).toMatchObject({ baseOffset: 10 })
    expect(b.broker.log('t', 0).logEnd).toBe(12)
    expect(await b.produce(client, { ...ME, producerEpoch: 1, baseSequence: 0, values: ['e'] })).toMatchObject({
      errorCode: 0,
    })
    expect(b.broker.log('t', 0).producers[0]).toMatchObject({ producerEpoch: 1, batches: [{ lastSequence: 0 }] })
  })

  it('B-16, B-17: DescribeProducers tells the leader’s memory; 46 is never sent by itself, only on command', async () => {
    const client = await b.start()
    b.broker.createTopic('t')
    const batch = { ...ME, baseSequence: 0, values: ['a', 'b', 'c'] }
    await b.produce(client, batch)
    const answer = await client.request(DescribeProducers, 0, { topics: [{ name: 't', partitionIndexes: [0] }] })
    expect(answer.topics[0]?.partitions[0]?.activeProducers).toMatchObject([
      { producerId: 7n, producerEpoch: 0, lastSequence: 2, lastTimestamp: NOW, currentTxnStartOffset: -1 },
    ])
    expect(await b.produce(client, batch)).toMatchObject({ errorCode: 0, baseOffset: 0 })
    b.broker.on({ api: 'Produce', nth: 1 }, fault.error(46))
    expect(await b.produce(client, batch)).toMatchObject({ errorCode: 46 })
  })
})

describe('B-2: what a produce request must be', () => {
  const b = bench()

  it('B-2: acks is -1, 0 or 1, else 21', async () => {
    const client = await b.start()
    b.broker.createTopic('t')
    for (const acks of [2, -2])
      expect(await store(client, makeBatch({ values: ['a'] }), { acks })).toMatchObject({ errorCode: 21 })
    expect(await store(client, makeBatch({ values: ['a'] }), { acks: 1 })).toMatchObject({
      errorCode: 0,
      baseOffset: 0,
    })
  })

  it('B-2: exactly one batch of magic 2 per partition, else 87; a partial one behind it is ignored', async () => {
    const client = await b.start()
    b.broker.createTopic('t')
    const one = makeBatch({ values: ['a'] })
    for (const records of [
      Buffer.alloc(0),
      Buffer.concat([one, one]),
      changed({ values: ['a'] }, (bytes) => bytes.writeInt8(1, 16)),
    ]) {
      expect(await store(client, records)).toMatchObject({ errorCode: 87, baseOffset: -1 })
    }
    expect(b.broker.log('t', 0).logEnd).toBe(0)
    expect(await store(client, Buffer.concat([one, one.subarray(0, 30)]))).toMatchObject({ errorCode: 0 })
    expect(b.broker.log('t', 0).logEnd).toBe(1)
  })

  it('B-2: a batch with the transactional bit and no transactional id is 53', async () => {
    const client = await b.start()
    b.broker.createTopic('t')
    expect(await store(client, makeBatch({ ...ME, baseSequence: 0, values: ['a'], attributes: 16 }))).toMatchObject({
      errorCode: 53,
    })
  })
})

describe('B-4: what a batch must be, before anybody looks for duplicates', () => {
  const b = bench()
  const good = { ...ME, baseSequence: 0, values: ['a', 'b'] }
  const cases: [string, number, Buffer][] = [
    ['a wrong CRC', 2, Buffer.from(makeBatch(good)).fill(1, 17, 18)],
    ['a magic to come', 2, changed(good, (bytes) => bytes.writeInt8(3, 16))],
    ['more bytes than max.message.bytes', 10, makeBatch({ values: ['x'.repeat(1000)] })],
    ['a base offset other than 0', 87, changed(good, (bytes) => bytes.writeBigInt64BE(5n, 0))],
    ['a count that is not that of its records', 87, changed(good, (bytes) => bytes.writeInt32BE(3, 57))],
    ['a last offset that does not fit its count', 87, changed(good, (bytes) => bytes.writeInt32BE(5, 23))],
    ['a producer id without sequence', 87, makeBatch({ ...ME, baseSequence: -1, values: ['a'] })],
    ['a control batch', 87, makeBatch({ values: ['a'], attributes: 32 })],
    ['a record from the future', 32, makeBatch({ values: ['a'], timestamp: NOW + 2 * HOUR_MS })],
    ['records that no codec can open', -1, makeBatch({ values: ['abc'], attributes: 3 })],
  ]

  it.each(cases)('B-4: %s is answered %i, and nothing is written', async (_what, errorCode, records) => {
    const client = await b.start()
    b.broker.createTopic('t', { configs: { 'max.message.bytes': 500 } })
    expect(await store(client, makeBatch(good))).toMatchObject({ errorCode: 0 })
    expect(await store(client, records)).toMatchObject({ errorCode, baseOffset: -1 })
    expect(b.broker.log('t', 0).logEnd).toBe(2)
  })

  it('B-4: on a compacted topic a record without key is refused by its place in the batch', async () => {
    const client = await b.start()
    b.broker.createTopic('t', { configs: { 'cleanup.policy': 'compact' } })
    const answer = await store(client, makeBatch({ values: ['a', 'b', 'c'], keys: ['k', null, 'k'] }))
    expect(answer).toMatchObject({ errorCode: 87, recordErrors: [{ batchIndex: 1 }] })
  })
})

describe('F-5: client mistakes cannot cancel out broker mistakes', () => {
  const folder = fileURLToPath(new URL('../../lib/broker', import.meta.url))
  const sources = (at: string): string[] =>
    readdirSync(at)
      .map((name) => join(at, name))
      .flatMap((path) => (statSync(path).isDirectory() ? sources(path) : [readFileSync(path, 'utf8')]))
  const imports = sources(folder).flatMap((text) => [
    ...text.matchAll(/import\s+(?:type\s+)?\{([^}]*)\}\s+from\s+'((?:\.\.\/)+)(\w+)\/index\.js'/g),
  ])

  it('F-5: imports protocol, codec, net and config, besides errors and util', () => {
    const rooms = new Set(imports.map(([, , , room]) => room))
    expect(rooms.size).toBeGreaterThan(3)
    for (const room of rooms) expect(['protocol', 'codec', 'net', 'config', 'errors', 'util']).toContain(room)
  })

  it('F-5: of protocol it takes schemas and frames, not the client’s reading and writing of batches', () => {
    const logic =
      /^(RecordCursor|read\w*|write\w*|recordsOf|BATCH_HEADER_BYTES|\w+Bytes|corruptBatch|kafkaError|brokerError)$/
    const names = imports
      .filter(([, , , room]) => room === 'protocol')
      .flatMap(([, list = '']) => list.split(',').map((name) => name.trim().replace(/^type /, '')))
    expect(names.length).toBeGreaterThan(10)
    expect(names.filter((name) => logic.test(name))).toEqual([])
  })

  it('F-5: sequences are counted without the client’s arithmetic', () => {
    for (const [, list = ''] of imports) expect(list).not.toMatch(/\bseq(Add|Diff)\b/)
  })
})
