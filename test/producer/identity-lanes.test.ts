/**
 * What the trouble of one batch does to its neighbours in the lane (everything that is right) and to other lanes
 * (nothing); producer ids that others use, numbers that wrap, and the question for an id.
 */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type Broker, fault } from '../../lib/broker/index.js'
import { LaneIdentity } from '../../lib/producer/identity.js'
import { IdentitySource } from '../../lib/producer/identity-source.js'
import { epochs, idOf, ids, OUT_OF_ORDER, PARTITION, refuse, scene, values, writeAs } from './identity-support.js'
import { errorOf, newProducer, stage, turns, until } from './support.js'

describe('other batches of the lane, and other lanes', () => {
  const small = { maxBatchBytes: 1024, batchBytes: 1024, compression: 'none' } as const
  const large = (letter: string) => letter.repeat(900)
  const letters = async (broker: Broker) => (await values(broker)).map((value) => value?.[0]).join('')

  it('P-27: 45 for the batches behind a refused one: put back, nothing else', async () => {
    const { broker, producer } = await scene(1, small)
    broker.on({ api: 'Produce', nth: 1 }, fault.error(19))
    const sends = [...'abcde'].map((letter) => producer.sendSync('orders', large(letter)))
    await expect(Promise.all(sends)).resolves.toMatchObject([1, 2, 3, 4, 5].map((offset) => ({ offset })))
    expect(await letters(broker)).toBe('wabcde')
    expect(broker.count({ api: 'DescribeProducers' })).toBe(0)
    expect(new Set(epochs(broker))).toEqual(new Set([0]))
  })

  it('3.6: in doubt, and a later batch is acknowledged: that proves it, and it is found before that one', async () => {
    const { broker, producer } = await scene(1, small)
    // A code that does not belong here says nothing about b, which was written as a and c were.
    broker.on({ api: 'Produce', nth: 2 }, fault.error(1, { when: 'after' }))
    const sends = [...'abc'].map((letter) => producer.sendSync('orders', large(letter)))
    await expect(Promise.all(sends)).resolves.toMatchObject([1, 2, 3].map((offset) => ({ offset })))
    expect(await letters(broker)).toBe('wabc')
    expect(broker.count({ api: 'DescribeProducers' })).toBe(0)
  })

  it('3.6: a batch that the broker refused before it took a later one, having forgotten us: sent under new numbers', async () => {
    const { broker, producer, losses } = await scene(1, small)
    broker.on({ api: 'Produce', nth: 1 }, fault.error(19))
    broker.forgetState(PARTITION)
    const sends = [...'ab'].map((letter) => producer.sendSync('orders', large(letter)))
    await expect(Promise.all(sends)).resolves.toHaveLength(2)
    expect([...(await letters(broker))].sort().join('')).toBe('abw')
    expect(losses).toEqual([])
  })

  it('P-20, 3.5: a batch refused for good leaves a gap: those behind it take new numbers, none is lost or doubled', async () => {
    const { broker, producer, losses } = await scene(1, small)
    broker.on({ api: 'Produce', nth: 2 }, fault.error(87))
    const sends = [...'abcde'].map((letter) => producer.sendSync('orders', large(letter)))
    const settled = await Promise.allSettled(sends)
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', ...Array(3).fill('fulfilled')])
    expect(await letters(broker)).toBe('wacde')
    expect(epochs(broker)).toEqual([0, 0, 1, 1, 1])
    expect(losses).toEqual([])
  })

  it('3.6: a batch of a producer without identity is not taken for ours while we look for our own', async () => {
    const { broker, producer } = await scene(1, small)
    expect(await writeAs(broker, -1n, -1, -1)).toBe(0)
    broker.on({ api: 'Produce', nth: 2 }, fault.error(87))
    const sends = [...'abc'].map((letter) => producer.sendSync('orders', large(letter)))
    const settled = await Promise.allSettled(sends)
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await letters(broker)).toBe('wfac')
  })

  it('3.5: a doubtful batch behind a refused one was refused too: it goes on, instead of failing in doubt', async () => {
    const { broker, producer, losses } = await scene(1, small)
    // b is refused for good; then the socket goes, so nobody knows of c, d, e.
    broker.on({ api: 'Produce', nth: 2 }, fault.error(87))
    broker.on({ api: 'Produce', nth: 3 }, fault.wrongCorrelation())
    const sends = [...'abcde'].map((letter) => producer.sendSync('orders', large(letter)))
    const settled = await Promise.allSettled(sends)
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', ...Array(3).fill('fulfilled')])
    expect(await letters(broker)).toBe('wacde')
    expect(losses).toEqual([])
  })

  it('3.5: a doubtful batch before a refused one is resent under its old numbers', async () => {
    const { broker, producer, losses } = await scene(1, small)
    broker.on({ api: 'Produce', nth: 1 }, fault.error(7))
    broker.on({ api: 'Produce', nth: 2 }, fault.error(87))
    const sends = [...'abcd'].map((letter) => producer.sendSync('orders', large(letter)))
    const settled = await Promise.allSettled(sends)
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
    expect(await letters(broker)).toBe('wacd')
    expect(losses).toEqual([])
  })

  it('P-24: what happens to one lane changes neither identity nor numbers of another', async () => {
    const { broker, producer } = await stage({}, { partitions: 2 })
    const send = (partition: number, value: string) => producer.sendSync('orders', value, { partition })
    await Promise.all([send(0, 'a0'), send(1, 'b0')])
    broker.on({ api: 'Produce', partition: 0, nth: 1, times: 2 }, fault.error(OUT_OF_ORDER))
    await Promise.all([send(0, 'a1'), send(1, 'b1')])
    await Promise.all([send(0, 'a2'), send(1, 'b2')])
    const numbers = (partition: number) =>
      broker.log('orders', partition).batches.map((batch) => [batch.producerEpoch, batch.baseSequence])
    expect(numbers(0)).toEqual([
      [0, 0],
      [1, 0],
      [1, 1],
    ])
    expect(numbers(1)).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
    ])
    const all = [0, 1].flatMap((partition) => broker.log('orders', partition).batches)
    expect(new Set(all.map((batch) => batch.producerId)).size).toBe(1)
  })

  it('3.5: the last epoch is followed by a new producer id', async () => {
    const test = await scene()
    vi.spyOn(LaneIdentity.prototype, 'mayRaiseEpoch', 'get').mockReturnValue(false)
    onTestFinished(() => void vi.restoreAllMocks())
    refuse(test, [OUT_OF_ORDER, OUT_OF_ORDER])
    await expect(test.producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 3 })
    expect(new Set(ids(test.broker)).size).toBe(2)
    expect(test.broker.log('orders', 0).batches.at(-1)).toMatchObject({ producerEpoch: 0, baseSequence: 0 })
  })

  it('P-30: two processes with one producer id: the second one stops as soon as the numbers show it', async () => {
    const first = await scene()
    vi.spyOn(IdentitySource.prototype, 'fetch').mockResolvedValue(idOf(first.broker))
    onTestFinished(() => void vi.restoreAllMocks())
    const second = newProducer(first.broker, {}, { clock: first.clock })
    const results = await second.sendBatchSync({ topic: 'orders', messages: [{ value: 'x' }, { value: 'y' }] })
    expect(results.map(({ error }) => error?.context.reason)).toEqual(['IDENTITY_REUSED', 'IDENTITY_REUSED'])
    expect(await values(first.broker)).toEqual(['warm0', 'warm1', 'warm2'])
  })
})

describe('P-30: an answer with a time tells a duplicate', () => {
  it('a second process with our producer id is told with its first record, which is not in the log', async () => {
    const first = await scene()
    vi.spyOn(IdentitySource.prototype, 'fetch').mockResolvedValue(idOf(first.broker))
    onTestFinished(() => void vi.restoreAllMocks())
    const second = newProducer(first.broker, {}, { clock: first.clock })
    const error = await errorOf(second.sendSync('orders', 'swallowed'))
    expect(error).toMatchObject({ code: 'PRODUCE_FAILED', fatal: true })
    expect(error.context).toMatchObject({ reason: 'IDENTITY_REUSED', persistence: 'possibly-persisted' })
    expect(await values(first.broker)).toEqual(['warm0', 'warm1', 'warm2'])
    expect(second.getMetrics()).toMatchObject({ successMessages: 0, failedMessages: 1 })
  })

  it('a topic that gives its own time is no suspect: one look per topic, and the caller is told the time', async () => {
    const topic = { partitions: 4, configs: { 'message.timestamp.type': 'LogAppendTime' } }
    const { clock, broker, producer } = await stage({}, topic)
    for (let record = 0; record < 12; record++) {
      const sent = producer.sendSync('orders', 'x', { partition: record % 4, timestamp: 1000 })
      const { timestamp, offset } = await sent
      expect(Math.abs(timestamp - clock.now())).toBeLessThan(1000)
      expect(offset).toBe(Math.floor(record / 4))
    }
    expect(broker.count({ api: 'Fetch' })).toBe(1)
  })

  it('a topic that changes to its own time while it is written to is no suspect either', async () => {
    const { broker, producer } = await scene()
    broker.setTopicConfig('orders', 'message.timestamp.type', 'LogAppendTime')
    await expect(producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 3 })
    await expect(producer.sendSync('orders', 'y')).resolves.toMatchObject({ offset: 4 })
  })

  it('where nobody may read the log nothing can be told, and nothing fails', async () => {
    const { broker, producer } = await stage({}, { configs: { 'message.timestamp.type': 'LogAppendTime' } })
    broker.on({ api: 'Fetch' }, fault.error(29))
    await expect(producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 0 })
    await expect(producer.sendSync('orders', 'y')).resolves.toMatchObject({ offset: 1 })
    expect(broker.count({ api: 'Fetch' })).toBe(3)
  })

  it('a resend that is found to be a duplicate keeps the time of its records', async () => {
    const { broker, producer } = await scene(1)
    broker.on({ api: 'Produce', nth: 1 }, fault.drop('after'))
    const [one, two] = await Promise.all([
      producer.sendSync('orders', 'one', { timestamp: 1_699_999_000_000 }),
      producer.sendSync('orders', 'two', { timestamp: 1_699_999_500_000 }),
    ])
    expect([one.timestamp, two.timestamp]).toEqual([1_699_999_000_000, 1_699_999_500_000])
    expect(await values(broker)).toEqual(['warm0', 'one', 'two'])
  })
})

describe('P-30: an answer with an offset of the past', () => {
  it('a first attempt that is answered with an offset below what is acknowledged: never counted as delivered', async () => {
    const { broker, producer } = await scene(3)
    // The lowest byte of the base offset (3 becomes 1): behind it stand 16 bytes of time and log start, two empty
    // lists, tags, and the throttle time.
    broker.on({ api: 'Produce', nth: 1 }, fault.corrupt({ offset: -26, xor: 2 }))
    const error = await errorOf(producer.sendSync('orders', 'x'))
    expect(error).toMatchObject({ code: 'PRODUCE_FAILED', fatal: true })
    expect(error.context).toMatchObject({ reason: 'IDENTITY_REUSED', persistence: 'possibly-persisted' })
    expect(error.message).toContain('offset 1')
    expect(producer.getMetrics()).toMatchObject({ successMessages: 3, failedMessages: 1 })
    expect((await errorOf(producer.sendSync('orders', 'y'))).context.reason).toBe('IDENTITY_REUSED')
  })
})

describe('the wrap of sequences', () => {
  /** Lanes begin at `first` instead of 0, which a broker without state accepts. */
  function beginAt(first: number): void {
    const { stamp } = LaneIdentity.prototype
    const seen = new WeakSet<LaneIdentity>()
    vi.spyOn(LaneIdentity.prototype, 'stamp').mockImplementation(function (this: LaneIdentity, batch) {
      if (!seen.has(this)) this.nextSequence = first
      seen.add(this)
      stamp.call(this, batch)
    })
    onTestFinished(() => void vi.restoreAllMocks())
  }

  it('P-25, K-5: 2147483647 is followed by 0, also inside a batch', async () => {
    beginAt(2 ** 31 - 3)
    const { broker, producer } = await stage()
    await producer.sendSync('orders', 'first')
    const messages = Array.from({ length: 5 }, (_, index) => ({ value: `m${index}` }))
    await producer.sendBatchSync({ topic: 'orders', messages })
    await producer.sendSync('orders', 'last')
    const { batches } = broker.log('orders', 0)
    expect(batches.map((batch) => [batch.baseSequence, batch.count])).toEqual([
      [2 ** 31 - 3, 1],
      [2 ** 31 - 2, 5],
      [3, 1],
    ])
    expect(epochs(broker)).toEqual([0, 0, 0])
  })

  it('P-25, P-26: in doubt across the wrap, written or not', async () => {
    for (const when of ['before', 'after'] as const) {
      beginAt(2 ** 31 - 2)
      const test = await scene(1)
      const { broker, producer } = test
      broker.on({ api: 'Produce', nth: 1 }, fault.drop(when))
      broker.on({ api: 'Produce', nth: 2 }, fault.error(OUT_OF_ORDER))
      const messages = [{ value: 'a' }, { value: 'b' }, { value: 'c' }]
      const results = await producer.sendBatchSync({ topic: 'orders', messages })
      expect(results.map(({ offset }) => offset)).toEqual([1, 2, 3])
      await expect(producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 4 })
      expect(await values(broker)).toEqual(['warm0', 'a', 'b', 'c', 'next'])
      expect(new Set(epochs(broker))).toEqual(new Set([0]))
      vi.restoreAllMocks()
    }
  })

  it('P-25, 3.6: data loss across the wrap is counted right', async () => {
    beginAt(2 ** 31 - 1)
    const test = await scene(1, { metadataMaxAgeMs: 1000 }, { nodes: 2 })
    test.broker.setIsr(PARTITION, [1])
    for (const value of ['lost1', 'lost2']) await test.producer.sendSync('orders', value)
    test.broker.uncleanElection(PARTITION, 2)
    await turns(2500)
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 1 })
    expect(test.losses).toEqual([{ topic: 'orders', partition: 0, from: 0, to: 1 }])
  })
})

describe('the identity itself', () => {
  it.each([14, 15, 16, 51])('P-38: InitProducerId is asked again on %i', async (code) => {
    const { broker, producer } = await stage()
    broker.on({ api: 'InitProducerId', nth: 1, times: 2 }, fault.error(code))
    await expect(producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 0 })
    expect(broker.count({ api: 'InitProducerId' })).toBe(3)
  })

  it('P-38: InitProducerId is asked again when the connection breaks', async () => {
    const { broker, producer } = await stage()
    broker.on({ api: 'InitProducerId', nth: 1, times: 2 }, fault.drop('after'))
    await expect(producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 0 })
  })

  it('P-38: one question for all lanes', async () => {
    const { broker, producer } = await stage({}, { partitions: 12 })
    await Promise.all(Array.from({ length: 12 }, (_, partition) => producer.sendSync('orders', 'x', { partition })))
    expect(broker.count({ api: 'InitProducerId' })).toBe(1)
  })

  it('P-38: 31 is fatal and says which permission is missing', async () => {
    const { broker, producer } = await stage()
    broker.on({ api: 'InitProducerId' }, fault.error(31))
    const error = await errorOf(producer.sendSync('orders', 'x'))
    expect(error).toMatchObject({ code: 'AUTHORIZATION_FAILED', fatal: true })
    expect(error.message).toContain('IDEMPOTENT_WRITE')
    expect(error.context).toMatchObject({ persistence: 'not-persisted' })
    await until(() => producer.getMetrics().pendingMessages === 0)
    expect(await errorOf(producer.sendSync('orders', 'y'))).toMatchObject({ code: 'AUTHORIZATION_FAILED' })
  })
})
