/** BR-2: each fault once, seen from a client that knows frames and nothing else. */
import { afterEach, describe, expect, it } from 'vitest'
import { type Broker, type BrokerOptions, createBroker, fault } from '../../lib/broker/index.js'
import { InitProducerId, Metadata, Produce } from '../../lib/protocol/index.js'
import { FakeClock } from '../../lib/util/index.js'
import { makeBatch, NOW } from './batches.js'
import { RawClient } from './raw-client.js'

let broker: Broker
let clock: FakeClock
const clients: RawClient[] = []

async function start(options: BrokerOptions = {}): Promise<RawClient> {
  clock = new FakeClock(NOW)
  broker = await createBroker({ clock, ...options })
  broker.createTopic('t', { partitions: 3 })
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

const VERSION = 12

function produceBody(partition: number, value: string, acks = -1) {
  const records = makeBatch({ values: [value] })
  return { acks, timeoutMs: 1000, topicData: [{ name: 't', partitionData: [{ index: partition, records }] }] }
}

async function produce(client: RawClient, partition = 0, value = 'x') {
  const answer = await client.request(Produce, VERSION, produceBody(partition, value))
  return { ...answer.responses[0]?.partitionResponses[0], throttleTimeMs: answer.throttleTimeMs }
}

/** Lets socket events and promise callbacks run, without waiting for time. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('faults on requests', () => {
  it('error before: the code per partition, nothing is appended; message and hits', async () => {
    const client = await start()
    const handle = broker.on({ api: 'Produce', topic: 't', partition: 1 }, fault.error(6, { message: 'on command' }))
    expect(await produce(client, 1)).toMatchObject({ errorCode: 6, baseOffset: -1, errorMessage: 'on command' })
    expect(await produce(client, 2)).toMatchObject({ errorCode: 0 })
    expect(broker.log('t', 1).logEnd).toBe(0)
    expect(handle.hits).toBe(1)
    handle.remove()
    expect(await produce(client, 1)).toMatchObject({ errorCode: 0 })
  })

  it('error after: the batch is appended, the answer lies', async () => {
    const client = await start()
    broker.on({ api: 'Produce', nth: 1 }, fault.error(7, { when: 'after' }))
    expect(await produce(client)).toMatchObject({ errorCode: 7, baseOffset: -1 })
    expect(broker.log('t', 0).logEnd).toBe(1)
    expect(await produce(client)).toMatchObject({ errorCode: 0, baseOffset: 1 })
  })

  it('error of an api without partitions', async () => {
    const client = await start()
    broker.on({ api: 'InitProducerId', times: 2 }, fault.error(15))
    const ask = () => client.request(InitProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 })
    expect(await ask()).toMatchObject({ errorCode: 15, producerId: -1n })
    expect(await ask()).toMatchObject({ errorCode: 15 })
    expect(await ask()).toMatchObject({ errorCode: 0, producerId: 0n })
  })

  it('hint: leader and address, the present ones or those given', async () => {
    const client = await start({ nodes: 2 })
    broker.createTopic('h', { assignments: [[1]] })
    broker.on({ topic: 'h', nth: 1 }, fault.error(6, { hint: true }))
    broker.on({ topic: 'h', nth: 2 }, fault.error(6, { hint: { leaderId: 2, leaderEpoch: 9 } }))
    const ask = () =>
      client.request(Produce, VERSION, {
        ...produceBody(0, 'x'),
        topicData: [{ name: 'h', partitionData: [{ index: 0, records: makeBatch({ values: ['x'] }) }] }],
      })
    const first = await ask()
    expect(first.responses[0]?.partitionResponses[0]?.currentLeader).toEqual({ leaderId: 1, leaderEpoch: 0 })
    expect(first.nodeEndpoints[0]).toMatchObject({ nodeId: 1, port: Number(broker.bootstrap.split(/[:,]/)[1]) })
    const second = await ask()
    expect(second.responses[0]?.partitionResponses[0]?.currentLeader).toEqual({ leaderId: 2, leaderEpoch: 9 })
  })

  it('nth and times choose the requests', async () => {
    const client = await start()
    broker.on({ api: 'Produce', nth: 2, times: 2 }, fault.error(19))
    const codes: (number | undefined)[] = []
    for (let sent = 0; sent < 4; sent++) codes.push((await produce(client)).errorCode)
    expect(codes).toEqual([0, 19, 19, 0])
  })

  it('delay: done at once, answered later, others behind it in order', async () => {
    const client = await start()
    broker.on({ api: 'Produce', nth: 1 }, fault.delay(500))
    const slow = produce(client, 0, 'slow')
    const behind = produce(client, 0, 'behind')
    await broker.saw({ api: 'Produce', count: 2 })
    expect(broker.log('t', 0).logEnd).toBe(1)
    const other = await connect()
    expect((await produce(other, 1)).errorCode).toBe(0)
    clock.advance(500)
    expect((await slow).baseOffset).toBe(0)
    expect((await behind).baseOffset).toBe(1)
  })

  it('hold and release', async () => {
    const client = await start()
    const handle = broker.on({ api: 'Produce' }, fault.hold())
    let isAnswered = false
    const held = produce(client).then((answer) => {
      isAnswered = true
      return answer
    })
    await broker.hit(handle)
    await broker.appended('t', 0, 1)
    await turn()
    expect(isAnswered).toBe(false)
    handle.release()
    expect((await held).errorCode).toBe(0)
  })

  it('drop before and after the append', async () => {
    const client = await start()
    broker.on({ api: 'Produce', nth: 1 }, fault.drop('before'))
    broker.on({ api: 'Produce', nth: 2 }, fault.drop('after'))
    client.send(Produce, VERSION, produceBody(0, 'x'))
    await client.closed
    expect(broker.log('t', 0).logEnd).toBe(0)
    const again = await connect()
    again.send(Produce, VERSION, produceBody(0, 'x'))
    await again.closed
    expect(broker.log('t', 0).logEnd).toBe(1)
  })

  it('disconnect inside the answer frame', async () => {
    const client = await start()
    const bytesBefore = client.transport.bytesRead
    broker.on({ api: 'Produce' }, fault.disconnect({ afterBytes: 11 }))
    client.send(Produce, VERSION, produceBody(0, 'x'))
    await client.closed
    expect(client.transport.bytesRead - bytesBefore).toBe(11)
    expect(broker.log('t', 0).logEnd).toBe(1)
  })

  it('blackhole: the socket stays open, nothing is done or answered', async () => {
    const client = await start()
    const handle = broker.on({ api: 'Produce', nth: 1 }, fault.blackhole())
    client.send(Produce, VERSION, produceBody(0, 'x'))
    await broker.hit(handle)
    client.send(Produce, VERSION, produceBody(0, 'y'))
    const other = await connect()
    await produce(other, 1)
    expect(broker.log('t', 0).logEnd).toBe(0)
    expect(client.isClosed).toBe(false)
  })

  it('corrupt, truncate, wrong correlation, garbage: damaged frames', async () => {
    const client = await start()
    const good = (await answerOf(client, 0)) as Buffer
    broker.on({ api: 'Produce', nth: 1 }, fault.corrupt({ offset: -1, xor: 0x01 }))
    const flipped = (await answerOf(client, 1)) as Buffer
    expect(flipped.length).toBe(good.length)
    expect((flipped.at(-1) as number) ^ (good.at(-1) as number)).toBe(1)
    broker.on({ api: 'Produce', nth: 1 }, fault.truncate(7))
    const cut = (await answerOf(client, 1)) as Buffer
    expect(cut.length).toBe(good.length - 7)
    expect(cut.readInt32BE(0)).toBe(cut.length - 4)
    broker.on({ api: 'Produce', nth: 1 }, fault.wrongCorrelation())
    expect(((await answerOf(client, 1)) as Buffer).readInt32BE(4)).toBe(1000 + 3)
    broker.on({ api: 'Produce', nth: 1 }, fault.garbage(Buffer.from([0, 0, 0, 4, 6, 7, 8, 9])))
    expect(await answerOf(client, 1)).toEqual(Buffer.from([0, 0, 0, 4, 6, 7, 8, 9]))
  })

  async function answerOf(client: RawClient, partition: number): Promise<Buffer | null> {
    client.send(Produce, VERSION, produceBody(partition, 'x'))
    return client.next()
  }

  it('extra tags: a reader skips them in header and body', async () => {
    const client = await start()
    const plain = await client.request(Metadata, 12, { topics: null })
    broker.on({}, fault.extraTags())
    const bytesBefore = client.transport.bytesRead
    const tagged = await client.request(Metadata, 12, { topics: null })
    expect(tagged).toEqual(plain)
    const untagged = bytesBefore
    expect(client.transport.bytesRead - bytesBefore).toBe(untagged + 2 * 6)
  })

  it('throttle: the answer says so and the connection is muted', async () => {
    const client = await start()
    broker.on({ api: 'Produce', nth: 1 }, fault.throttle(300))
    expect((await produce(client)).throttleTimeMs).toBe(300)
    const muted = produce(client)
    await broker.saw({ api: 'Produce', count: 2 })
    await turn()
    expect(broker.log('t', 0).logEnd).toBe(1)
    clock.advance(300)
    expect((await muted).baseOffset).toBe(1)
  })

  it('matches by broker and client id', async () => {
    const client = await start({ nodes: 2 })
    broker.on({ api: 'Metadata', node: 2 }, fault.drop('before'))
    broker.on({ api: 'InitProducerId', clientId: 'other' }, fault.error(15))
    await client.request(Metadata, 12, { topics: null })
    const answer = await client.request(InitProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 })
    expect(answer.errorCode).toBe(0)
    const second = await connect(1)
    second.send(Metadata, 12, { topics: null })
    await second.closed
  })
})
