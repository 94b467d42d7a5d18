import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c, crc32cCombine, crc32cPure, isCrc32cNative } from '../../lib/util/index.js'

describe('crc32c', () => {
  it('CD-2: gives the published check values', () => {
    for (const crc of [crc32c, crc32cPure]) {
      expect(crc(Buffer.from('123456789'))).toBe(0xe3069283)
      expect(crc(Buffer.alloc(32))).toBe(0x8a9136aa)
      expect(crc(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
      expect(crc(Buffer.from(Array.from({ length: 32 }, (_, index) => index)))).toBe(0x46dd794e)
    }
  })

  it('CD-2: the native and the JavaScript form agree on every slice', () => {
    expect(isCrc32cNative, 'the optional package is expected on development machines').toBe(true)
    const bytes = randomBytes(5000)
    fc.assert(
      fc.property(fc.nat(4999), fc.nat(4999), fc.integer({ min: 0, max: 0xffffffff }), (a, b, previous) => {
        const slice = bytes.subarray(Math.min(a, b), Math.max(a, b))
        expect(crc32cPure(slice, previous)).toBe(crc32c(slice, previous))
      }),
      { numRuns: 2000 },
    )
  })

  it('R-3: combining the parts equals the CRC of the whole, for random splits', () => {
    const bytes = randomBytes(70_000)
    fc.assert(
      fc.property(fc.nat(70_000), (split) => {
        const [a, b] = [bytes.subarray(0, split), bytes.subarray(split)]
        expect(crc32cCombine(crc32c(a), crc32c(b), b.length)).toBe(crc32c(bytes))
      }),
      { numRuns: 500 },
    )
  })
})
