/** The batch size follows a target latency. A strategy function sees the size that a lane goes by. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import type { ProducerConfig } from '../../lib/config/index.js'
import { logOf, stage } from './support.js'

const ADAPTIVE = { enabled: true, minBytes: 1000, maxBytes: 100_000, targetLatencyMs: 50 }
const SLOW_MS = 300

async function setUp(config: ProducerConfig = {}, partitions = 1) {
  const sizes: number[] = []
  const switchStrategy = ({ maxBytes }: { maxBytes: number }) => {
    sizes.push(maxBytes)
    return false
  }
  const base: ProducerConfig = { compression: 'none', batchBytes: 10_000, adaptiveBatch: ADAPTIVE, switchStrategy }
  const made = await stage({ ...base, ...config }, { partitions })
  const { broker, producer } = made
  const batches = async (count: number, delayMs = 0) => {
    const slow = delayMs === 0 ? null : broker.on({ api: 'Produce' }, fault.delay(delayMs))
    for (let n = 0; n < count; n++) await producer.sendSync('orders', 'v', { partition: 0 })
    slow?.remove()
  }
  return { ...made, sizes, batches }
}

describe('PR-10: adaptive batch size', () => {
  it('PR-10: slow answers make later batches smaller by a tenth each, down to the lower bound', async () => {
    const { sizes, batches } = await setUp()
    await batches(40, SLOW_MS)
    expect(sizes.slice(0, 4)).toEqual([10_000, 9000, 8100, 7290])
    expect(sizes.at(-1)).toBe(1000)
  })

  it('PR-10: quick answers make them larger, up to the upper bound and never above maxBatchBytes', async () => {
    const { sizes, batches } = await setUp({ maxBatchBytes: 30_000 })
    await batches(40)
    expect(sizes.slice(0, 4)).toEqual([10_000, 11_000, 12_100, 13_310])
    expect(sizes.at(-1)).toBe(30_000)
  })

  it('PR-10: near the target it stays', async () => {
    const { sizes, batches } = await setUp({ adaptiveBatch: { ...ADAPTIVE, targetLatencyMs: SLOW_MS + 5 } })
    await batches(20, SLOW_MS)
    expect(new Set(sizes)).toEqual(new Set([10_000]))
  })

  it('PR-10, PR-11: batchBytes given at run time is where it goes on from; another field leaves it where it is', async () => {
    const { producer, sizes, batches } = await setUp()
    await batches(40, SLOW_MS)
    producer.updateConfig({ lingerMs: 7 })
    await batches(1, SLOW_MS)
    expect(sizes.at(-1)).toBe(1000)
    producer.updateConfig({ batchBytes: 50_000 })
    await batches(1, SLOW_MS)
    expect(sizes.at(-1)).toBe(50_000)
    await batches(2, SLOW_MS)
    expect(sizes.at(-1), 'it goes on falling').toBe(40_500)
  })

  it('PR-10: a keyless choice of partition lasts as long as the size in effect', async () => {
    const { broker, producer, batches } = await setUp({}, 4)
    await batches(40, SLOW_MS)
    for (let n = 0; n < 400; n++) producer.sendAsync('orders', `${n}`.padStart(99, '0'))
    await producer.flush()
    const partitionOf = new Map<number, number>()
    for (let partition = 0; partition < 4; partition++) {
      for (const { value } of await logOf(broker, 'orders', partition)) {
        if (value !== 'v') partitionOf.set(Number(value), partition)
      }
    }
    const firstMove = Array.from({ length: 400 }, (_, n) => n).find((n) => partitionOf.get(n) !== partitionOf.get(0))
    expect(firstMove, '1000 B of records of 100 B').toBe(10)
  })

  it('PR-10: off by default: no latency changes anything', async () => {
    const { sizes, batches } = await setUp({ adaptiveBatch: {} })
    await batches(10, SLOW_MS)
    expect(new Set(sizes)).toEqual(new Set([10_000]))
  })
})
