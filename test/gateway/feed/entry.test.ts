/** Blocks as feeds keep them: of a good size, with the places of their keys. */
import { describe, expect, it } from 'vitest'
import { entriesOf, type FeedEntry, joined, keyText } from '../../../lib/gateway/feed/entry.js'
import type { FeedRecord } from '../../../lib/gateway/types.js'

function records(count: number, bytes = 0, from = 0, key: (index: number) => string | null = () => null): FeedRecord[] {
  return Array.from({ length: count }, (_, index) => {
    const text = key(index)
    const value = Buffer.alloc(bytes)
    return { offset: from + index, timestamp: 0, key: text === null ? null : Buffer.from(text), value, headers: [] }
  })
}

function only(entries: FeedEntry[]): FeedEntry {
  expect(entries).toHaveLength(1)
  return entries[0] as FeedEntry
}

describe('entries', () => {
  it('GW-1: many records become blocks of about 64 KiB, a large one a block of its own', () => {
    const sizes = (all: FeedRecord[]) => entriesOf('t', 0, all, -1).map(({ block }) => block.records.length)
    expect(sizes(records(1))).toEqual([1])
    expect(sizes(records(300, 900))).toEqual([66, 66, 66, 66, 36])
    expect(sizes(records(3, 1_000_000))).toEqual([1, 1, 1])
    expect(Math.max(...sizes(records(5_000)))).toBeLessThanOrEqual(1_024)
    const all = records(1_000, 700)
    expect(entriesOf('t', 0, all, -1).flatMap(({ block }) => block.records)).toEqual(all)
  })

  it('GW-1: what was deleted lies before the first of them only', () => {
    expect(entriesOf('t', 0, records(200, 900, 50), 50).map(({ deletedBefore }) => deletedBefore)).toEqual([
      50, -1, -1, -1,
    ])
  })

  it('GW-1: blocks are joined with their like, never over a gap, never beyond their size', () => {
    const of = (count: number, from: number, bytes = 0, deletedBefore = -1) =>
      only(entriesOf('t', 3, records(count, bytes, from), deletedBefore))
    const both = joined(of(4, 0, 0, 0), of(3, 10))
    expect(both?.block.records.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 10, 11, 12])
    expect([both?.block.topic, both?.block.partition, both?.deletedBefore]).toEqual(['t', 3, 0])
    expect(joined(of(9, 0), of(4, 9)), 'more than twice as many').toBeNull()
    expect(joined(of(2, 0), of(2, 9, 0, 9)), 'something was deleted between them').toBeNull()
    expect(joined(of(1, 0, 60_000), of(1, 1, 60_000)), 'too large').toBeNull()
    expect(joined(of(600, 0), of(600, 600)), 'too many').toBeNull()
  })

  it('GW-1: finds the records of keys from a place on, ascending, and counts what that costs', () => {
    const keys = ['ann', 'bob', null, 'ann', '', 'bob']
    const entry = only(
      entriesOf(
        't',
        0,
        records(6, 0, 0, (index) => keys[index] as string | null),
        -1,
      ),
    )
    const before = entry.memoryBytes
    expect(entry.hasKeys).toBe(false)
    const found: number[] = [7]
    const matches = (of: string[], from: number) => {
      entry.matches(new Set(of), from, found)
      return [...found]
    }
    expect(matches(['ann'], 0)).toEqual([0, 3])
    expect(matches(['ann'], 1)).toEqual([3])
    expect(matches(['bob', 'ann'], 1)).toEqual([1, 3, 5])
    expect(matches([''], 0), 'an empty key is a key').toEqual([4])
    expect(matches(['cy'], 0)).toEqual([])
    expect(entry.memoryBytes).toBeGreaterThan(before + 3 * 64)
  })

  it('GW-1: keys are the same exactly when their bytes are', () => {
    const bytes = [[], [0], [0xff], [0xfe], [0xef, 0xbf, 0xbd], [0x61]].map((one) => Uint8Array.from(one))
    expect(new Set(bytes.map(keyText)).size).toBe(bytes.length)
    expect(keyText(new Uint8Array([1, 2, 3]).subarray(1, 2))).toBe(keyText(Buffer.from([2])))
  })
})
