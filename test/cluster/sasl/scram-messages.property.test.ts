import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  escapedName,
  MAX_ITERATIONS,
  MIN_ITERATIONS,
  parseServerFinal,
  parseServerFirst,
} from '../../../lib/cluster/sasl/scram-messages.js'

const OURS = 'rOprNGfwEbeRWgbNEkqO'
/** Texts that are almost messages: they reach further into the parser than noise does. */
const almost = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        `r=${OURS}x`,
        `r=${OURS}`,
        's=QUJD',
        'i=4096',
        'i=4095',
        'i=1e9',
        'm=x',
        'v=QUJD',
        'e=other-error',
        '',
      ),
      fc.string({ maxLength: 8 }),
    ),
    { maxLength: 6 },
  )
  .map((parts) => Buffer.from(parts.join(',')))
const bytes = fc.oneof(
  almost,
  fc.uint8Array({ maxLength: 80 }),
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
)

describe('messages of SCRAM', () => {
  it('W-15, W-22: whatever comes is a message within our bounds, or words that say what is wrong', () => {
    fc.assert(
      fc.property(bytes, (message) => {
        const parsed = parseServerFirst(message, OURS)
        if (typeof parsed === 'string') {
          expect(parsed).not.toBe('')
          return
        }
        expect(parsed.nonce.startsWith(OURS) && parsed.nonce.length > OURS.length).toBe(true)
        expect(parsed.iterations >= MIN_ITERATIONS && parsed.iterations <= MAX_ITERATIONS).toBe(true)
        expect(parsed.salt.length).toBeGreaterThan(0)
        expect(Buffer.from(parsed.text).equals(message)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it('W-15, W-22: so is whatever comes last', () => {
    fc.assert(
      fc.property(bytes, (message) => {
        const parsed = parseServerFinal(message)
        if (typeof parsed === 'string') expect(parsed).not.toBe('')
        else expect(Buffer.from(message).toString()).toMatch(/^v=/)
      }),
      { numRuns: 2000 },
    )
  })

  it('W-22: an escaped name holds no comma, and no other name gives the same', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, other) => {
        expect(escapedName(one)).not.toContain(',')
        expect(escapedName(one).replace(/=(2C|3D)/g, '')).not.toContain('=')
        if (one !== other) expect(escapedName(one)).not.toBe(escapedName(other))
      }),
    )
  })
})
