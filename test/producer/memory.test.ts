/** What waits for memory, as it was when it was sent; and what happens to it where memory is scarcer than usual. */
import { describe, expect, it } from 'vitest'
import type { ProducerConfig } from '../../lib/config/index.js'
import type { MQError } from '../../lib/errors/index.js'
import { Producer } from '../../lib/producer/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { errorOf, logOf, newProducer, type Stage, stage, turns, until } from './support.js'

const KIB = 'x'.repeat(1000)
const SCARCE = {
  compression: 'none',
  maxBatchBytes: 65_536,
  bufferMemoryBytes: 262_144,
} as const satisfies ProducerConfig

/** A broker that stands still, and a producer whose memory is full. */
async function full(config: ProducerConfig = {}): Promise<Stage> {
  const made = await stage({ ...SCARCE, ...config })
  const { broker, producer } = made
  await producer.sendSync('orders', 'opens the window')
  broker.pause(1)
  let isFull = false
  while (!isFull) {
    producer.sendAsync('orders', KIB, (error) => {
      if (error?.context.reason === 'BUFFER_FULL') isFull = true
    })
    await turns(1)
  }
  return made
}

const lastOf = async ({ broker }: Stage) => (await logOf(broker, 'orders')).at(-1)

describe('PR-5: a send that waits for memory is what it was when it was sent', () => {
  it('bytes of key, value and headers may be reused by the caller', async () => {
    const made = await full()
    const [key, value, header] = [Buffer.from('kkkk'), Buffer.from('vvvv'), Buffer.from('hhhh')]
    const sent = made.producer.sendSync('orders', value, { key, headers: { h: [header, 'text'] } })
    for (const bytes of [key, value, header]) bytes.fill('!')
    made.broker.resume(1)
    await sent
    expect(await lastOf(made)).toMatchObject({
      key: 'kkkk',
      value: 'vvvv',
      headers: [
        ['h', 'hhhh'],
        ['h', 'text'],
      ],
    })
  })

  it('objects are serialized in the call, and the time is that of the call', async () => {
    const { clock, broker } = await stage()
    const json = {
      contentType: 'application/json',
      serialize: (value: { at: number }) => Buffer.from(JSON.stringify(value)),
      deserialize: () => ({ at: 0 }),
    }
    const producer = new Producer<{ at: number }>(
      { brokers: broker.bootstrap, logger: silentLogger, valueSerializer: json, bufferMaxRecords: 1, onFull: 'block' },
      { clock },
    )
    await producer.sendSync('orders', { at: 0 })
    broker.pause(1)
    const first = producer.sendSync('orders', { at: 1 })
    const object = { at: 2 }
    const calledMs = clock.now()
    const second = producer.sendSync('orders', object)
    object.at = 99
    await turns(50)
    broker.resume(1)
    await Promise.all([first, second])
    const log = await logOf(broker, 'orders')
    expect(log.map(({ value }) => value)).toEqual(['{"at":0}', '{"at":1}', '{"at":2}'])
    expect(log.at(-1)?.timestamp).toBe(calledMs)
    await producer.close()
  })

  it('P-7: text of many bytes per character, and large headers: they wait, and the event loop turns', async () => {
    const made = await full({ hardPercent: 100 })
    const sends = [
      made.producer.sendSync('orders', '漢'.repeat(15_000)),
      made.producer.sendSync('orders', 'small', { headers: { large: 'h'.repeat(50_000) } }),
      made.producer.sendSync('orders', 'small', { key: 'k'.repeat(50_000) }),
    ]
    await turns(100)
    made.broker.resume(1)
    await Promise.all(sends)
    expect((await lastOf(made))?.key).toHaveLength(50_000)
    await until(() => made.producer.getMetrics().bufferUsedBytes === 0)
  })
})

describe('flush and close under scarce memory', () => {
  it('PR-20: flush comes to its end although senders block all the time', async () => {
    const made = await full()
    let isOver = false
    let sent = 0
    const sender = async () => {
      while (!isOver) {
        await made.producer.sendSync('orders', KIB.repeat(5))
        sent++
      }
    }
    const senders = Array.from({ length: 100 }, sender)
    await turns(3)
    made.broker.resume(1)
    await made.producer.flush()
    const before = sent
    isOver = true
    await Promise.all(senders)
    expect(before).toBeGreaterThan(0)
  })

  it('PR-20: flush counts in who waits for memory when it is called', async () => {
    const made = await full()
    let isSent = false
    void made.producer.sendSync('orders', 'blocked').then(() => {
      isSent = true
    })
    const flushed = made.producer.flush()
    made.broker.resume(1)
    await flushed
    expect(isSent).toBe(true)
  })

  it('PR-21: close without time tells blocked callers too, and counts them', async () => {
    const made = await full()
    const { producer, broker } = made
    const pending = producer.getMetrics().pendingMessages
    const blocked = producer.sendSync('orders', 'blocked')
    const flushed = producer.flush()
    const error = errorOf(blocked)
    const waiting = producer.ready()
    const report = await producer.close({ timeoutMs: 0 })
    expect(report.unsentRecords).toBe(pending + 1)
    expect(await error).toMatchObject({
      code: 'PRODUCER_CLOSED',
      context: { persistence: 'not-persisted', topic: 'orders' },
    })
    await flushed
    await waiting // Memory is back: nobody waits for ever.
    expect(producer.getMetrics()).toMatchObject({ bufferUsedBytes: 0, pendingMessages: 0 })
    broker.resume(1)
  })
})

describe('records that wait for metadata', () => {
  it('PR-17, PR-24: more of them than lanes have memory for: all delivered, in order, before those that blocked', async () => {
    const { clock, broker } = await stage()
    broker.createTopic('wide', { partitions: 20 })
    // 20 lanes would take 320 KiB of arenas at least.
    const producer = newProducer(broker, SCARCE, { clock })
    const sent: string[][] = Array.from({ length: 20 }, () => [])
    const errors: (MQError | null)[] = []
    for (let record = 0; record < 200; record++) {
      const partition = record % 20
      sent[partition]?.push(`r${record}`)
      producer.sendAsync('wide', `r${record}`.padEnd(900, '.'), { partition }, (error) => errors.push(error))
    }
    const blocked = Array.from({ length: 40 }, (_, record) => {
      sent[record % 20]?.push(`b${record}`)
      return producer.sendSync('wide', `b${record}`.padEnd(9000, '.'), { partition: record % 20 })
    })
    expect(producer.getMetrics().totalMessages).toBeGreaterThanOrEqual(200)
    const flushed = producer.flush()
    let accepted = 0
    while (errors.length < 200) {
      const { totalMessages } = producer.getMetrics()
      expect(totalMessages, 'a counter never falls').toBeGreaterThanOrEqual(accepted)
      accepted = totalMessages
      await turns(1)
    }
    await flushed
    await Promise.all(blocked)
    expect(errors.every((error) => error === null)).toBe(true)
    for (const [partition, names] of sent.entries()) {
      const log = await logOf(broker, 'wide', partition)
      expect(log.map(({ value }) => value?.split('.')[0])).toEqual(names)
    }
    expect(producer.getMetrics()).toMatchObject({ totalMessages: 240, successMessages: 240, bufferUsedBytes: 0 })
  })

  it('P-4, PR-24: bufferMaxRecords counts them once, and forgets them when their topic does not come', async () => {
    const { clock, broker } = await stage()
    const producer = newProducer(broker, { bufferMaxRecords: 10, maxBlockMs: 300, onFull: 'reject' }, { clock })
    const codes: (string | undefined)[] = []
    for (let record = 0; record < 12; record++) {
      producer.sendAsync('missing', 'x', (error) => codes.push(`${error?.code}/${error?.context.reason ?? ''}`))
    }
    await until(() => codes.length === 12)
    expect(codes.sort()).toEqual([
      ...Array(2).fill('POOL_EXHAUSTED/BUFFER_FULL'),
      ...Array(10).fill('TOPIC_NOT_FOUND/'),
    ])
    for (let record = 0; record < 10; record++) producer.sendAsync('orders', `v${record}`)
    await producer.flush()
    for (let record = 0; record < 10; record++) producer.sendAsync('orders', `w${record}`)
    await producer.flush()
    expect(await logOf(broker, 'orders')).toHaveLength(20)
    expect(producer.getMetrics()).toMatchObject({ totalMessages: 30, failedMessages: 10, refusedMessages: 2 })
  })

  it('P-19, PR-24: one with a partition that does not exist fails alone when the topic is known', async () => {
    const { broker, producer } = await stage()
    const told: string[] = []
    const note = (name: string) => (error: MQError | null) => void told.push(`${name} ${error?.code ?? 'ok'}`)
    producer.sendAsync('orders', 'a', note('a'))
    producer.sendAsync('orders', 'b', { partition: 7 }, note('b'))
    producer.sendAsync('orders', 'c', note('c'))
    await producer.flush()
    await turns(3)
    expect(told.sort()).toEqual(['a ok', 'b INVALID_PARTITION', 'c ok'])
    expect(producer.getMetrics()).toMatchObject({ totalMessages: 3, successMessages: 2, failedMessages: 1 })
    expect(await logOf(broker, 'orders')).toHaveLength(2)
  })
})

describe('PR-18: dropOldest', () => {
  it('drops buffers that still fill when nothing older waits: 12 lanes, none sealed', async () => {
    const { broker, producer } = await stage({ ...SCARCE, onFull: 'dropOldest', lingerMs: 60_000 }, { partitions: 20 })
    await producer.sendSync('orders', 'opens the window', { partition: 0 })
    broker.pause(1)
    producer.sendAsync('orders', 'keeps the broker busy', { partition: 0 })
    await turns(3)
    const told: (string | undefined)[] = []
    for (let partition = 1; partition < 20; partition++) {
      producer.sendAsync('orders', `p${partition}`, { partition }, (error) => {
        told[partition] = error === null ? 'ok' : error.context.reason
      })
    }
    await turns(3)
    const dropped = told.flatMap((reason, partition) => (reason === 'DROPPED' ? [partition] : []))
    // Memory is for 16 arenas, up to 95 %; the oldest had to go, in their order.
    expect(dropped.length).toBeGreaterThan(2)
    expect(dropped).toEqual(dropped.map((_, at) => at + 1))
    broker.resume(1)
    await producer.flush()
    expect(producer.getMetrics()).toMatchObject({ droppedMessages: dropped.length, failedMessages: 0 })
    for (const partition of dropped) expect(await logOf(broker, 'orders', partition)).toEqual([])
    for (const [partition, reason] of told.entries()) {
      if (reason === 'ok') expect(await logOf(broker, 'orders', partition)).toHaveLength(1)
    }
  })
})
