/** A log without room: who is told what, and when it goes on. */
import { describe, expect, it } from 'vitest'
import { errorOf, turns, until } from '../../support.js'
import { numbers, valuesOf } from '../support.js'
import { conserves, fateOf, liveStage } from './support.js'

const filler = 'x'.repeat(1000)
const SMALL = { bufferMemoryBytes: 1024 * 1024, maxBatchBytes: 65_536, batchBytes: 16_384 } as const

describe('WA-4: a full log', () => {
  it("PR-17, onFull 'block': who waits too long is told that the log is full, not the memory", async () => {
    const { broker, wal, producer } = await liveStage({ ...SMALL, maxBlockMs: 300 })
    await producer.connect()
    await producer.sendSync('orders', 'first')
    wal.capacity = 0
    const fates = numbers(0, 2000).map((n) => fateOf(producer.sendDurable('orders', `${n} ${filler}`)))
    await until(() => fates.some(({ isOver }) => isOver), 'a refusal')
    const told = fates.find(({ isOver }) => isOver)
    expect(told?.error).toMatchObject({
      code: 'TIMEOUT',
      context: { reason: 'WAL_FULL', persistence: 'not-persisted' },
    })
    wal.giveRoom()
    await producer.flush()
    const taken = fates.flatMap(({ value }, n) => (value === undefined ? [] : [String(n)]))
    expect(fates.every(({ isOver }) => isOver)).toBe(true)
    expect((await valuesOf(broker, 'orders'))[0]?.slice(1).map((value) => value.split(' ')[0])).toEqual(taken)
    expect(producer.walMeasures()?.blockedSeconds).toBeGreaterThan(0)
    conserves(producer)
  })

  it("onFull 'reject': POOL_EXHAUSTED names the log; memory alone is named as before", async () => {
    const { wal, producer } = await liveStage({ ...SMALL, onFull: 'reject' })
    await producer.connect()
    await producer.sendSync('orders', 'first')
    wal.capacity = 0
    const refusals: unknown[] = []
    for (let n = 0; n < 2000 && refusals.length === 0; n++) {
      producer.sendDurable('orders', `${n} ${filler}`).catch((error: unknown) => refusals.push(error))
      if (n % 50 === 0) await turns(3)
    }
    await until(() => refusals.length > 0)
    expect(refusals[0]).toMatchObject({ code: 'POOL_EXHAUSTED', context: { reason: 'WAL_FULL' } })
    wal.giveRoom()
    await producer.flush()
  })

  it('PR-16: the deadline of what the log did not take holds behind what it keeps', async () => {
    const { broker, wal, producer } = await liveStage({ deliveryTimeoutMs: 1000, requestTimeoutMs: 500, lingerMs: 0 })
    await producer.connect()
    await producer.sendSync('orders', 'first')
    for (const id of broker.brokerIds) await broker.stop(id)
    await producer.sendDurable('orders', 'kept')
    wal.capacity = 0
    const error = await errorOf(producer.sendDurable('orders', 'not taken'))
    expect(error).toMatchObject({ code: 'TIMEOUT', context: { reason: 'WAL_FULL', persistence: 'not-persisted' } })
    expect(producer.getMetrics()).toMatchObject({ pendingMessages: 1, failedMessages: 1 })
    wal.giveRoom()
    for (const id of broker.brokerIds) await broker.start(id)
    await producer.sendSync('orders', 'last')
    await producer.flush()
    expect(await valuesOf(broker, 'orders')).toEqual([['first', 'kept', 'last']])
    conserves(producer)
  })

  it("'dropOldest' never drops what the log has, whole or in parts", async () => {
    const { broker, wal, producer } = await liveStage({ ...SMALL, onFull: 'dropOldest' })
    await producer.connect()
    await producer.sendSync('orders', 'first')
    for (const id of broker.brokerIds) await broker.stop(id)
    await producer.sendDurable('orders', 'kept')
    wal.capacity = 0
    const fates = numbers(0, 2000).map((n) => fateOf(producer.sendSync('orders', `${n} ${filler}`)))
    await turns(20)
    wal.giveRoom()
    for (const id of broker.brokerIds) await broker.start(id)
    await producer.flush()
    const [values] = await valuesOf(broker, 'orders')
    expect(values?.slice(0, 2)).toEqual(['first', 'kept'])
    const sent = fates.flatMap(({ value }, n) => (value === undefined ? [] : [String(n)]))
    expect(values?.slice(2).map((value) => value.split(' ')[0])).toEqual(sent)
    expect(sent.length).toBe(2000 - producer.getMetrics().droppedMessages)
    expect(producer.getMetrics().droppedMessages).toBeGreaterThan(0)
    conserves(producer)
  })
})
