import { describe, expect, it } from 'vitest'
import { murmur2, partitionOfHash } from '../../lib/producer/murmur2.js'
import { keyedPartition, StickyPartition } from '../../lib/producer/partitioner.js'
import { seededRandom } from '../../lib/util/index.js'

const load = (queues: readonly number[], available: readonly boolean[] = queues.map(() => true)) => ({
  queuedBatches: (partition: number) => queues[partition] as number,
  isAvailable: (partition: number) => available[partition] as boolean,
})

describe('keyed partitions', () => {
  it('P-15, PR-7: murmur2 gives the published values', () => {
    const expected: [string, number][] = [
      ['21', -973932308],
      ['foobar', -790332482],
      ['a-little-bit-long-string', -985981536],
      ['a-little-bit-longer-string', -1486304829],
      ['abc', 479470107],
      ['', 275646681],
    ]
    for (const [key, hash] of expected) expect(murmur2(Buffer.from(key)), key).toBe(hash)
  })

  it('P-15: a string key and its bytes meet on one partition, long and non-ASCII ones too', () => {
    for (const key of ['a', 'schlüssel', '😀', 'x'.repeat(5000), '']) {
      expect(keyedPartition(key, 17)).toBe(keyedPartition(Buffer.from(key), 17))
    }
  })

  it('P-15: a negative hash still gives a partition in range', () => {
    expect(partitionOfHash(-1, 6)).toBe(0x7fffffff % 6)
    expect(partitionOfHash(-2147483648, 6)).toBe(0)
  })
})

describe('sticky partitions', () => {
  it('P-16: stays until it is told to move on', () => {
    const sticky = new StickyPartition(load([0, 0, 0]), seededRandom(1))
    const first = sticky.pick(3)
    for (let record = 0; record < 1000; record++) expect(sticky.pick(3)).toBe(first)
    sticky.moveOn((first + 1) % 3)
    expect(sticky.pick(3)).toBe(first)
    sticky.moveOn(first)
    expect(sticky.pick(3)).not.toBe(first)
  })

  it('P-16: equal partitions get equal shares within 1 % over a million records', () => {
    const sticky = new StickyPartition(load([0, 0, 0, 0, 0, 0]), seededRandom(2))
    const counts = [0, 0, 0, 0, 0, 0]
    for (let record = 0; record < 1_000_000; record++) {
      const partition = sticky.pick(6)
      counts[partition] = (counts[partition] as number) + 1
      sticky.wrote(100, 16_384)
    }
    for (const count of counts) expect(Math.abs(count - 1_000_000 / 6)).toBeLessThan(1_000_000 / 600)
  })

  it('P-17: a slow partition gets less, one without a leader nothing', () => {
    const sticky = new StickyPartition(load([0, 9, 0, 0], [true, true, true, false]), seededRandom(3))
    const counts = [0, 0, 0, 0]
    for (let choice = 0; choice < 3000; choice++) {
      const partition = sticky.pick(4)
      counts[partition] = (counts[partition] as number) + 1
      sticky.moveOn(partition)
    }
    expect(counts[3]).toBe(0)
    expect(counts[1]).toBeGreaterThan(0)
    expect(counts[1] as number).toBeLessThan((counts[0] as number) / 4)
  })

  it('P-17: with no leader known anywhere records still get a partition and wait there', () => {
    const sticky = new StickyPartition(load([0, 0], [false, false]), seededRandom(4))
    expect([0, 1]).toContain(sticky.pick(2))
  })
})
