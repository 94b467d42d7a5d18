import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Utf8Validator } from '../../../lib/net/websocket/utf8.js'

/** Bytes after which nothing can become text any more, found with Node's decoder: one of its endings must be text. */
const ENDINGS = [
  [],
  [0x80],
  [0xa0],
  [0x90],
  [0x80, 0x80],
  [0xa0, 0x80],
  [0x90, 0x80],
  [0x80, 0x80, 0x80],
  [0x90, 0x80, 0x80],
]
const canBecomeText = (bytes: readonly number[]) =>
  ENDINGS.some((ending) => isUtf8(Uint8Array.from([...bytes, ...ending])))

describe('Utf8Validator', () => {
  it('GW-2: fails at the first byte after which no ending makes text, for every lead byte and all edges', () => {
    const edges = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff]
    const wrong: string[] = []
    for (let lead = 0; lead <= 0xff; lead++) {
      for (const second of edges) for (const third of edges) wrong.push(...misjudged([lead, second, third]))
    }
    expect(wrong).toEqual([])
  })

  it('GW-2: any cut of any bytes judges as the whole', () => {
    const texts = fc.string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text))
    const damaged = fc.tuple(texts, fc.nat(), fc.nat(255)).map(([bytes, at, byte]) => {
      if (bytes.length > 0) bytes[at % bytes.length] = byte
      return bytes
    })
    fc.assert(
      fc.property(fc.oneof(texts, damaged, fc.uint8Array({ maxLength: 12 })), fc.array(fc.nat(9)), (bytes, cuts) => {
        const validator = new Utf8Validator()
        let isRight = true
        for (let at = 0, cut = 0; at < bytes.length && isRight; cut++) {
          const end = at + (cuts[cut] ?? bytes.length)
          isRight = validator.push(bytes.subarray(at, end))
          at = end
        }
        expect(isRight && validator.isComplete).toBe(isUtf8(bytes))
      }),
      { numRuns: 3000 },
    )
  })
})

function misjudged(bytes: readonly number[]): string[] {
  const expected = canBecomeText(bytes)
  const single = new Utf8Validator()
  const byByte = bytes.every((byte) => single.push(Uint8Array.of(byte)))
  const isRight = new Utf8Validator().push(Uint8Array.from(bytes)) === expected && byByte === expected
  return isRight && (!byByte || single.isComplete === isUtf8(Uint8Array.from(bytes))) ? [] : [bytes.join()]
}
