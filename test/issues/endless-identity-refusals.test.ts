/**
 * A broker (or what stands before it) that goes on answering 45, 47 or 59 was asked again at once, with a new identity each
 * time: thousands of requests per second, until the delivery deadline two minutes later, and the error at the end did not
 * say why. The first two refusals are what a forgetful broker costs; from the third on there is a back-off, `maxRetries`
 * counts, and the last answer is the cause of the failure.
 */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { errorOf, stage } from '../producer/support.js'

const QUICK = { retryBackoffMs: 100, retryBackoffMaxMs: 1_000, lingerMs: 0 }

describe.each([45, 47, 59])('%i again and again', (code) => {
  it('PR-16, P-31: is asked again after a back-off, until the delivery deadline, and told as the cause', async () => {
    const limits = { requestTimeoutMs: 5_000, deliveryTimeoutMs: 20_000 }
    const { broker, producer, clock } = await stage({ ...QUICK, ...limits })
    // Connected and with an identity: virtual time may outrun a slow machine while these are made.
    await producer.sendSync('orders', 'warm')
    broker.on({ api: 'Produce' }, fault.error(code))
    const startMs = clock.monotonicMs()
    const error = await errorOf(producer.sendSync('orders', 'x'))
    expect(error).toMatchObject({ code: 'TIMEOUT', cause: { code: 'PRODUCE_FAILED', context: { kafkaCode: code } } })
    expect(error.context).toMatchObject({ persistence: 'not-persisted' })
    expect(clock.monotonicMs() - startMs).toBeLessThan(26_000)
    expect(broker.count({ api: 'Produce' })).toBeLessThan(100)
    expect(broker.count({ api: 'InitProducerId' })).toBeLessThan(100)
    expect(broker.count({ api: 'DescribeProducers' })).toBeLessThan(100)
  })

  it('PR-16: is RETRY_EXHAUSTED after maxRetries', async () => {
    const { broker, producer } = await stage({ ...QUICK, maxRetries: 3 })
    broker.on({ api: 'Produce' }, fault.error(code))
    const error = await errorOf(producer.sendSync('orders', 'x'))
    expect(error).toMatchObject({ code: 'RETRY_EXHAUSTED', cause: { context: { kafkaCode: code } } })
    expect(broker.count({ api: 'Produce' })).toBe(4)
  })

  it('P-26: twice costs no back-off', async () => {
    const { broker, producer, clock } = await stage({ ...QUICK, retryBackoffMs: 60_000, retryBackoffMaxMs: 60_000 })
    await producer.sendSync('orders', 'warm')
    broker.on({ api: 'Produce', nth: 1, times: 2 }, fault.error(code))
    const startMs = clock.monotonicMs()
    await expect(producer.sendSync('orders', 'x')).resolves.toMatchObject({ offset: 1 })
    expect(clock.monotonicMs() - startMs).toBeLessThan(1_000)
  })
})
