/** A log that cannot be opened, breaks, or is left. */
import { describe, expect, it, vi } from 'vitest'
import { createCompressionCodec } from '../../../../lib/codec/index.js'
import { deferred } from '../../../../lib/util/index.js'
import type { Wal } from '../../../../lib/wal/index.js'
import { errorOf, startBroker, turns, until } from '../../support.js'
import { valuesOf } from '../support.js'
import { locked, ScriptedWal } from './scripted-wal.js'
import { conserves, fateOf, liveProducer, liveStage } from './support.js'

describe('WA-6: the log breaks', () => {
  it.each(['reject', 'bypass'] as const)(
    '%s: what was taken is delivered, durable callers too are told',
    async (onWalFailure) => {
      const { broker, wal, producer } = await liveStage({ wal: { onWalFailure } })
      await producer.connect()
      await producer.sendSync('orders', 'first')
      wal.isHeld = true
      const waiting = [fateOf(producer.sendDurable('orders', 'a')), fateOf(producer.sendSync('orders', 'b'))]
      await until(() => wal.lastLsn > wal.acceptedLsn)
      const behind = fateOf(producer.sendDurable('orders', 'c'))
      wal.fail()
      await producer.flush({ timeoutMs: 5000 })
      expect(waiting.every(({ isOver }) => isOver)).toBe(true)
      await turns(2)
      expect(behind.isOver).toBe(true)
      expect(producer.guarantee.level).toBe('best-effort')
      const next = producer.sendSync('orders', 'd')
      if (onWalFailure === 'bypass') await next
      else expect(await errorOf(next)).toMatchObject({ context: { reason: 'WAL_FAILED' } })
      const values = ['first', 'a', 'b', 'c', ...(onWalFailure === 'bypass' ? ['d'] : [])]
      expect(await valuesOf(broker, 'orders')).toEqual([values])
      conserves(producer)
    },
  )

  it('P-56: in the middle of a compression: the codec works on each batch once', async () => {
    const { broker, wal, producer } = await liveStage({ compression: 'zstd', wal: { onWalFailure: 'bypass' } })
    await producer.connect()
    await producer.sendSync('orders', 'first')
    const codec = createCompressionCodec('zstd')
    const gate = deferred<void>()
    const { compress } = codec
    const slow = vi.spyOn(codec, 'compress').mockImplementation(async (bytes, level) => {
      await gate.promise
      return compress.call(codec, bytes, level)
    })
    try {
      const sent = producer.sendSync('orders', 'y'.repeat(20_000))
      await until(() => slow.mock.calls.length > 0)
      wal.fail()
      await turns(50)
      gate.resolve()
      await sent
      expect(slow).toHaveBeenCalledTimes(1)
    } finally {
      slow.mockRestore()
    }
    expect((await valuesOf(broker, 'orders'))[0]).toHaveLength(2)
  })

  it('while the identity is being written: records go on without the log', async () => {
    const { broker, wal, producer } = await liveStage({ wal: { onWalFailure: 'bypass' } })
    wal.isIdentityRefused = true
    await producer.connect()
    await producer.sendSync('orders', 'a', { timeoutMs: 5000 })
    expect(await valuesOf(broker, 'orders')).toEqual([['a']])
  })

  it('a disk that cannot be read for a while decides nothing about records', async () => {
    const { broker, wal, producer } = await liveStage({
      bufferMemoryBytes: 256 * 1024,
      maxBatchBytes: 32_768,
      batchBytes: 16_384,
    })
    await producer.connect()
    await producer.sendSync('orders', 'first')
    for (const id of broker.brokerIds) await broker.stop(id)
    for (let n = 0; n < 400; n++) await producer.sendDurable('orders', `${n} ${'x'.repeat(2000)}`)
    let refusals = 0
    wal.readError = () => (refusals++ < 3 ? new Error('EIO') : null)
    for (const id of broker.brokerIds) await broker.start(id)
    await producer.flush({ timeoutMs: 20_000 })
    expect(refusals).toBeGreaterThan(3)
    const [values] = await valuesOf(broker, 'orders')
    expect(values?.slice(1).map((value) => Number(value.split(' ')[0]))).toEqual(
      Array.from({ length: 400 }, (_, n) => n),
    )
    expect(producer.getMetrics().failedMessages).toBe(0)
  })
})

describe('WA-6: the log cannot be opened', () => {
  it('WAL_LOCKED: connect rejects with it, and everybody who waits is told', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const opening = deferred<Wal>()
    const producer = liveProducer(broker, new ScriptedWal(), {}, { openWal: () => opening.promise })
    const fates = [fateOf(producer.sendDurable('orders', 'a')), fateOf(producer.sendSync('orders', 'b'))]
    const connecting = fateOf(producer.connect())
    await turns(20)
    opening.reject(locked())
    await until(() => connecting.isOver && fates.every(({ isOver }) => isOver), 'all told')
    for (const { error } of [connecting, ...fates]) expect(error).toMatchObject({ context: { reason: 'WAL_LOCKED' } })
    expect(await producer.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
    conserves(producer)
  })
})

describe('PR-21 with a log: close', () => {
  it.each([0, 100])(
    'while it is being opened, timeoutMs %i: nothing is resolved afterwards, the log is given up',
    async (timeoutMs) => {
      const broker = await startBroker()
      broker.createTopic('orders')
      const wal = new ScriptedWal(broker)
      const opening = deferred<Wal>()
      const producer = liveProducer(broker, wal, {}, { openWal: () => opening.promise })
      const told = fateOf(producer.sendDurable('orders', 'a'))
      const closing = producer.close({ timeoutMs })
      await until(() => told.isOver, 'the caller is told')
      opening.resolve(wal)
      expect(await closing).toEqual({ unsentRecords: 1, inWalRecords: 0 })
      expect(told.error).toMatchObject({ code: 'PRODUCER_CLOSED', context: { persistence: 'not-persisted' } })
      expect([wal.isClosed, wal.appends, wal.settlements.length]).toEqual([true, 0, 0])
      conserves(producer)
    },
  )

  it('brokers away: the log keeps what it has, and nobody is told twice', async () => {
    const { broker, wal, producer } = await liveStage()
    await producer.connect()
    await producer.sendSync('orders', 'first')
    for (const id of broker.brokerIds) await broker.stop(id)
    await producer.sendDurable('orders', 'a')
    const before = wal.settlements.length
    const waiting = fateOf(producer.sendSync('orders', 'b'))
    expect(await producer.close({ timeoutMs: 0 })).toEqual({ unsentRecords: 2, inWalRecords: 2 })
    expect(waiting.error).toMatchObject({ code: 'PRODUCER_CLOSED', context: { persistence: 'possibly-persisted' } })
    expect(wal.settlements).toHaveLength(before)
    conserves(producer)
  })

  it('the disk hangs: in the log perhaps is possibly-persisted', async () => {
    const { wal, producer } = await liveStage()
    await producer.connect()
    await producer.sendSync('orders', 'first')
    wal.isHeld = true
    const waiting = fateOf(producer.sendDurable('orders', 'a'))
    await until(() => wal.lastLsn > wal.acceptedLsn)
    expect(await producer.close({ timeoutMs: 0 })).toMatchObject({ unsentRecords: 1 })
    expect(waiting.error).toMatchObject({ context: { persistence: 'possibly-persisted' } })
  }, 20_000)
})

describe('sendDurable', () => {
  it("has no use for until: 'accepted': the log has the record when it resolves", async () => {
    const { wal, producer } = await liveStage()
    await producer.connect()
    wal.isHeld = true
    const told = fateOf(producer.sendDurable('orders', 'a', { until: 'accepted' }))
    await until(() => wal.lastLsn > 0)
    await turns(20)
    expect(told.isOver).toBe(false)
    wal.release()
    await until(() => told.isOver)
    expect(told.value).toMatchObject({ topic: 'orders', partition: 0, position: 0 })
  })
})
