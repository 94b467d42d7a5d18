import { readControlRecord } from 'tandem-mq/protocol'
import { describe, expect, it } from 'vitest'

const hex = (text: string): Uint8Array => Buffer.from(text, 'hex')

describe('R-8 control records', () => {
  it.each([
    ['00000000', 'abort'],
    ['00000001', 'commit'],
    ['00000002', 'other'],
    ['0000ffff', 'other'],
    ['000100010000', 'commit'], // A later key version may be longer.
  ] as const)('key %s is %s', (key, type) => {
    expect(readControlRecord(hex(key), hex('000000000012'))).toEqual({ type, coordinatorEpoch: 18 })
  })

  it('a value that is missing or short has no epoch', () => {
    expect(readControlRecord(hex('00000001'), null).coordinatorEpoch).toBe(-1)
    expect(readControlRecord(hex('00000001'), hex('0000')).coordinatorEpoch).toBe(-1)
  })

  it.each([null, hex(''), hex('000000')])('a key without a type is corrupt', (key) => {
    expect(() => readControlRecord(key, null)).toThrowError(
      expect.objectContaining({ code: 'CONSUME_FAILED', context: { reason: 'CORRUPT_BATCH' } }),
    )
  })
})
