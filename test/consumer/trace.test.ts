/** A trace from record to record: what a callback sends carries the id of the record it works on. */
import { afterEach, describe, expect, it } from 'vitest'
import { Producer } from '../../lib/producer/index.js'
import { silentLogger, withTraceId } from '../../lib/util/index.js'
import { bench, Seen } from './support.js'

const on = bench()
const producers: Producer[] = []
afterEach(async () => {
  for (const producer of producers.splice(0)) await producer.close()
})

const trace = { enabled: true }

function producer(): Producer {
  const made = new Producer({ brokers: on.broker.bootstrap, logger: silentLogger, trace })
  producers.push(made)
  return made
}

describe('PR-23 trace from record to record', () => {
  it('PR-23: goes through callbacks that are slow, run beside each other, and seek or pause meanwhile', async () => {
    const broker = await on.start()
    broker.createTopic('in', { partitions: 3 })
    broker.createTopic('out')
    const sender = producer()
    for (let number = 0; number < 30; number++) {
      const send = () => sender.sendSync('in', String(number), { partition: number % 3 })
      await withTraceId(`trace-${number}`, send)
    }
    const worker = on.consumer({ trace, concurrency: 3 })
    await worker.assign(['in'], async (record, tp) => {
      worker.pause([tp])
      await new Promise((resolve) => setImmediate(resolve))
      worker.resume([tp])
      await sender.sendSync('out', record.value)
    })
    const found: string[] = []
    const seen = new Seen()
    await on.consumer().assign(['out'], (record) => {
      const ids = record.headers.filter(([name]) => name === 'X-Trace-ID').map(([, value]) => String(value))
      found.push(`${record.value} ${ids.join()}`)
      seen.take(record)
    })
    await seen.count(30)
    const wanted = Array.from({ length: 30 }, (_, number) => `${number} trace-${number}`)
    expect(found.sort()).toEqual(wanted.sort())
  })

  it('PR-23: what is sent for a record without an id gets one of its own, not that of another record', async () => {
    const broker = await on.start()
    broker.createTopic('in')
    broker.createTopic('out')
    const sender = producer()
    await on.produceNumbers('in', 0, 0, 1) // without headers
    await withTraceId('known', () => sender.sendSync('in', '1'))
    await on.produceNumbers('in', 0, 2, 1)
    const worker = on.consumer({ trace })
    await withTraceId('of the start', () =>
      worker.assign(['in'], async (record) => {
        await sender.sendSync('out', record.value)
      }),
    )
    const ids: string[] = []
    const seen = new Seen()
    await on.consumer().assign(['out'], (record) => {
      ids.push(...record.headers.map(([, value]) => String(value)))
      seen.take(record)
    })
    await seen.count(3)
    expect(ids[1]).toBe('known')
    expect(ids).toHaveLength(3)
    expect(new Set([...ids, 'of the start']).size).toBe(4)
  })
})
