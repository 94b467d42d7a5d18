/** What brokers refuse of batches that the log keeps. */
import { describe, expect, it, vi } from 'vitest'
import { fault } from '../../../../lib/broker/index.js'
import { createCompressionCodec } from '../../../../lib/codec/index.js'
import { errorOf, until } from '../../support.js'
import { valuesOf } from '../support.js'
import { fateOf, liveStage } from './support.js'

const AUTHORIZATION_FAILED = 29

describe('PR-16 with a log: refusals', () => {
  it('WA-2: a topic that is not permitted keeps what the log has, in order, and goes on when it is', async () => {
    const { broker, producer } = await liveStage()
    await producer.sendDurable('orders', 'first')
    await producer.flush()
    const refusing = broker.on({ api: 'Produce' }, fault.error(AUTHORIZATION_FAILED))
    const told = fateOf(producer.sendSync('orders', 'a'))
    await broker.hit(refusing)
    await until(() => told.isOver, 'the caller is told')
    expect(told.error).toMatchObject({ context: { isInLog: true, persistence: 'possibly-persisted' } })
    await producer.sendDurable('orders', 'b')
    refusing.remove()
    await producer.flush({ timeoutMs: 20_000 })
    expect(await valuesOf(broker, 'orders')).toEqual([['first', 'a', 'b']])
    expect(await producer.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
  })

  it('P-56: a codec that fails ends its own batch, and what stands behind it goes', async () => {
    const { broker, producer } = await liveStage({ compression: 'zstd' })
    await producer.connect()
    const codec = createCompressionCodec('zstd')
    const broken = vi.spyOn(codec, 'compress').mockImplementationOnce(() => Promise.reject(new Error('no memory')))
    const error = await errorOf(producer.sendDurable('orders', 'x'.repeat(20_000)))
    expect(error).toMatchObject({ code: 'COMPRESSION_FAILED', context: { persistence: 'not-persisted' } })
    broken.mockRestore()
    await producer.sendDurable('orders', 'next')
    await producer.flush({ timeoutMs: 5000 })
    expect(await valuesOf(broker, 'orders')).toEqual([['next']])
  })
})
