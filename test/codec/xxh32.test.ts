import { describe, expect, it } from 'vitest'
import { xxh32 } from '../../lib/codec/xxh32.js'

describe('xxh32', () => {
  it.each([
    ['', 0x02cc5d05],
    ['a', 0x550d7456],
    ['abc', 0x32d153ff],
    ['Nobody inspects the spammish repetition', 0xe2293b2f],
  ])('of %j is the published value', (text, hash) => {
    expect(xxh32(Buffer.from(text))).toBe(hash)
  })
})
