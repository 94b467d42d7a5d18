/** Batches that go on as several, behind a log (wal.md 2.6). */
import { describe, expect, it } from 'vitest'
import { turns, until } from '../../support.js'
import { numbers, valuesOf } from '../support.js'
import { conserves, liveStage } from './support.js'

const LIMITED = { configs: { 'max.message.bytes': 2000 } }
const filled = (from: number, to: number) => numbers(from, to).map((n) => `${n} ${'x'.repeat(100)}`)

describe('wal.md 2.6: a split, seen by the log', () => {
  it.each([0, 1, 3, 7])(
    'WA-2: nothing of it leaves before all parts are accepted; disk %i turns slow',
    async (slow) => {
      const { broker, wal, producer } = await liveStage({ topic: LIMITED })
      await producer.connect()
      wal.delay = () => slow
      const values = filled(0, 60)
      for (let at = 0; at < 60; at += 20) {
        await Promise.all(values.slice(at, at + 20).map((value) => producer.sendDurable('orders', value)))
      }
      await producer.flush({ timeoutMs: 10_000 })
      expect(await valuesOf(broker, 'orders')).toEqual([values])
      expect(await producer.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
      expect(wal.unsettled).toEqual([])
    },
  )

  it('no room for the second part: the first does not leave', async () => {
    const { broker, wal, producer } = await liveStage({ topic: LIMITED })
    await producer.connect()
    const values = filled(0, 20)
    wal.isHeld = true
    const sent = values.map((value) => producer.sendDurable('orders', value))
    await until(() => wal.lastLsn > 0)
    // Room for one half of what is in the log, and not for two.
    wal.capacity = wal.unsettledBytes * 1.7
    wal.release()
    await Promise.all(sent)
    await turns(300)
    wal.look()
    expect([wal.appends, await valuesOf(broker, 'orders')]).toEqual([1, [[]]])
    wal.giveRoom()
    await producer.flush({ timeoutMs: 5000 })
    expect(await valuesOf(broker, 'orders')).toEqual([values])
    expect(wal.unsettled).toEqual([])
  })

  it.each([
    { records: 4, isBad: (n: number) => n === 2 },
    { records: 2, isBad: (n: number) => n === 0 },
    { records: 2, isBad: (n: number) => n === 1 },
    { records: 9, isBad: (n: number) => n % 4 < 2 },
    { records: 1200, isBad: (n: number) => n % 2 === 0 },
  ])('$records records, some refused alone: each position is settled once, each caller told once', async (batch) => {
    const { broker, wal, producer } = await liveStage({ topic: { configs: { 'cleanup.policy': 'compact' } } })
    await producer.connect()
    await producer.sendSync('orders', 'first', { key: 'k' })
    const values = numbers(0, batch.records)
    // Without a key a record of a compacted topic is refused.
    const fates = await Promise.allSettled(
      values.map((value, n) => producer.sendSync('orders', value, batch.isBad(n) ? {} : { key: 'k' })),
    )
    const good = values.filter((_, n) => !batch.isBad(n))
    expect(fates.map(({ status }) => status === 'fulfilled')).toEqual(values.map((_, n) => !batch.isBad(n)))
    expect(await valuesOf(broker, 'orders')).toEqual([['first', ...good]])
    expect(wal.unsettled).toEqual([])
    const [stream] = wal.streams
    expect(stream?.settledThrough).toBe(stream?.nextPosition)
    await producer.sendSync('orders', 'last', { key: 'k' })
    expect(await producer.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
    conserves(producer)
  })
})
