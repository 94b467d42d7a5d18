import { describe, expect, it } from 'vitest'
import { AnswerSize } from '../../../lib/consumer/fetch/answer-size.js'

const MIB = 1_048_576

/** Full answers, each of which found `bufferedBytes` and came `waitedMs` after the buffers ran dry. */
function full(size: AnswerSize, times: number, waitedMs: number, bufferedBytes = 0): number {
  for (let turn = 0; turn < times; turn++) {
    size.ranDry(turn * 1_000)
    size.answered(size.bytes, size.bytes, bufferedBytes, turn * 1_000 - 5, turn * 1_000 + waitedMs)
  }
  return size.bytes
}

describe('AnswerSize', () => {
  it('starts small, and stays so while callbacks hardly wait', () => {
    const size = new AnswerSize(50 * MIB)
    expect([size.bytes, full(size, 100, 19)]).toEqual([MIB, MIB])
  })

  it('a long way to the broker: doubles up to fetchMaxBytes while callbacks wait for full answers', () => {
    const size = new AnswerSize(50 * MIB)
    expect([full(size, 1, 20), full(size, 2, 50), full(size, 10, 50)]).toEqual([2 * MIB, 8 * MIB, 50 * MIB])
  })

  it('a wait counts from the request on when the buffers had been empty before', () => {
    const size = new AnswerSize(50 * MIB)
    size.ranDry(0)
    size.answered(MIB, MIB, 0, 990, 1_000)
    expect(size.bytes).toBe(MIB)
    size.answered(MIB, MIB, 0, 1_000, 1_020)
    expect(size.bytes).toBe(2 * MIB)
  })

  it('answers that are not full say nothing about the size: the end of the log was reached', () => {
    const size = new AnswerSize(50 * MIB)
    for (let turn = 0; turn < 20; turn++) size.answered(MIB, MIB / 2, 0, turn * 1_000, turn * 1_000 + 500)
    expect(size.bytes).toBe(MIB)
  })

  it('halves when more than another answer is still buffered, and when nobody waited for a while', () => {
    const size = new AnswerSize(50 * MIB)
    full(size, 10, 50)
    expect(full(size, 1, 0, 50 * MIB)).toBe(25 * MIB)
    expect([full(size, 15, 3), full(size, 1, 3)]).toEqual([25 * MIB, 12.5 * MIB])
    expect(full(size, 1_000, 3)).toBe(MIB)
  })

  it('never leaves fetchMaxBytes, small ones included', () => {
    const size = new AnswerSize(1_000)
    expect([size.bytes, full(size, 5, 100), full(size, 50, 0, 5_000)]).toEqual([1_000, 1_000, 1_000])
  })
})
