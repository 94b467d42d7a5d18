import { describe, expect, it } from 'vitest'
import { formatRange, inRange, parseRange, randomUuid, ZERO_UUID } from '../../lib/protocol/index.js'

describe('version ranges', () => {
  it.each(['3', '0', '2-5', '4+', 'none'])('W-1: %s is read and printed', (text) => {
    expect(formatRange(parseRange(text))).toBe(text)
  })

  it('contain both ends', () => {
    const contained = (text: string) => [0, 1, 2, 3, 4, 99].filter((version) => inRange(parseRange(text), version))
    expect(contained('1-3')).toEqual([1, 2, 3])
    expect(contained('2')).toEqual([2])
    expect(contained('3+')).toEqual([3, 4, 99])
    expect(contained('none')).toEqual([])
  })

  it.each(['', '3-', '5-2', 'x', '1.5'])('refuses %j', (text) => {
    expect(() => parseRange(text)).toThrow()
  })
})

describe('uuids', () => {
  it('print as 22 characters; a random one is of version 4 and does not begin with a dash', () => {
    expect(Buffer.from(ZERO_UUID, 'base64url')).toEqual(Buffer.alloc(16))
    const ids = Array.from({ length: 300 }, () => randomUuid())
    expect(new Set(ids).size).toBe(300)
    expect(ids.every((id) => /^[\w][\w-]{21}$/.test(id))).toBe(true)
    expect(ids.every((id) => (Buffer.from(id, 'base64url').at(6) as number) >> 4 === 4)).toBe(true)
  })
})
