/** F-2, W-17 and the profiles: versions, unknown apis, acks 0, hostile frames. */
import { describe, expect, it } from 'vitest'
import type { ProfileName } from '../../lib/broker/index.js'
import { ApiVersions, encodeRequest, Fetch, JoinGroup, Metadata, Produce } from '../../lib/protocol/index.js'
import { randomInt, seededRandom } from '../../lib/util/index.js'
import { bench, PRODUCE_VERSION, produceBody } from './support.js'

const UNKNOWN_VERSION = 99

function header(apiKey: number, version: number, correlationId: number): Buffer {
  const frame = Buffer.alloc(15)
  frame.writeInt32BE(11, 0)
  frame.writeInt16BE(apiKey, 4)
  frame.writeInt16BE(version, 6)
  frame.writeInt32BE(correlationId, 8)
  frame.writeInt16BE(-1, 12)
  return frame
}

describe('protocol rules', () => {
  const b = bench()

  it('W-17: an ApiVersions version to come is answered 35 in version 0, with the range of ApiVersions; then goes on', async () => {
    const client = await b.start()
    client.transport.write([header(ApiVersions.key, UNKNOWN_VERSION, 7)])
    expect(await client.receive(ApiVersions, 0)).toMatchObject({
      errorCode: 35,
      apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }],
    })
    const again = await client.request(ApiVersions, 4, { clientSoftwareName: 'raw', clientSoftwareVersion: '1.0' })
    expect(again.errorCode).toBe(0)
  })

  it('ApiVersions refuses a software name that is none (42)', async () => {
    const client = await b.start()
    const answer = await client.request(ApiVersions, 3, { clientSoftwareName: '-', clientSoftwareVersion: '1' })
    expect(answer.errorCode).toBe(42)
  })

  it.each([
    ['an unknown api', header(999, 0, 1)],
    ['an api that is not implemented', header(JoinGroup.key, 5, 1)],
    ['a version above the range', header(Metadata.key, UNKNOWN_VERSION, 1)],
    ['Produce below 3, although listed from 0', header(Produce.key, 2, 1)],
    ['a frame that ends too early', Buffer.from([0, 0, 0, 5, 0, 3, 0, 12, 0])],
  ])('F-2: %s closes the connection', async (_name, frame) => {
    const client = await b.start()
    client.transport.write([frame])
    await client.closed
  })

  it('F-2: nothing is advertised that has no handler', async () => {
    const client = await b.start()
    const { apiKeys } = await client.request(ApiVersions, 0, {})
    const served = [
      0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 32, 33, 44, 36, 37, 42, 47, 60, 61, 68,
      69,
    ]
    expect(apiKeys.map(({ apiKey }) => apiKey)).toEqual(served)
  })

  const produceMaximum: [ProfileName, number, number][] = [
    ['2.1', 7, 10],
    ['2.4', 8, 11],
    ['2.8', 9, 12],
    ['3.9', 11, 17],
    ['4.1', 13, 18],
    ['4.5', 13, 18],
  ]
  it.each(produceMaximum)('profile %s offers Produce up to %i and Fetch up to %i', async (profile, produce, fetch) => {
    const client = await b.start({ profile })
    const { apiKeys } = await client.request(ApiVersions, 0, {})
    const highest = (key: number) => apiKeys.find(({ apiKey }) => apiKey === key)?.maxVersion
    expect([highest(Produce.key), highest(Fetch.key)]).toEqual([produce, fetch])
    expect(apiKeys.some(({ apiKey }) => apiKey === 61)).toBe(!['2.1', '2.4'].includes(profile))
  })

  it('B-8: profiles up to 2.4 answer 59 to a first sequence other than 0 without state', async () => {
    const client = await b.start({ profile: '2.4' })
    b.broker.createTopic('t')
    const send = async (baseSequence: number) => {
      const body = produceBody('t', 0, { values: ['x'], producerId: 5n, producerEpoch: 0, baseSequence })
      return (await client.request(Produce, 8, body)).responses[0]?.partitionResponses[0]?.errorCode
    }
    expect(await send(3)).toBe(59)
    expect(await send(0)).toBe(0)
  })

  it('B-9: 4.5 accepts only sequence 0 in a log that never held a record', async () => {
    const client = await b.start({ profile: '4.5' })
    b.broker.createTopic('t')
    const send = async (producerId: bigint, baseSequence: number) =>
      (await b.produce(client, { values: ['x'], producerId, producerEpoch: 0, baseSequence }))?.errorCode
    expect(await send(5n, 3)).toBe(45)
    expect(await send(5n, 0)).toBe(0)
    expect(await send(6n, 3)).toBe(0)
    b.broker.deleteRecords({ topic: 't', partition: 0 }, 2)
    expect(await send(7n, 3)).toBe(0)
  })

  it('P-37: acks 0 is not answered; an error closes the connection', async () => {
    const client = await b.start()
    b.broker.createTopic('t')
    client.send(Produce, PRODUCE_VERSION, produceBody('t', 0, { values: ['x'] }, 0))
    await b.broker.appended('t', 0, 1)
    expect((await b.produce(client, { values: ['y'] }))?.baseOffset).toBe(1)
    client.send(Produce, PRODUCE_VERSION, produceBody('none', 0, { values: ['x'] }, 0))
    await client.closed
  })

  it('answers keep the order of requests, also behind a long poll', async () => {
    const client = await b.start()
    b.broker.createTopic('t')
    client.send(Fetch, 12, b.fetchBody({ maxWaitMs: 100 }))
    client.send(Metadata, 12, { topics: null })
    await b.broker.saw({ api: 'Metadata' })
    b.clock.advance(100)
    expect((await client.receive(Fetch, 12)).errorCode).toBe(0)
    expect((await client.receive(Metadata, 12)).topics).toHaveLength(1)
  })

  it('zstd below Produce 7 is 76', async () => {
    const client = await b.start()
    b.broker.createTopic('t')
    const answer = await client.request(Produce, 6, produceBody('t', 0, { values: ['x'], attributes: 4 }))
    expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(76)
  })

  it('W-15: mutated frames are answered or close the connection, never more', async () => {
    await b.start()
    b.broker.createTopic('t')
    const random = seededRandom(4711)
    for (let round = 0; round < 300; round++) {
      const good = Buffer.concat(
        encodeRequest(Produce, PRODUCE_VERSION, round, 'fuzz', produceBody('t', 0, { values: ['hello', 'world'] })),
      )
      const frame = Buffer.from(good)
      for (let flips = 1 + randomInt(random, 4); flips > 0; flips--) {
        frame[4 + randomInt(random, frame.length - 4)] = randomInt(random, 256)
      }
      const client = await b.connect(1)
      client.transport.write([frame])
      client.send(Metadata, 12, { topics: null })
      // Either an answer comes or the connection ends: `next` settles in both cases.
      await client.next()
      client.close()
    }
    const client = await b.connect(1)
    expect((await b.produce(client, { values: ['still here'] }))?.errorCode).toBe(0)
  })
})
