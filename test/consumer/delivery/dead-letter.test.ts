/** Dead letters: what is written, when the position moves, and what happens when writing fails. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../../lib/broker/index.js'
import { type DeadLetterSink, LONGEST_MESSAGE } from '../../../lib/consumer/delivery/dead-letter.js'
import { Consumer } from '../../../lib/consumer/index.js'
import { MQError } from '../../../lib/errors/index.js'
import { Producer } from '../../../lib/producer/index.js'
import { seededRandom, silentLogger } from '../../../lib/util/index.js'
import { storedBatch } from '../batches.js'
import { LetterBox, SinkStage } from '../sink-stage.js'
import { bench, Seen } from '../support.js'

const always = () => {
  throw new Error('no')
}
const names = (headers: readonly (readonly [string, unknown])[]) => headers.map(([name]) => name)

describe('what is written', () => {
  it('CO-15: key and value of the wire, not what deserializers make of them, with where and why', async () => {
    const box = new LetterBox()
    const valueDeserializer = { deserialize: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) }
    const stage = new SinkStage({ config: { onError: 'dlq' }, deadLetters: box, settings: { valueDeserializer } })
    const cursor = stage.perRecord(3, (record) => void record.value)
    stage.push(cursor, storedBatch({ baseOffset: 0, values: ['1', '{broken', '3'], keys: ['a', 'b', 'c'] }))
    await stage.turn()
    expect(box.written).toHaveLength(1)
    const [letter] = box.written
    expect([letter?.topic, letter?.key, letter?.value]).toEqual(['t.dlq', 'b', '{broken'])
    const headers = new Map(letter?.headers)
    expect(headers.get('x-error-code')).toBe('DESERIALIZATION_FAILED')
    expect(headers.get('x-error-message')).toMatch(/the value deserializer threw for t\/3 offset 1.*JSON/)
    expect(names(letter?.headers ?? []).slice(2)).toEqual([
      'x-original-topic',
      'x-original-partition',
      'x-original-offset',
    ])
    expect([...headers.values()].slice(2)).toEqual(['t', '3', '1'])
    expect([cursor.position, stage.counters.deadLetters, stage.errors.length]).toEqual([3, 1, 1])
    expect(stage.errors[0]?.context.action).toBe('dlq')
  })
  it('CO-15: null key and null value stay null', async () => {
    const box = new LetterBox()
    const stage = new SinkStage({ config: { onError: 'dlq', dlqTopic: 'graveyard' }, deadLetters: box })
    stage.push(stage.perRecord(0, always), storedBatch({ baseOffset: 0, values: [null] }))
    await stage.turn()
    expect(box.written.map(({ topic, key, value }) => [topic, key, value])).toEqual([['graveyard', null, null]])
  })
  it.each([
    ['an error of this package', new MQError('INVALID_TOPIC', 'bad name'), 'INVALID_TOPIC', 'bad name'],
    ['a plain error', new TypeError('x is undefined'), 'CONSUME_FAILED', 'x is undefined'],
    ['a text', 'just text', 'CONSUME_FAILED', 'just text'],
    ['an object without prototype', Object.create(null), 'CONSUME_FAILED', '[object Object]'],
    ['a long text', new Error('y'.repeat(9_999)), 'CONSUME_FAILED', 'y'.repeat(LONGEST_MESSAGE)],
  ])('CO-15: code and bounded message of %s', async (_name, thrown, code, message) => {
    const box = new LetterBox()
    const stage = new SinkStage({ config: { onError: 'dlq' }, deadLetters: box })
    stage.push(
      stage.perRecord(0, () => {
        throw thrown
      }),
      1,
    )
    await stage.turn()
    expect(box.written[0]?.headers.slice(0, 2)).toEqual([
      ['x-error-code', code],
      ['x-error-message', message],
    ])
  })
  it('CO-15: every record of a failed batch callback, once, and only then the position moves', async () => {
    const box = new LetterBox()
    const stage = new SinkStage({ config: { onError: 'dlq', maxPollRecords: 3 }, deadLetters: box })
    let calls = 0
    const cursor = stage.perBatch(0, () => {
      if (++calls === 1) throw new Error('no')
    })
    box.isHeld = true
    stage.push(cursor, 5)
    await stage.turn()
    expect(box.held.map(({ letter }) => letter.value)).toEqual(['0', '1', '2'])
    expect([calls, cursor.position, cursor.isBusy]).toEqual([1, 0, true])
    for (const { done } of box.held) done.resolve({})
    await stage.turn()
    expect([calls, cursor.position, cursor.isBusy, stage.counters.deadLetters]).toEqual([2, 5, false, 3])
  })
})

describe('when it is written', () => {
  it("CO-15: errorFinal 'dlq' comes after the retries", async () => {
    const box = new LetterBox()
    const stage = new SinkStage({ config: { errorRetries: 2, errorFinal: 'dlq' }, deadLetters: box })
    let calls = 0
    const cursor = stage.perRecord(0, () => {
      calls++
      throw new Error('no')
    })
    stage.push(cursor, 1)
    await stage.turn()
    for (let step = 0; step < 3; step++) await stage.advance(5_000)
    expect([calls, box.written.length, cursor.position]).toEqual([3, 1, 1])
    expect(stage.errors.map(({ context }) => context.action)).toEqual(['retry', 'retry', 'dlq'])
  })
  it('CO-15, C-41: while a write is open its partition waits, others go on, also with concurrency 1', async () => {
    const box = new LetterBox()
    box.isHeld = true
    const stage = new SinkStage({ config: { onError: 'dlq' }, deadLetters: box })
    const order: string[] = []
    const take = async (record: { partition: number; offset: number }) => {
      order.push(`${record.partition}:${record.offset}`)
      if (record.partition === 0 && record.offset === 0) throw new Error('no')
    }
    const broken = stage.perRecord(0, take as never)
    stage.push(broken, 2)
    stage.push(stage.perRecord(1, take as never), 2)
    await stage.turn()
    expect([order, broken.position, stage.sinks.callbacks.running]).toEqual([['0:0', '1:0', '1:1'], 0, 0])
    box.held[0]?.done.resolve({})
    await stage.turn()
    expect([order.slice(3), broken.position]).toEqual([['0:1'], 2])
  })
  it('CO-15: a failing write is told, waits and is tried again until it works; what was acknowledged is not repeated', async () => {
    const box = new LetterBox()
    box.refuses = 4 // of the three records: all, then the first of those that are left
    const stage = new SinkStage({ config: { onError: 'dlq' }, deadLetters: box })
    const cursor = stage.perBatch(0, always)
    stage.push(cursor, 3)
    await stage.turn()
    expect([box.written.length, cursor.position, cursor.isBusy]).toEqual([0, 0, false])
    await stage.advance(5_000)
    expect([box.written.map(({ value }) => value), cursor.position]).toEqual([['1', '2'], 0])
    await stage.advance(5_000)
    expect([box.written.map(({ value }) => value), cursor.position]).toEqual([['1', '2', '0'], 3])
    const [, ...writes] = stage.errors
    expect(writes.map(({ code, context }) => [code, context.dlqTopic, context.offset, context.records])).toEqual([
      ['CONSUME_FAILED', 't.dlq', 0, 3],
      ['CONSUME_FAILED', 't.dlq', 0, 1],
    ])
    expect(writes[0]?.message).toContain('t.dlq')
    expect([writes[0]?.retryable, writes[0]?.cause]).toEqual([true, expect.objectContaining({ code: 'TIMEOUT' })])
  })
  it('CO-15, CO-8: a seek during the wait gives the letter up, one during the write moves nothing', async () => {
    const box = new LetterBox()
    box.refuses = 1
    const stage = new SinkStage({ config: { onError: 'dlq' }, deadLetters: box })
    const cursor = stage.perRecord(0, (record) => {
      if (record.offset === 0) throw new Error('no')
    })
    stage.push(cursor, 1)
    await stage.turn()
    cursor.moveTo(5)
    await stage.advance(10_000)
    expect([box.written.length, cursor.position, cursor.letter]).toEqual([0, 5, null])
    box.isHeld = true
    cursor.moveTo(0)
    stage.push(cursor, 1)
    await stage.turn()
    cursor.moveTo(7)
    box.held[0]?.done.resolve({})
    await stage.turn()
    expect([box.written.length, cursor.position, cursor.isBusy, cursor.pending]).toEqual([1, 7, false, null])
  })
  it('CO-7, CO-15: no new attempt while paused; a revoked partition is at rest between attempts', async () => {
    const box = new LetterBox()
    box.refuses = 1
    const stage = new SinkStage({ config: { onError: 'dlq' }, deadLetters: box })
    const cursor = stage.perRecord(0, always)
    stage.push(cursor, 1)
    await stage.turn()
    cursor.hold(2)
    await stage.advance(60_000)
    expect([box.written.length, cursor.isBusy]).toEqual([0, false])
    cursor.release(2)
    cursor.delivery.sink.enqueue(cursor)
    await stage.turn()
    expect([box.written.length, cursor.position]).toEqual([1, 1])
  })
  it('CO-17: closing waits for a write that is open and starts none', async () => {
    const box = new LetterBox()
    box.isHeld = true
    const stage = new SinkStage({ config: { onError: 'dlq' }, deadLetters: box })
    const cursor = stage.perRecord(0, always)
    stage.push(cursor, 2)
    await stage.turn()
    let isIdle = false
    stage.sinks.callbacks.stop()
    stage.sinks.callbacks.whenIdle(() => {
      isIdle = true
    })
    expect(isIdle).toBe(false)
    box.held[0]?.done.resolve({})
    await stage.turn()
    expect([isIdle, cursor.position, box.held.length]).toEqual([true, 1, 1])
  })
})

describe('a real producer', () => {
  const on = bench()

  it('CO-15: fits as it is, headers of the record first and in order; what it could not write is written later', async () => {
    const broker = await on.start({ nodes: 2 })
    broker.createTopic('t')
    broker.createTopic('t.dlq')
    const deadLetters: DeadLetterSink = new Producer({ brokers: broker.bootstrap, logger: silentLogger })
    const producer = new Producer({ brokers: broker.bootstrap, logger: silentLogger })
    const own: [string, string | null][] = [
      ['a', '1'],
      ['b', null],
      ['a', '2'],
    ]
    for (const value of ['good', 'bad', 'fine']) await producer.sendSync('t', value, { key: 'k', headers: own })
    const broken = broker.on({ api: 'Produce' }, fault.error(29))
    const seen = new Seen()
    const config = {
      brokers: broker.bootstrap,
      autoOffsetReset: 'earliest',
      onError: 'dlq',
      logger: silentLogger,
    } as const
    const consumer = new Consumer(config, { deadLetters, random: seededRandom(5) })
    const told: MQError[] = []
    consumer.on('error', (error) => {
      told.push(error)
      seen.check()
    })
    await consumer.assign(['t'], (record) => {
      if (String(record.value) === 'bad') throw new TypeError('cannot')
      seen.take(record)
    })
    await seen.until(() => told.some(({ context }) => context.dlqTopic === 't.dlq'))
    expect([seen.records, consumer.position({ topic: 't', partition: 0 })]).toEqual([['t/0@0=good'], 1])
    broken.remove()
    await seen.count(2)
    expect(seen.records).toEqual(['t/0@0=good', 't/0@2=fine'])
    const found: string[] = []
    await consumer.assign(['t.dlq'], (record) => {
      found.push(String(record.key), String(record.value))
      found.push(...record.headers.map(([name, value]) => `${name}=${value === null ? null : Buffer.from(value)}`))
      seen.check()
    })
    await seen.until(() => found.length > 0)
    expect(found.slice(0, 5)).toEqual(['k', 'bad', 'a=1', 'b=null', 'a=2'])
    expect(found.slice(5)).toEqual([
      'x-error-code=CONSUME_FAILED',
      'x-error-message=cannot',
      'x-original-topic=t',
      'x-original-partition=0',
      'x-original-offset=1',
    ])
    await consumer.close()
    await Promise.all([producer.close(), (deadLetters as Producer).close()])
  })
  it('CO-15: a setting that needs a writer is refused without one, at construction', async () => {
    await on.start()
    for (const config of [{ onError: 'dlq' }, { errorFinal: 'dlq' }] as const) {
      const make = () => new Consumer({ brokers: on.broker.bootstrap, logger: silentLogger, ...config })
      expect(make).toThrow(
        expect.objectContaining({
          code: 'MISSING_CONFIG',
          message: expect.stringContaining('deadLetters: new Producer'),
        }),
      )
    }
  })
  it('CO-15: a producer that serializes is no sink for bytes, says its type', () => {
    const asSink = (producer: Producer<{ a: number }>): DeadLetterSink => {
      // @ts-expect-error: it takes objects, dead letters are bytes.
      return producer
    }
    expect(asSink).toBeTypeOf('function')
  })
})
