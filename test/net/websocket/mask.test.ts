import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { xorMask } from '../../../lib/net/websocket/mask.js'

describe('xorMask', () => {
  it('GW-2: RFC 6455 section 5.3: byte i is XORed with mask byte i mod 4, at any alignment, place and cut', () => {
    const mask = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), mask, fc.nat(7), fc.nat(300), (payload, word, shift, cutAt) => {
        const keys = [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]
        const expected = payload.map((byte, at) => byte ^ (keys[at % 4] as number))
        const room = new Uint8Array(payload.length + 16)
        const view = room.subarray(shift)
        view.set(payload, 3)
        const cut = Math.min(cutAt, payload.length)
        xorMask(view, 3, 3 + cut, word, 0)
        xorMask(view, 3 + cut, 3 + payload.length, word, cut)
        expect(view.slice(3, 3 + payload.length)).toEqual(expected)
        expect([...room.subarray(0, shift + 3), ...view.subarray(3 + payload.length)].every((byte) => byte === 0)).toBe(
          true,
        )
      }),
      { numRuns: 2000 },
    )
  })
})
