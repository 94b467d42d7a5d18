/** `deliverErrors`: errors of a partition reach its callback, in good order with records. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../../lib/broker/index.js'
import { type AnyRecord, HOLD, type PartitionCursor } from '../../../lib/consumer/cursor.js'
import { MQError } from '../../../lib/errors/index.js'
import { numbered } from '../batches.js'
import { ScriptedCluster } from '../scripted-cluster.js'
import { SinkStage } from '../sink-stage.js'
import { bench, Seen } from '../support.js'

const failure = (text: string) => new MQError('CONSUME_FAILED', text)
const deliver = (cursor: PartitionCursor, text: string) => cursor.delivery.sink.deliverError?.(cursor, failure(text))
const logged = (record: AnyRecord | null, error: MQError | null) => error?.message ?? String(record?.offset)

describe.each([['partition'], ['key']] as const)('deliverErrors, concurrencyBy %s', (concurrencyBy) => {
  const config = { deliverErrors: true, concurrencyBy, concurrency: 3 }

  it('CO-2: comes as (null, tp, error), records as (record, tp, null), and not from inside the teller', async () => {
    const stage = new SinkStage({ config })
    const calls: unknown[] = []
    const cursor = stage.perRecord(0, (...args) => void calls.push(args))
    stage.push(cursor, 1)
    deliver(cursor, 'one')
    deliver(cursor, 'two')
    expect(calls).toEqual([])
    await stage.turn()
    const [first, second, third] = calls as [AnyRecord | null, unknown, MQError | null][]
    expect([first?.[0], first?.[1], first?.[2]?.message, second?.[2]?.message]).toEqual([null, cursor.tp, 'one', 'two'])
    expect([third?.[0]?.offset, third?.[1], third?.[2], calls.length]).toEqual([0, cursor.tp, null, 3])
  })
  it('CO-2: never beside a record callback of the same partition, and no record beside it', async () => {
    const stage = new SinkStage({ config })
    const log: string[] = []
    const open: (() => void)[] = []
    let running = 0
    const cursor = stage.perRecord(0, (record, _tp, error) => {
      log.push(logged(record, error))
      if (error !== null || running > 0) expect(running).toBe(error === null ? running : 0)
      running++
      return new Promise<void>((resolve) => {
        open.push(() => {
          running--
          resolve()
        })
      })
    })
    stage.push(cursor, 1)
    await stage.turn()
    deliver(cursor, 'E')
    stage.push(cursor, numbered(1, 1))
    await stage.turn()
    expect([log, cursor.isBusy]).toEqual([['0'], true])
    open.shift()?.()
    await stage.turn()
    expect([log, cursor.position, cursor.isBusy]).toEqual([['0', 'E'], 1, true])
    open.shift()?.()
    await stage.turn()
    expect(log).toEqual(['0', 'E', '1'])
    open.shift()?.()
    await stage.turn()
    expect([cursor.position, cursor.isBusy, cursor.busySinceMs]).toEqual([2, false, -1])
  })
  it('CO-2, K-20: what that call throws or rejects with is an error event and nothing else', async () => {
    const stage = new SinkStage({ config: { ...config, onError: 'stop' } })
    let calls = 0
    const cursor = stage.perRecord(0, (_record, _tp, error) => {
      calls++
      if (error?.message === 'one') throw new Error('thrown')
      if (error?.message === 'two') return Promise.reject(new Error('rejected'))
      return undefined
    })
    deliver(cursor, 'one')
    deliver(cursor, 'two')
    stage.push(cursor, 2)
    await stage.turn()
    expect([calls, cursor.position, stage.stops, stage.counters.callbackErrors]).toEqual([4, 2, [], 0])
    expect(stage.errors.map(({ code, context, cause }) => [code, context.reason, (cause as Error).message])).toEqual([
      ['CONSUME_FAILED', 'CALLBACK', 'thrown'],
      ['CONSUME_FAILED', 'CALLBACK', 'rejected'],
    ])
  })
  it.each([[false], [Promise.resolve(false)]])('CO-1, CO-2: %s stops delivery', async (answer) => {
    const stage = new SinkStage({ config })
    const log: string[] = []
    const cursor = stage.perRecord(0, (record, _tp, error) => {
      log.push(logged(record, error))
      return error === null ? undefined : answer
    })
    deliver(cursor, 'E')
    stage.push(cursor, 1)
    await stage.turn()
    expect([log, stage.stops, cursor.position]).toEqual([['E'], [null], 0])
  })
  it('CO-7: a paused partition hears of it when it is resumed; only the last 16 wait', async () => {
    const stage = new SinkStage({ config })
    const log: string[] = []
    const cursor = stage.perRecord(0, (record, _tp, error) => void log.push(logged(record, error)))
    cursor.hold(HOLD.paused)
    for (let index = 0; index < 40; index++) deliver(cursor, String(index))
    await stage.turn()
    expect(log).toEqual([])
    cursor.release(HOLD.paused)
    cursor.delivery.sink.enqueue(cursor)
    await stage.turn()
    expect(log).toEqual(Array.from({ length: 16 }, (_, index) => String(24 + index)))
  })
  it('CO-8: a rewind while it runs loses and repeats nothing', async () => {
    const stage = new SinkStage({ config })
    let end = () => {}
    const log: string[] = []
    const cursor = stage.perRecord(0, (record, _tp, error) => {
      log.push(logged(record, error))
      return error === null ? undefined : new Promise<void>((resolve) => (end = resolve))
    })
    stage.push(cursor, 2)
    await stage.turn()
    deliver(cursor, 'E')
    await stage.turn()
    cursor.rewind()
    expect([cursor.fetchOffset, cursor.position]).toEqual([2, 2])
    stage.push(cursor, numbered(2, 1))
    end()
    await stage.turn()
    expect(log).toEqual(['0', '1', 'E', '2'])
  })
  it('CO-2: a record that cannot be deserialized is told once, however often it is tried', async () => {
    const valueDeserializer = {
      deserialize: () => {
        throw new Error('no')
      },
    }
    const stage = new SinkStage({
      config: { ...config, errorRetries: 2, errorFinal: 'skip' },
      settings: { valueDeserializer },
    })
    const told: MQError[] = []
    const cursor = stage.perRecord(0, (record, _tp, error) => {
      if (error !== null) told.push(error)
      else void record.value
    })
    stage.push(cursor, 1)
    await stage.turn()
    for (let step = 0; step < 3; step++) await stage.advance(5_000)
    expect([told.map(({ code, context }) => [code, context.offset]), cursor.position]).toEqual([
      [['DESERIALIZATION_FAILED', 0]],
      1,
    ])
    expect(stage.errors).toHaveLength(3)
  })
})

describe('deliverErrors', () => {
  it('CO-2: batch callbacks get no records and the error; a retry that waits comes first', async () => {
    const stage = new SinkStage({ config: { deliverErrors: true } })
    const log: string[] = []
    const cursor = stage.perBatch(0, (records, _tp, error) => {
      log.push(error === null ? `${records.length} records` : `${records.length} and ${error.message}`)
      if (log.length === 1) throw new Error('not yet')
    })
    stage.push(cursor, 3)
    await stage.turn()
    deliver(cursor, 'E')
    await stage.turn()
    expect(log).toEqual(['3 records'])
    await stage.advance(5_000)
    expect([log, cursor.position]).toEqual([['3 records', '3 records', '0 and E'], 3])
  })
  it('CO-2, C-8: a fetch that is refused for good reaches the callback once; the partition beside it goes on', async () => {
    const cluster = new ScriptedCluster([1, 1])
    const log: string[] = []
    const consumer = await cluster.consumer(
      (record, tp, error) => void log.push(`${tp.partition}:${error?.code ?? record.offset}`),
      { deliverErrors: true, autoOffsetReset: 'none' },
    )
    const told: string[] = []
    consumer.on('error', ({ code }) => told.push(code))
    cluster.last.answer({ 0: { errorCode: 1 }, 1: { records: numbered(0, 1) } })
    await cluster.turn()
    expect([log.sort(), told]).toEqual([['0:INVALID_OFFSET', '1:0'], ['INVALID_OFFSET']])
  })
})

describe('deliverErrors against a broker', () => {
  const on = bench()

  it('CO-2: missing rights arrive at the callback once, and as an event; without the setting only as an event', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    broker.on({ api: 'Fetch' }, fault.error(29))
    for (const deliverErrors of [true, false]) {
      const seen = new Seen()
      const told: string[] = []
      const consumer = on.consumer({ deliverErrors })
      const codes: string[] = []
      consumer.on('error', ({ code }) => {
        told.push(code)
        setImmediate(() => seen.check())
      })
      await consumer.assign(['t'], (_record, _tp, error) => void codes.push(String(error?.code)))
      await seen.until(() => told.length > 0 && codes.length === Number(deliverErrors))
      expect([told, codes]).toEqual([['AUTHORIZATION_FAILED'], deliverErrors ? ['AUTHORIZATION_FAILED'] : []])
      await consumer.close()
    }
  })
})
