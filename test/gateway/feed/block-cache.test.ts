/** The cache of all partitions: one bound, oldest out, whatever is made of its blocks; against a plain model. */
import { describe, expect, it } from 'vitest'
import { BlockCache, CachedBlocks } from '../../../lib/gateway/feed/block-cache.js'
import { entriesOf, type FeedEntry } from '../../../lib/gateway/feed/entry.js'
import { wireOf } from '../../../lib/gateway/frames/wire.js'
import { randomInt, seededRandom } from '../../../lib/util/index.js'

function entry(from: number, count: number, bytes = 100): FeedEntry {
  const records = Array.from({ length: count }, (_, index) => ({
    offset: from + index,
    timestamp: 0,
    key: null,
    value: Buffer.alloc(bytes, 'x'),
    headers: [],
  }))
  return entriesOf('t', 0, records, -1)[0] as FeedEntry
}

describe('BlockCache', () => {
  it('GW-3: the oldest block of all partitions goes first', () => {
    const cache = new BlockCache(2 * entry(0, 100).memoryBytes)
    const [a, b] = [new CachedBlocks(cache, 0), new CachedBlocks(cache, 0)]
    a.append(entry(0, 100))
    b.append(entry(0, 100))
    expect([a.from, b.from]).toEqual([0, 0])
    b.append(entry(100, 100))
    expect([a.from, a.end, a.count], 'what is gone can be told from what never was').toEqual([100, 100, 0])
    expect([b.from, b.end]).toEqual([0, 200])
    a.append(entry(100, 100))
    expect([a.from, b.from]).toEqual([100, 100])
    expect(a.at(99)).toBeNull()
    expect(a.at(100)?.block.firstOffset).toBe(100)
    expect(a.at(200)).toBeNull()
  })

  it('GW-3: encoding a block may cost others, and itself, their place', () => {
    const one = entry(0, 100)
    const cache = new BlockCache(2.2 * one.memoryBytes)
    const blocks = new CachedBlocks(cache, 0)
    const two = entry(100, 100)
    blocks.append(one)
    blocks.append(two)
    two.block.encoded(wireOf('tcp', 'json'))
    cache.recount(two)
    expect([blocks.from, cache.bytes]).toEqual([100, two.memoryBytes])
    for (const format of ['json', 'protobuf'] as const) two.block.encoded(wireOf('websocket', format))
    cache.recount(two)
    expect([blocks.from, blocks.end, cache.bytes]).toEqual([200, 200, 0])
    cache.recount(two)
    expect(cache.bytes, 'it is counted no more').toBe(0)
  })

  it('GW-3: any order of blocks, encodings and partitions that leave keeps the sum and the places right', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = seededRandom(seed)
      const cache = new BlockCache(200_000)
      const parts = Array.from({ length: 3 }, () => new CachedBlocks(cache, 0))
      for (let step = 0; step < 300; step++) {
        const blocks = parts[randomInt(random, 3)] as CachedBlocks
        const what = randomInt(random, 10)
        if (what < 6)
          blocks.append(entry(blocks.end + randomInt(random, 3), 1 + randomInt(random, 20), randomInt(random, 400)))
        else if (what < 9) {
          const found = blocks.at(blocks.from + randomInt(random, blocks.end - blocks.from + 1))
          found?.block.encoded(wireOf('tcp', 'json'))
          if (found !== null) cache.recount(found)
        } else if (randomInt(random, 5) === 0) blocks.clear()
        expect(cache.bytes, `seed ${seed}`).toBeLessThanOrEqual(cache.limitBytes)
        let sum = 0
        for (const one of parts) {
          for (let at = one.from; at < one.end; ) {
            const found = one.at(at) as FeedEntry
            expect(found.block.lastOffset, `seed ${seed}`).toBeGreaterThanOrEqual(at)
            sum += found.memoryBytes
            at = found.block.lastOffset + 1
          }
        }
        expect(sum, `seed ${seed}`).toBe(cache.bytes)
      }
    }
  })
})
