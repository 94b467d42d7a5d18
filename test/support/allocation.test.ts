import { expect, it } from 'vitest'
import { bytesPerCall } from './allocation.js'

it('CH-20: the count sees one small object per call, and none where none is made', () => {
  let last: object = {}
  let sum = 0
  const creates = () => {
    last = { sum }
  }
  const adds = () => {
    sum = (sum + 1) | 0
  }
  expect(bytesPerCall(creates, 100_000)).toBeGreaterThanOrEqual(12)
  expect(bytesPerCall(adds, 100_000)).toBeLessThan(1)
  expect([typeof last, typeof sum]).toEqual(['object', 'number'])
})
