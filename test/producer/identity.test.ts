/**
 * 45, 47 and 59 for the first batch of a lane: the broker's memory decides, cell by cell of the table in kafka.md 3.6.
 * How states are made: an answer that is lost leaves a batch in doubt, written ('after') or not ('before'); what the
 * broker remembers is changed by its own commands; the code is either its own or ordered for the second attempt.
 */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type Broker, type BrokerOptions, fault } from '../../lib/broker/index.js'
import type { ProducerConfig } from '../../lib/config/index.js'
import type { MQError } from '../../lib/errors/index.js'
import { LaneIdentity } from '../../lib/producer/identity.js'
import { IdentitySource } from '../../lib/producer/identity-source.js'
import type { DataLoss, Producer } from '../../lib/producer/index.js'
import { Produce } from '../../lib/protocol/index.js'
import { makeBatch } from '../broker/batches.js'
import { RawClient } from '../broker/raw-client.js'
import type { DrivenClock } from '../support/driven-clock.js'
import { errorOf, logOf, newProducer, stage, turns, until } from './support.js'

const PARTITION = { topic: 'orders', partition: 0 }
const OUT_OF_ORDER = 45

interface Scene {
  readonly clock: DrivenClock
  readonly broker: Broker
  readonly producer: Producer
  readonly losses: DataLoss[]
  readonly warnings: MQError[]
}

/** A lane with `warm` acknowledged records, sequences 0.., one batch each. */
async function scene(warm = 3, config: ProducerConfig = {}, options: BrokerOptions = {}): Promise<Scene> {
  const replicationFactor = options.nodes ?? 1
  const { clock, broker, producer } = await stage(config, { replicationFactor }, options)
  const losses: DataLoss[] = []
  const warnings: MQError[] = []
  producer.on('dataLoss', (loss) => losses.push(loss))
  producer.on('warning', (error) => warnings.push(error))
  for (let record = 0; record < warm; record++) await producer.sendSync('orders', `warm${record}`)
  return { clock, broker, producer, losses, warnings }
}

/** The next batch's answer is lost; what happens before the retry is `meanwhile`; the retry meets `code`. */
async function inDoubt(
  { broker, producer }: Scene,
  when: 'before' | 'after',
  meanwhile: () => void | Promise<void> = () => {},
  codes: readonly number[] = [OUT_OF_ORDER],
) {
  const attempts = broker.count({ api: 'Produce' })
  const lost = broker.on({ api: 'Produce', nth: 1 }, fault.drop(when))
  for (const [index, code] of codes.entries()) broker.on({ api: 'Produce', nth: 2 + index }, fault.error(code))
  const sent = producer.sendSync('orders', 'doubted')
  sent.catch(() => {})
  await broker.hit(lost)
  await meanwhile()
  return { sent, attempts: () => broker.count({ api: 'Produce' }) - attempts }
}

/** The next batch is refused with `code`, once or several times; nothing of it is in doubt. */
function refuse({ broker }: Scene, codes: readonly number[] = [OUT_OF_ORDER]): void {
  for (const [index, code] of codes.entries()) broker.on({ api: 'Produce', nth: 1 + index }, fault.error(code))
}

const values = async (broker: Broker) => (await logOf(broker, 'orders')).map((record) => record.value)
const epochs = (broker: Broker, partition = 0) =>
  broker.log('orders', partition).batches.map((batch) => batch.producerEpoch)
const ids = (broker: Broker) => broker.log('orders', 0).batches.map((batch) => batch.producerId)
const idOf = (broker: Broker) => ids(broker)[0] as bigint

/** Writes a batch as another process would that got hold of a producer id. */
async function writeAs(broker: Broker, producerId: bigint, producerEpoch: number, baseSequence: number, count = 1) {
  const client = await RawClient.connect(broker.bootstrap)
  const foreign = Array.from({ length: count }, (_, index) => `foreign${index}`)
  const records = makeBatch({ values: foreign, producerId, producerEpoch, baseSequence })
  const answer = await client.request(Produce, 9, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1000,
    topicData: [{ name: 'orders', partitionData: [{ index: 0, records }] }],
  })
  client.close()
  return answer.responses[0]?.partitionResponses[0]?.errorCode
}

describe('45 on the head: our epoch is known and its last sequence is that of the batch or later', () => {
  it('P-26, 3.6: in doubt and written: acknowledged where it is, once', async () => {
    const test = await scene()
    const { sent, attempts } = await inDoubt(test, 'after')
    await expect(sent).resolves.toMatchObject({ offset: 3 })
    expect(attempts()).toBe(2)
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 4 })
    expect(await values(test.broker)).toEqual(['warm0', 'warm1', 'warm2', 'doubted', 'next'])
    expect(new Set(epochs(test.broker))).toEqual(new Set([0]))
    expect(test.losses).toEqual([])
  })

  it('B-12, 3.6: five batches in doubt, and a restart that leaves the last one in memory: all acknowledged, none twice', async () => {
    const { broker, producer } = await scene(1, { maxBatchBytes: 1024, batchBytes: 1024, compression: 'none' })
    // The first answer is rubbish: the socket goes, with five batches on it that were all written.
    broker.on({ api: 'Produce', nth: 1 }, fault.wrongCorrelation())
    const sends = [...'abcde'].map((letter) => producer.sendSync('orders', letter.repeat(900)))
    await broker.appended('orders', 0, 6)
    await broker.stop(1)
    await broker.start(1)
    expect(broker.log('orders', 0).producers[0]?.batches).toHaveLength(1)
    await expect(Promise.all(sends)).resolves.toMatchObject([1, 2, 3, 4, 5].map((offset) => ({ offset })))
    await expect(producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 6 })
    expect((await values(broker)).map((value) => value?.[0])).toEqual(['w', 'a', 'b', 'c', 'd', 'e', 'n'])
    expect(broker.count({ api: 'DescribeProducers' })).toBeGreaterThan(0)
  })

  it('3.6: written but not below the high watermark yet: acknowledged only when it is', async () => {
    const test = await scene(2, {}, { nodes: 2 })
    const { broker, producer } = test
    const release = broker.holdReplication(PARTITION)
    const lost = broker.on({ api: 'Produce', nth: 1 }, fault.drop('before'))
    const hung = broker.on({ api: 'Produce', nth: 2 }, fault.error(7, { when: 'after' }))
    broker.on({ api: 'Produce', nth: 3 }, fault.error(OUT_OF_ORDER))
    let isTold = false
    const sent = producer.sendSync('orders', 'doubted')
    void sent.then(() => {
      isTold = true
    })
    await broker.hit(lost)
    await broker.hit(hung)
    await broker.saw({ api: 'DescribeProducers' })
    await turns(300)
    expect(isTold).toBe(false)
    release()
    await expect(sent).resolves.toMatchObject({ offset: 2 })
    expect(await values(broker)).toEqual(['warm0', 'warm1', 'doubted'])
  })

  it('P-30: not in doubt, yet the broker is beyond it: somebody else uses our producer id, and we stop', async () => {
    const { broker, producer } = await scene()
    // Two records under our next number: our batch of one is no duplicate of it, and not the next either.
    expect(await writeAs(broker, idOf(broker), 0, 3, 2)).toBe(0)
    const errors: MQError[] = []
    producer.on('error', (error) => errors.push(error))
    const error = await errorOf(producer.sendSync('orders', 'mine'))
    expect(error).toMatchObject({ code: 'PRODUCE_FAILED', fatal: true })
    expect(error.context).toMatchObject({ reason: 'IDENTITY_REUSED', persistence: 'possibly-persisted' })
    expect((await errorOf(producer.sendSync('orders', 'later'))).context.reason).toBe('IDENTITY_REUSED')
    expect(errors.length).toBeGreaterThan(0)
    expect(await values(broker)).not.toContain('mine')
  })

  it('P-30: the last sequence lies inside our batch: somebody else', async () => {
    const { broker, producer } = await scene()
    expect(await writeAs(broker, idOf(broker), 0, 3)).toBe(0)
    const batch = producer.sendBatchSync({ topic: 'orders', messages: [{ value: 'x' }, { value: 'y' }] })
    const results = await batch
    expect(results.map(({ error }) => error?.context.reason)).toEqual(['IDENTITY_REUSED', 'IDENTITY_REUSED'])
  })
})

describe('45 on the head: our epoch is known and the batch is the next one', () => {
  it('3.6: in doubt: the same bytes once more', async () => {
    const test = await scene()
    const { sent, attempts } = await inDoubt(test, 'before')
    await expect(sent).resolves.toMatchObject({ offset: 3 })
    expect(attempts()).toBe(3)
    const sequences = test.broker.log('orders', 0).batches.map((batch) => batch.baseSequence)
    expect(sequences).toEqual([0, 1, 2, 3])
    expect(new Set(epochs(test.broker))).toEqual(new Set([0]))
  })

  it('3.6: in doubt and refused once more: ambiguous, it fails and later records go on', async () => {
    const test = await scene()
    const { sent } = await inDoubt(test, 'before', undefined, [OUT_OF_ORDER, OUT_OF_ORDER])
    await test.broker.saw({ api: 'Produce', count: 5 }) // From here on only the head leaves.
    const behind = test.producer.sendSync('orders', 'behind')
    const error = await errorOf(sent)
    expect(error).toMatchObject({ code: 'PRODUCE_FAILED', retryable: false, fatal: false })
    expect(error.context).toMatchObject({ persistence: 'possibly-persisted', topic: 'orders', partition: 0 })
    await expect(behind).resolves.toMatchObject({ offset: 3 })
    expect(await values(test.broker)).toEqual(['warm0', 'warm1', 'warm2', 'behind'])
    expect(epochs(test.broker)).toEqual([0, 0, 0, 1])
  })

  it('3.6: not in doubt: the same once more, then a new identity', async () => {
    const once = await scene()
    refuse(once)
    await expect(once.producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 3 })
    expect(epochs(once.broker)).toEqual([0, 0, 0, 0])
    const twice = await scene()
    refuse(twice, [OUT_OF_ORDER, OUT_OF_ORDER])
    await expect(twice.producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 3 })
    expect(epochs(twice.broker)).toEqual([0, 0, 0, 1])
    expect(twice.broker.log('orders', 0).batches.at(-1)?.baseSequence).toBe(0)
    expect([...once.losses, ...twice.losses]).toEqual([])
  })
})

describe('45 on the head: the broker lost what it had acknowledged', () => {
  /** Broker 2 would take over with one record of three. */
  async function lossy(): Promise<Scene> {
    const test = await scene(1, { metadataMaxAgeMs: 1000 }, { nodes: 2 })
    test.broker.setIsr(PARTITION, [1])
    for (const value of ['lost1', 'lost2']) await test.producer.sendSync('orders', value)
    return test
  }

  it('3.6: not in doubt: a dataLoss event with the sequences, and the batch goes on under a new identity', async () => {
    const test = await lossy()
    test.broker.uncleanElection(PARTITION, 2)
    await turns(2500) // The client learns of it by itself: a refusal by the old leader would leave a doubt.
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 1 })
    expect(test.losses).toEqual([{ topic: 'orders', partition: 0, from: 1, to: 2 }])
    // Offsets are below those of the old leader now, which is no sign of a foreign identity (P-30).
    await expect(test.producer.sendSync('orders', 'more')).resolves.toMatchObject({ offset: 2 })
    expect(await values(test.broker)).toEqual(['warm0', 'next', 'more'])
    expect(epochs(test.broker)).toEqual([0, 1, 1])
  })

  it('3.6: in doubt: the event, and the batch fails as ambiguous', async () => {
    const test = await lossy()
    const { sent } = await inDoubt(test, 'after', () => test.broker.uncleanElection(PARTITION, 2), [])
    const error = await errorOf(sent)
    expect(error.context).toMatchObject({ persistence: 'possibly-persisted' })
    expect(test.losses).toEqual([{ topic: 'orders', partition: 0, from: 1, to: 2 }])
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 1 })
    expect(await values(test.broker)).toEqual(['warm0', 'next'])
  })
})

describe('47: another writer raised the epoch', () => {
  it('3.6: not in doubt: a warning, and the lane goes on under a new producer id', async () => {
    const { broker, producer, warnings } = await scene()
    expect(await writeAs(broker, idOf(broker), 1, 0)).toBe(0)
    await expect(producer.sendSync('orders', 'mine')).resolves.toMatchObject({ offset: 4 })
    expect(warnings.map((warning) => warning.message).join()).toContain('raised the epoch')
    const [first, , , , last] = ids(broker)
    expect(last).not.toBe(first)
    expect(await values(broker)).toEqual(['warm0', 'warm1', 'warm2', 'foreign0', 'mine'])
  })

  it('3.6: a higher epoch in the state counts as 47 also when the answer was 45', async () => {
    const test = await scene()
    expect(await writeAs(test.broker, idOf(test.broker), 1, 0)).toBe(0)
    refuse(test)
    await expect(test.producer.sendSync('orders', 'mine')).resolves.toMatchObject({ offset: 4 })
    expect(new Set(ids(test.broker)).size).toBe(2)
  })

  it('3.6: in doubt and in the log: found there', async () => {
    const test = await scene()
    const { broker } = test
    const { sent } = await inDoubt(test, 'after', async () => void (await writeAs(broker, idOf(broker), 1, 0)), [])
    await expect(sent).resolves.toMatchObject({ offset: 3 })
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 5 })
    expect(await values(broker)).toEqual(['warm0', 'warm1', 'warm2', 'doubted', 'foreign0', 'next'])
  })

  it('3.6: in doubt and not in the log: ambiguous; the lane takes a producer id that nobody else has', async () => {
    const test = await scene()
    const { broker } = test
    const { sent } = await inDoubt(test, 'before', async () => void (await writeAs(broker, idOf(broker), 1, 0)), [])
    expect((await errorOf(sent)).context).toMatchObject({ persistence: 'possibly-persisted' })
    // Under epoch 1 of the old id this record would be swallowed as a duplicate of the other writer's first.
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 4 })
    expect(await values(broker)).toEqual(['warm0', 'warm1', 'warm2', 'foreign0', 'next'])
    expect(new Set(ids(broker)).size).toBe(2)
  })
})

describe('45 on the head: the broker knows nothing of us', () => {
  it('3.6: in doubt and written: found by the headers of the log', async () => {
    const test = await scene()
    const { sent } = await inDoubt(test, 'after', () => test.broker.forgetState(PARTITION))
    await expect(sent).resolves.toMatchObject({ offset: 3 })
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 4 })
    expect(await values(test.broker)).toEqual(['warm0', 'warm1', 'warm2', 'doubted', 'next'])
  })

  it('3.6: in doubt, written, and nothing was ever acknowledged: found by time', async () => {
    const test = await scene(0)
    const { sent } = await inDoubt(test, 'after', () => test.broker.forgetState(PARTITION))
    await expect(sent).resolves.toMatchObject({ offset: 0 })
    expect(await values(test.broker)).toEqual(['doubted'])
  })

  it('3.6: in doubt and not written: resent under the same identity', async () => {
    const test = await scene()
    const { sent } = await inDoubt(test, 'before', () => test.broker.forgetState(PARTITION))
    await expect(sent).resolves.toMatchObject({ offset: 3 })
    expect(epochs(test.broker)).toEqual([0, 0, 0, 0])
    expect(test.broker.log('orders', 0).batches.at(-1)?.baseSequence).toBe(3)
  })

  it('3.6: in doubt, not written, refused once more: ambiguous', async () => {
    const test = await scene()
    const forget = () => test.broker.forgetState(PARTITION)
    const { sent } = await inDoubt(test, 'before', forget, [OUT_OF_ORDER, OUT_OF_ORDER])
    expect((await errorOf(sent)).context).toMatchObject({ persistence: 'possibly-persisted' })
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 3 })
  })

  it('3.6: in doubt, and the log begins behind the place to look at: ambiguous', async () => {
    const test = await scene()
    const { broker } = test
    const { sent } = await inDoubt(test, 'after', () => {
      broker.deleteRecords(PARTITION, 4)
      broker.forgetState(PARTITION)
    })
    expect((await errorOf(sent)).context).toMatchObject({ persistence: 'possibly-persisted' })
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 4 })
  })

  it('3.6: not in doubt: the log is looked at, then a new identity; no loss is reported', async () => {
    const test = await scene()
    refuse(test)
    test.broker.forgetState(PARTITION)
    await expect(test.producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 3 })
    expect(epochs(test.broker)).toEqual([0, 0, 0, 1])
    expect(test.losses).toEqual([])
  })

  it('B-11, 3.6: expired while idle: any sequence is taken, the log stays whole', async () => {
    const test = await scene()
    test.broker.expireProducers(PARTITION)
    await expect(test.producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 3 })
    expect(epochs(test.broker)).toEqual([0, 0, 0, 0])
  })

  it('B-7, 3.6: a state of a lower epoch counts as none', async () => {
    const test = await scene()
    refuse(test, [OUT_OF_ORDER, OUT_OF_ORDER])
    await test.producer.sendSync('orders', 'epoch1')
    test.broker.forgetState(PARTITION)
    expect(await writeAs(test.broker, idOf(test.broker), 0, 0)).toBe(0)
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 5 })
    expect(await values(test.broker)).toEqual(['warm0', 'warm1', 'warm2', 'epoch1', 'foreign0', 'next'])
  })
})

describe('45 on the head: the broker does not tell', () => {
  const silences: [string, (broker: Broker) => void][] = [
    ['no READ permission', (broker) => void broker.on({ api: 'DescribeProducers' }, fault.error(29))],
    ['no such api', (broker) => broker.setVersions('DescribeProducers')],
  ]

  it.each(silences)(
    '3.6, %s, not in doubt: a dataLoss event without a beginning, a new identity',
    async (_, silence) => {
      const test = await scene(3)
      silence(test.broker)
      test.broker.disconnect() // Versions are negotiated per connection.
      await turns(100)
      refuse(test)
      await expect(test.producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 3 })
      expect(epochs(test.broker)).toEqual([0, 0, 0, 1])
      expect(test.losses).toEqual([{ topic: 'orders', partition: 0, from: -1, to: 2 }])
    },
  )

  it('3.6, no READ permission, in doubt: ambiguous although it was written, and the error says how to do better', async () => {
    const test = await scene()
    test.broker.on({ api: 'DescribeProducers' }, fault.error(29))
    const { sent } = await inDoubt(test, 'after')
    const error = await errorOf(sent)
    expect(error.context).toMatchObject({ persistence: 'possibly-persisted' })
    expect(error.message).toContain('READ')
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 4 })
  })

  it('3.6, no such api, in doubt and written: the log can be read, so it is found there', async () => {
    const test = await scene()
    test.broker.setVersions('DescribeProducers')
    const { sent } = await inDoubt(test, 'after', () => test.broker.disconnect())
    await expect(sent).resolves.toMatchObject({ offset: 3 })
    expect(await values(test.broker)).toEqual(['warm0', 'warm1', 'warm2', 'doubted'])
  })

  it('3.6, no such api, in doubt and not written: ambiguous', async () => {
    const test = await scene()
    test.broker.setVersions('DescribeProducers')
    const { sent } = await inDoubt(test, 'before', () => test.broker.disconnect())
    expect((await errorOf(sent)).context).toMatchObject({ persistence: 'possibly-persisted' })
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 3 })
  })
})

describe('59 of brokers up to 2.4', () => {
  const old = { profile: '2.4' } as const

  it('3.6, B-8: not in doubt: a new identity, nothing lost', async () => {
    const test = await scene(3, {}, old)
    test.broker.forgetState(PARTITION)
    await expect(test.producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 3 })
    expect(epochs(test.broker)).toEqual([0, 0, 0, 1])
    expect(test.losses).toEqual([])
  })

  it('3.6, B-8: not in doubt and retention removed everything: a new identity', async () => {
    const test = await scene(3, {}, old)
    test.broker.deleteRecords(PARTITION, 3)
    test.broker.forgetState(PARTITION)
    await expect(test.producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 3 })
  })

  it('3.6: in doubt and written: found in the log', async () => {
    const test = await scene(3, {}, old)
    const { sent } = await inDoubt(test, 'after', () => test.broker.forgetState(PARTITION), [])
    await expect(sent).resolves.toMatchObject({ offset: 3 })
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 4 })
    expect(await values(test.broker)).toEqual(['warm0', 'warm1', 'warm2', 'doubted', 'next'])
  })

  it('3.6: in doubt and not written: ambiguous', async () => {
    const test = await scene(3, {}, old)
    const { sent } = await inDoubt(test, 'before', () => test.broker.forgetState(PARTITION), [])
    expect((await errorOf(sent)).context).toMatchObject({ persistence: 'possibly-persisted' })
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 3 })
  })
})

describe('asking under way', () => {
  it('3.6: a leader that moves while we ask is followed', async () => {
    const test = await scene(2, {}, { nodes: 2 })
    const { broker } = test
    const asked = broker.on({ api: 'DescribeProducers', nth: 1 }, fault.error(6))
    const held = broker.on({ api: 'DescribeProducers', nth: 1 }, fault.hold())
    const { sent } = await inDoubt(test, 'after')
    await broker.hit(asked)
    broker.moveLeader(PARTITION, 2)
    held.release()
    await expect(sent).resolves.toMatchObject({ offset: 2 })
    expect(broker.count({ api: 'DescribeProducers', node: 2 })).toBeGreaterThan(0)
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 3 })
  })

  it('3.6: a leader that cannot be reached is asked until the delivery deadline, then the batch is in doubt for good', async () => {
    const test = await scene(1, { deliveryTimeoutMs: 3000, requestTimeoutMs: 500 })
    const { sent } = await inDoubt(test, 'before')
    const blackhole = test.broker.on({ api: 'DescribeProducers' }, fault.error(5))
    expect((await errorOf(sent)).context).toMatchObject({ persistence: 'possibly-persisted' })
    blackhole.remove()
    await expect(test.producer.sendSync('orders', 'next')).resolves.toMatchObject({ offset: 1 })
  })

  it('P-51: closing while we ask ends it at once', async () => {
    const test = await scene(1)
    const { sent } = await inDoubt(test, 'after')
    const asked = test.broker.on({ api: 'DescribeProducers' }, fault.error(5))
    await test.broker.hit(asked, 2)
    await test.producer.close({ timeoutMs: 0 })
    expect(await errorOf(sent)).toMatchObject({ code: 'PRODUCER_CLOSED' })
    expect(test.producer.getMetrics()).toMatchObject({ pendingMessages: 0, bufferUsedBytes: 0 })
  })
})

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
    vi.spyOn(LaneIdentity.prototype, 'raiseEpoch').mockReturnValue(false)
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
