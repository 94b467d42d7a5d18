/** Numbers of logged batches that a broker refuses, and their renewal while records go on. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../../../lib/broker/index.js'
import { numbers, valuesOf } from '../support.js'
import { conserves, liveStage } from './support.js'

describe('WA-2: new numbers for logged batches', () => {
  it.each([
    [45, 'none', 0],
    [47, 'none', 0],
    [59, 'none', 0],
    [45, 'zstd', 3],
    [47, 'zstd', 5],
    [59, 'zstd', 3],
  ] as const)(
    'answer %i, codec %s, disk %i turns slow: bound anew in order before they leave',
    async (code, compression, slow) => {
      const { broker, wal, producer } = await liveStage({ compression, batchBytes: 500 })
      await producer.connect()
      await producer.sendSync('orders', 'first')
      wal.delay = () => slow
      const values = numbers(0, 90).map((n) => `${n} ${'y'.repeat(100)}`)
      const all: Promise<unknown>[] = []
      for (let at = 0; at < 90; at += 10) {
        if (at === 30) broker.on({ api: 'Produce', times: 1 }, fault.error(code))
        all.push(...values.slice(at, at + 10).map((value) => producer.sendSync('orders', value)))
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
      await Promise.all(all)
      expect(await valuesOf(broker, 'orders')).toEqual([['first', ...values]])
      expect(wal.binds).toBeGreaterThan(0)
      expect(wal.unsettled).toEqual([])
      conserves(producer)
    },
  )

  it('brokers away: what is logged without numbers gets them in order when there are some', async () => {
    const { broker, wal, producer } = await liveStage({ batchBytes: 500 })
    const held = broker.on({ api: 'InitProducerId' }, fault.hold())
    const values = numbers(0, 50)
    await Promise.all(values.map((value) => producer.sendDurable('orders', value)))
    expect(wal.unsettled.every(({ producerId }) => producerId === -1n)).toBe(true)
    held.remove()
    held.release()
    await producer.flush()
    expect(await valuesOf(broker, 'orders')).toEqual([values])
  })
})

describe('E6: a topic that is refused with logged batches', () => {
  it.each(['drop', 'resend'] as const)(
    "made anew, an operator says '%s': what was logged for the new one goes in any case",
    async (action) => {
      const { broker, producer } = await liveStage()
      const held: unknown[] = []
      producer.on('walHeld', (one) => held.push(one))
      await producer.connect()
      await producer.sendSync('orders', 'first')
      for (const id of broker.brokerIds) await broker.stop(id)
      await producer.sendDurable('orders', 'old')
      broker.recreateTopic('orders')
      for (const id of broker.brokerIds) await broker.start(id)
      while (held.length === 0) await new Promise<void>((resolve) => setImmediate(resolve))
      await producer.sendDurable('orders', 'new')
      await producer.resolveHeld('orders', 0, action)
      await producer.flush({ timeoutMs: 10_000 })
      expect(await valuesOf(broker, 'orders')).toEqual([action === 'drop' ? ['new'] : ['old', 'new']])
      expect(producer.heldStreams).toEqual([])
      conserves(producer)
    },
  )

  it('allowRetarget: what was for the old one goes into the new one, in order', async () => {
    const { broker, producer } = await liveStage({ wal: { allowRetarget: true } })
    await producer.connect()
    await producer.sendSync('orders', 'first')
    for (const id of broker.brokerIds) await broker.stop(id)
    await producer.sendDurable('orders', 'old')
    broker.recreateTopic('orders')
    for (const id of broker.brokerIds) await broker.start(id)
    await producer.sendDurable('orders', 'new')
    await producer.flush()
    expect(await valuesOf(broker, 'orders')).toEqual([['old', 'new']])
  })
})
