/**
 * 45, 47 and 59 for the first batch of a lane: the broker's memory decides, cell by cell of the table in kafka.md 3.6.
 * How states are made: an answer that is lost leaves a batch in doubt, written ('after') or not ('before'); what the
 * broker remembers is changed by its own commands; the code is either its own or ordered for the second attempt.
 */
import { describe, expect, it } from 'vitest'
import { type Broker, fault } from '../../lib/broker/index.js'
import type { MQError } from '../../lib/errors/index.js'
import {
  epochs,
  idOf,
  ids,
  inDoubt,
  OUT_OF_ORDER,
  PARTITION,
  refuse,
  type Scene,
  scene,
  values,
  writeAs,
} from './identity-support.js'
import { errorOf, turns } from './support.js'

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
