/** Memory is bounded, whoever waits keeps his place, and every policy does what it says. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import type { ProducerConfig } from '../../lib/config/index.js'
import type { MQError } from '../../lib/errors/index.js'
import { codeOf, errorOf, logOf, type Stage, stage, turns, until } from './support.js'

const MEMORY = 2_200_000
const KIB = 'x'.repeat(1000)

/** A broker that answers nothing until it is resumed, and a producer with little memory and an open window. */
async function stalled(config: ProducerConfig = {}): Promise<Stage> {
  const made = await stage({ compression: 'none', bufferMemoryBytes: MEMORY, ...config })
  await made.producer.sendSync('orders', 'opens the window')
  made.broker.pause(1)
  return made
}

/** Sends until memory refuses; the errors that callbacks were told. */
async function fill({ producer }: Stage): Promise<MQError[]> {
  const errors: MQError[] = []
  for (let n = 0; errors.length === 0; n++) {
    if (n > 10_000) throw new Error('memory never filled up')
    producer.sendAsync('orders', KIB, (error) => {
      if (error !== null) errors.push(error)
    })
    if (n % 50 === 0) await turns(1)
    expect(producer.getMetrics().bufferUsedBytes).toBeLessThanOrEqual(MEMORY)
  }
  return errors
}

function conserved({ producer }: Stage): void {
  const { totalMessages, successMessages, failedMessages, droppedMessages, pendingMessages } = producer.getMetrics()
  expect(successMessages + failedMessages + droppedMessages + pendingMessages).toBe(totalMessages)
}

describe('PR-17: back-pressure', () => {
  it('PR-17: false above the soft limit, one backpressure event, one drain event, ready() waits for it', async () => {
    const made = await stalled()
    const { broker, producer } = made
    const events: string[] = []
    producer.on('backpressure', ({ usedBytes, limitBytes }) =>
      events.push(`${usedBytes >= 0.8 * limitBytes ? 'soft' : 'early'}`),
    )
    producer.on('drain', ({ usedBytes, limitBytes }) =>
      events.push(`${usedBytes <= 0.6 * limitBytes ? 'resume' : 'early'}`),
    )
    await producer.ready()
    let sent = 0
    while (producer.sendAsync('orders', KIB)) sent++
    expect(sent).toBeGreaterThan(1000)
    expect(producer.sendAsync('orders', KIB)).toBe(false)
    await until(() => events.length > 0, 'backpressure')
    let isReady = false
    const ready = producer.ready().then(() => {
      isReady = true
    })
    await turns(20)
    expect([events, isReady]).toEqual([['soft'], false])
    broker.resume(1)
    await ready
    await producer.flush()
    await until(() => events.length > 1, 'drain')
    expect(events).toEqual(['soft', 'resume'])
    expect(await logOf(broker, 'orders')).toHaveLength(sent + 3)
  })

  it('PR-17: at the hard limit sendAsync says POOL_EXHAUSTED/BUFFER_FULL in its callback, not-persisted', async () => {
    const made = await stalled()
    const refused = await fill(made)
    const [error] = refused
    expect(error).toMatchObject({
      code: 'POOL_EXHAUSTED',
      retryable: true,
      context: { reason: 'BUFFER_FULL', persistence: 'not-persisted' },
    })
    conserved(made)
    await turns(2)
    expect(made.producer.getMetrics().refusedMessages).toBe(refused.length)
  })

  it('PR-17, P-7: blocked sendSync calls go on in their order, and nothing overtakes them', async () => {
    const made = await stalled()
    await fill(made)
    const { broker, producer } = made
    const blocked = Array.from({ length: 20 }, (_, n) =>
      producer.sendSync('orders', `blocked ${n} ${'x'.repeat(5000)}`),
    )
    await turns(5)
    const overtaken: (MQError | null)[] = []
    producer.sendAsync('orders', 'small', (error) => overtaken.push(error))
    await until(() => overtaken.length === 1, 'the refusal')
    expect(overtaken[0]?.context.reason).toBe('BUFFER_FULL')
    broker.resume(1)
    const offsets = (await Promise.all(blocked)).map(({ offset }) => offset)
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b))
    const stored = (await logOf(broker, 'orders')).filter(({ value }) => value?.startsWith('blocked'))
    expect(stored.map(({ value }) => Number(value?.split(' ')[1]))).toEqual(blocked.map((_, n) => n))
  })

  it('PR-17, P-7: past maxBlockMs a blocked call is TIMEOUT/BUFFER_FULL, and nothing of it is stored', async () => {
    const made = await stalled({ maxBlockMs: 200 })
    await fill(made)
    const error = await errorOf(made.producer.sendSync('orders', `too late ${'x'.repeat(5000)}`))
    expect(error).toMatchObject({ code: 'TIMEOUT', context: { reason: 'BUFFER_FULL' } })
    made.broker.resume(1)
    await made.producer.flush()
    expect((await logOf(made.broker, 'orders')).some(({ value }) => value?.startsWith('too late'))).toBe(false)
    conserved(made)
  })

  /** Blocks two calls, aborts the one at `place` and one that was accepted long ago; first words of what is stored. */
  async function storedAfterAbort(place: number): Promise<string[]> {
    const made = await stalled()
    const { broker, producer } = made
    const controllers = [new AbortController(), new AbortController(), new AbortController()]
    const send = (word: string, at: number) =>
      codeOf(
        producer.sendSync('orders', `${word} ${'x'.repeat(5000)}`, {
          signal: (controllers[at] as AbortController).signal,
        }),
      )
    const accepted = send('accepted', 2)
    await fill(made)
    const blocked = [send('first', 0), send('second', 1)]
    for (const at of [place, 2]) controllers[at]?.abort(new Error('no more time'))
    expect([await accepted, await blocked[place]]).toEqual(['Error: no more time', 'Error: no more time'])
    broker.resume(1)
    expect(await blocked[1 - place]).toBe('fulfilled')
    await producer.flush()
    conserved(made)
    return (await logOf(broker, 'orders')).map(({ value }) => value?.split(' ')[0] as string)
  }

  it('P-54, P-7: aborting a blocked call withdraws it; aborting one that was accepted only ends the wait', async () => {
    const stored = await storedAfterAbort(1)
    expect(stored).toContain('accepted')
    expect(stored).toContain('first')
    expect(stored).not.toContain('second')
  })

  it('P-54: also when it is the first that waits', async () => {
    expect(await storedAfterAbort(0)).not.toContain('first')
  })
})

describe('PR-18: onFull', () => {
  it('PR-18: reject refuses sendSync as well, at once', async () => {
    const made = await stalled({ onFull: 'reject' })
    await fill(made)
    const error = await errorOf(made.producer.sendSync('orders', 'x'.repeat(5000)))
    expect(error).toMatchObject({ code: 'POOL_EXHAUSTED', context: { reason: 'BUFFER_FULL' } })
    conserved(made)
  })

  it('PR-18: dropOldest fails the oldest batch that was never sent, counts it, and takes the new record', async () => {
    const made = await stalled({ onFull: 'dropOldest', maxBatchBytes: 200_000, maxInFlight: 2 })
    const { broker, producer } = made
    const fates = new Map<number, MQError | null>()
    for (let n = 0; n < 5000; n++) {
      producer.sendAsync('orders', `${n} ${KIB}`, (error) => fates.set(n, error))
      if (n % 50 === 0) await turns(1)
      expect(producer.getMetrics().bufferUsedBytes).toBeLessThanOrEqual(MEMORY)
    }
    conserved(made)
    broker.resume(1)
    await producer.flush()
    expect(fates.size).toBe(5000)
    const dropped = [...fates].filter(([, error]) => error !== null)
    expect(dropped.length).toBeGreaterThan(1000)
    for (const [, error] of dropped) {
      expect(error).toMatchObject({
        code: 'PRODUCE_FAILED',
        context: { reason: 'DROPPED', persistence: 'not-persisted' },
      })
    }
    expect(producer.getMetrics().droppedMessages).toBe(dropped.length)
    const stored = (await logOf(broker, 'orders')).slice(1).map(({ value }) => Number(value?.split(' ')[0]))
    expect(stored).toEqual(
      [...fates]
        .filter(([, error]) => error === null)
        .map(([n]) => n)
        .sort((a, b) => a - b),
    )
    // What had been on the wire stays: the first batches and the newest records survive.
    expect(fates.get(0)).toBeNull()
    expect(fates.get(4999)).toBeNull()
    conserved(made)
  })

  it('PR-18: spill needs a log and is refused without one', async () => {
    await expect(stage({ onFull: 'spill' })).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      context: { issues: [{ path: 'onFull' }] },
    })
  })
})

describe('memory and records', () => {
  it('P-4: bufferMaxRecords bounds in records too', async () => {
    const made = await stalled({ bufferMaxRecords: 100, bufferMemoryBytes: 8_000_000, onFull: 'reject' })
    const errors: MQError[] = []
    for (let n = 0; n < 200; n++)
      made.producer.sendAsync('orders', 'x', (error) => error !== null && errors.push(error))
    await until(() => errors.length > 0, 'a refusal')
    expect(made.producer.getMetrics().pendingMessages).toBeLessThanOrEqual(100)
    expect(errors).toHaveLength(200 - made.producer.getMetrics().pendingMessages)
    made.broker.resume(1)
    await made.producer.flush()
    expect(await codeOf(made.producer.sendSync('orders', 'again'))).toBe('fulfilled')
  })

  it('P-6, W-13: bytes are not reused while a socket may still read them: stall, time-out, new traffic, canaries', async () => {
    const made = await stage({
      requestTimeoutMs: 100,
      connection: { readTimeoutMs: 100 },
      bufferMemoryBytes: 8_000_000,
    })
    const { broker, producer } = made
    for (const name of ['a', 'b', 'c']) broker.createTopic(name)
    const held = broker.on({ api: 'Produce' }, fault.delay(150))
    for (let n = 0; n < 3000; n++) {
      for (const name of ['a', 'b', 'c']) {
        if (!producer.sendAsync(name, `${name} ${n} ${name.repeat(100 + (n % 400))}`)) await producer.ready()
      }
      if (n % 50 === 0) await turns(2)
      if (n % 500 === 250) {
        broker.pause(1)
        await turns(500)
        broker.resume(1)
        await turns(50)
      }
    }
    held.remove()
    await producer.flush()
    for (const name of ['a', 'b', 'c']) {
      const values = (await logOf(broker, name)).map(({ value }) => value)
      const wrong = values.findIndex((value, n) => value !== `${name} ${n} ${name.repeat(100 + (n % 400))}`)
      expect([values.length, wrong]).toEqual([3000, -1])
    }
    expect(producer.getMetrics().retries).toBeGreaterThan(0)
  })
})
