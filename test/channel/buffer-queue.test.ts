import { describe, expect, it } from 'vitest'
import { BufferQueue } from '../../lib/channel/index.js'

describe('BufferQueue', () => {
  it('CH-18: picks in seal order; an empty one says QUEUE_EMPTY', () => {
    const queue = new BufferQueue<{ sequence: number }>()
    for (const sequence of [5, 3, 9, 3, 1]) queue.push({ sequence })
    expect(queue.size).toBe(5)
    expect(Array.from({ length: 5 }, () => queue.pick().sequence)).toEqual([1, 3, 3, 5, 9])
    expect(() => queue.pick()).toThrowError(
      expect.objectContaining({ code: 'CONSUME_FAILED', context: { reason: 'QUEUE_EMPTY' } }),
    )
  })

  it('CH-18: closed says QUEUE_CLOSED and gives back what was inside', () => {
    const queue = new BufferQueue<{ sequence: number }>()
    queue.push({ sequence: 2 })
    queue.push({ sequence: 1 })
    expect(queue.close().map(({ sequence }) => sequence)).toEqual([1, 2])
    expect(queue.close()).toEqual([])
    const closed = expect.objectContaining({ code: 'CONSUMER_CLOSED', context: { reason: 'QUEUE_CLOSED' } })
    expect(() => queue.pick()).toThrowError(closed)
    expect(() => queue.push({ sequence: 3 })).toThrowError(closed)
  })
})
