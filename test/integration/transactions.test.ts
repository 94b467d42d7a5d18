/**
 * Reading beside transactions of others, on a real Kafka: what is aborted never comes, what is open is waited for, and
 * offsets that are part of an open transaction are not read from (C-10, C-11, C-35). kafkajs writes the transactions.
 * Why counts of fetches instead of pauses: that nothing comes is shown by answers that brought nothing.
 */
import { randomUUID } from 'node:crypto'
import type { Producer as KafkajsProducer } from 'kafkajs'
import { afterEach, expect, it } from 'vitest'
import type { ConsumerConfig } from '../../lib/config/index.js'
import { Consumer } from '../../lib/consumer/index.js'
import { eventually } from '../support/eventually.js'
import { kafkajsClient } from '../support/interop-kafkajs.js'
import { bootstrap, brokers, createTopic, describeWithKafka } from '../support/real-kafka.js'

const LIMIT_MS = 30_000
const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function writer(isTransactional = true): Promise<KafkajsProducer> {
  const transactional = { transactionalId: `txn-${randomUUID()}`, maxInFlightRequests: 1, idempotent: true }
  const producer = kafkajsClient(brokers).producer(isTransactional ? transactional : {})
  await producer.connect()
  closers.push(() => producer.disconnect())
  return producer
}

function reader(config: ConsumerConfig): Consumer {
  const base = { brokers: bootstrap, logLevel: 'silent' as const, fetchMaxWaitMs: 50 }
  const consumer = new Consumer({ ...base, autoOffsetReset: 'earliest', ...config })
  closers.push(() => consumer.close({ timeoutMs: 1_000 }))
  return consumer
}

/** So many more answers of the broker have been judged. */
async function answered(consumer: Consumer, count = 3): Promise<void> {
  const from = consumer.getMetrics().fetches
  await eventually('more answers', () => consumer.getMetrics().fetches >= from + count, LIMIT_MS)
}

describeWithKafka('beside transactions', () => {
  it('C-10, C-11: aborted records never come, open ones when they are committed, and nothing behind them before', async () => {
    const topic = await createTopic('transactions')
    const seen = { committed: [] as string[], uncommitted: [] as string[] }
    const committed = reader({ isolationLevel: 'read_committed' })
    const uncommitted = reader({ isolationLevel: 'read_uncommitted' })
    await committed.assign([topic], ({ value }) => void seen.committed.push(String(value)))
    await uncommitted.assign([topic], ({ value }) => void seen.uncommitted.push(String(value)))
    const [plain, first, second] = [await writer(false), await writer(), await writer()]
    const send = (to: { send: KafkajsProducer['send'] }, value: string) => to.send({ topic, messages: [{ value }] })

    await send(plain, 'a')
    const aborted = await first.transaction()
    await send(aborted, 'b')
    await send(plain, 'c')
    await eventually('the others see it', () => seen.uncommitted.join('') === 'abc', LIMIT_MS)
    await answered(committed)
    expect(seen.committed).toEqual(['a'])
    expect(committed.getMetrics(), 'the lag counts to the last stable offset').toMatchObject({ lag: 0 })
    await aborted.abort()
    await eventually('c', () => seen.committed.join('') === 'ac', LIMIT_MS)

    const kept = await second.transaction()
    await send(kept, 'd')
    await send(plain, 'e')
    const also = await first.transaction()
    await send(also, 'f')
    await send(kept, 'g')
    await also.commit()
    await eventually('the others see it', () => seen.uncommitted.join('') === 'abcdefg', LIMIT_MS)
    await answered(committed)
    expect(seen.committed).toEqual(['a', 'c'])
    await kept.commit()
    await eventually('all', () => seen.committed.length >= 6, LIMIT_MS)
    await answered(committed)
    expect([seen.committed.join(''), seen.uncommitted.join('')]).toEqual(['acdefg', 'abcdefg'])
    // Seven records and the markers of three transactions.
    expect(committed.position({ topic, partition: 0 })).toBe(10)
    expect(committed.getMetrics().lag).toBe(0)
    const late = reader({ isolationLevel: 'read_committed', autoOffsetReset: 'latest' })
    await late.assign([topic], () => {})
    expect(late.position({ topic, partition: 0 })).toBe(10)
  })

  it.each(['classic', 'consumer'] as const)(
    'C-35: offsets of an open transaction are waited for, then read from (%s)',
    async (groupProtocol) => {
      const topic = await createTopic(`pending-${groupProtocol}`)
      const groupId = `${topic}-group`
      const plain = await writer(false)
      const messages = Array.from({ length: 8 }, (_, n) => ({ value: String(n) }))
      await plain.send({ topic, messages })
      const config = { groupId, groupProtocol, isolationLevel: 'read_committed', autoCommit: false } as const
      const before = reader(config)
      await before.subscribe(topic, () => {})
      await before.commitOffset({ topic, partition: 0 }, 2)
      await before.close()

      const transaction = await (await writer()).transaction()
      const partitions = [{ partition: 0, offset: '5' }]
      await transaction.sendOffsets({ consumerGroupId: groupId, topics: [{ topic, partitions }] })
      const seen: string[] = []
      const consumer = reader(config)
      let isReady = false
      const subscribed = consumer
        .subscribe(topic, ({ value }) => void seen.push(String(value)))
        .then(() => {
          isReady = true
        })
      await eventually('it has the partition', () => consumer.assignment.length === 1, LIMIT_MS)
      const untilMs = Date.now() + 1_500 // 88 is answered a few times in this.
      await eventually('some answers', () => Date.now() > untilMs, LIMIT_MS)
      expect([isReady, seen]).toEqual([false, []])
      await transaction.commit()
      await subscribed
      await eventually('the rest', () => seen.length >= 3, LIMIT_MS)
      await answered(consumer)
      expect(seen).toEqual(['5', '6', '7'])
    },
  )
})
