/** flush and close: what they wait for, what they report, what is left afterwards. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import type { MQError } from '../../lib/errors/index.js'
import { codeOf, errorOf, logOf, newProducer, stage, turns, until } from './support.js'

describe('PR-20: flush', () => {
  it('PR-20, P-50: everything accepted before the call is settled; what comes later is not waited for', async () => {
    const { broker, producer } = await stage({}, { partitions: 3 })
    await producer.sendSync('orders', 'opens', { partition: 2 })
    const settled: number[] = []
    for (let n = 0; n < 300; n++) producer.sendAsync('orders', `${n}`, { partition: n % 2 }, () => settled.push(n))
    const flushed = producer.flush()
    const held = broker.on({ api: 'Produce', topic: 'orders', partition: 2 }, fault.error(7))
    let isLaterSettled = false
    producer.sendAsync('orders', 'later', { partition: 2 }, () => {
      isLaterSettled = true
    })
    await flushed
    expect(settled).toHaveLength(300)
    expect(isLaterSettled).toBe(false)
    held.remove()
    await producer.flush()
    expect(isLaterSettled).toBe(true)
  })

  it('PR-20, P-50: calls at the same time and from callbacks are fine; with nothing pending it resolves at once', async () => {
    const { producer } = await stage()
    await producer.flush()
    let inner: Promise<void> | undefined
    const settled: string[] = []
    producer.sendAsync('orders', 'a', () => {
      settled.push('a')
      producer.sendAsync('orders', 'b', () => settled.push('b'))
      inner = producer.flush()
    })
    await Promise.all([producer.flush(), producer.flush(), producer.flush()])
    expect(settled).toContain('a')
    await inner
    expect(settled).toEqual(['a', 'b'])
  })

  it('PR-20: records that wait for their topic’s metadata count too', async () => {
    const { broker, producer } = await stage({ lingerMs: 1000 })
    broker.createTopic('unseen')
    producer.sendAsync('unseen', 'early')
    await producer.flush()
    expect(await logOf(broker, 'unseen')).toHaveLength(1)
  })

  it('PR-20: TIMEOUT carries pendingRecords, the data stays queued; a signal ends the wait with its reason', async () => {
    const { broker, producer } = await stage()
    await producer.sendSync('orders', 'opens')
    broker.pause(1)
    for (let n = 0; n < 5; n++) producer.sendAsync('orders', `${n}`)
    const error = await errorOf(producer.flush({ timeoutMs: 50 }))
    expect(error).toMatchObject({ code: 'TIMEOUT', context: { pendingRecords: 5 } })
    const controller = new AbortController()
    const aborted = codeOf(producer.flush({ signal: controller.signal }))
    controller.abort(new Error('enough'))
    expect(await aborted).toBe('Error: enough')
    broker.resume(1)
    await producer.flush()
    expect(await logOf(broker, 'orders')).toHaveLength(6)
  })
})

describe('PR-21: close', () => {
  it('PR-21, P-51: intake stops, what is pending is delivered, nothing is left; a second call gets the same answer', async () => {
    const { broker, producer, clock } = await stage({ lingerMs: 60_000 })
    await producer.sendSync('orders', 'opens')
    const settled: (MQError | null)[] = []
    for (let n = 0; n < 500; n++) producer.sendAsync('orders', `${n}`, (error) => settled.push(error))
    const closing = producer.close()
    expect(producer.state).toBe('closing')
    expect(await codeOf(producer.sendSync('orders', 'late'))).toBe('PRODUCER_CLOSED')
    expect(await closing).toEqual({ unsentRecords: 0, inWalRecords: 0 })
    expect(await producer.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
    expect(producer.state).toBe('closed')
    expect(settled).toHaveLength(500)
    expect(settled.every((error) => error === null)).toBe(true)
    expect(await logOf(broker, 'orders')).toHaveLength(501)
    await until(() => broker.connections === 0, 'every socket closed')
    await turns(5)
    await broker.close() // It has a timer of its own.
    expect(clock.pendingTimers).toBe(0)
  })

  it('PR-21, P-51: past timeoutMs the rest fails PRODUCER_CLOSED, says what is known, and is counted', async () => {
    const { broker, producer } = await stage({ maxInFlight: 1 })
    await producer.sendSync('orders', 'opens')
    broker.pause(1)
    const errors: MQError[] = []
    const told = (error: MQError | null) => {
      if (error !== null) errors.push(error)
    }
    producer.sendAsync('orders', 'on the wire', told)
    await until(() => producer.getMetrics().inFlightRequests === 1, 'a request in flight')
    for (let n = 0; n < 3; n++) producer.sendAsync('orders', 'never sent', told)
    expect(await producer.close({ timeoutMs: 100 })).toEqual({ unsentRecords: 4, inWalRecords: 0 })
    await until(() => errors.length === 4, 'every callback')
    expect(errors.map(({ code }) => code)).toEqual(Array(4).fill('PRODUCER_CLOSED'))
    const persistence = errors.map(({ context }) => context.persistence)
    expect(persistence).toEqual(['possibly-persisted', 'not-persisted', 'not-persisted', 'not-persisted'])
    expect(producer.getMetrics()).toMatchObject({ pendingMessages: 0, failedMessages: 4 })
    broker.resume(1)
  })

  it('PR-21: a producer that never sent anything closes too, and one with unknown topics does not wait for ever', async () => {
    const { broker, clock } = await stage()
    expect(await newProducer(broker, {}, { clock }).close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
    const waiting = newProducer(broker, {}, { clock })
    const outcome = errorOf(waiting.sendSync('does-not-exist', 'x'))
    await turns(10)
    const { unsentRecords } = await waiting.close({ timeoutMs: 50 })
    expect(unsentRecords).toBe(1)
    expect(await outcome).toMatchObject({ context: { persistence: 'not-persisted' } })
  })

  it('PR-21: leaving a scope closes it', async () => {
    const { broker, clock } = await stage()
    const producer = newProducer(broker, {}, { clock })
    await producer.sendSync('orders', 'a')
    await producer[Symbol.asyncDispose]()
    expect(producer.state).toBe('closed')
  })

  it('PR-21: a sendSync with timeoutMs leaves no timer behind', async () => {
    const { broker, producer, clock } = await stage()
    await producer.sendSync('orders', 'a', { timeoutMs: 60_000 })
    await producer.close()
    await broker.close()
    await turns(5)
    expect(clock.pendingTimers).toBe(0)
  })
})
