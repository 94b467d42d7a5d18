import { describe, expect, it } from 'vitest'
import type { Packed } from '../../../lib/net/server/types.js'
import {
  encodeClose,
  encodeControl,
  encodeFrame,
  encodeMasked,
  encodeText,
} from '../../../lib/net/websocket/frame-encoder.js'
import { BINARY, PING, PONG, TEXT } from '../../../lib/net/websocket/opcodes.js'
import { decoded, frame, readServer } from './support.js'

const joined = (packed: Packed) => (packed instanceof Uint8Array ? Buffer.from(packed) : Buffer.concat(packed))

describe('frames we send', () => {
  it.each([
    ['a text', encodeText('Hello'), '810548656c6c6f'],
    ['a ping', encodeControl(PING, Buffer.from('Hello')), '890548656c6c6f'],
    ['a masked pong', encodeMasked(PONG, Buffer.from('Hello'), 0x37fa213d), '8a8537fa213d7f9f4d5158'],
    ['a close', encodeClose(1000, 'bye'), '880503e8627965'],
    ['a close without a code', encodeClose(1005), '8800'],
  ])('GW-2: RFC 6455 section 5.7: %s, byte by byte', (_what, packed, hex) => {
    expect(joined(packed).toString('hex')).toBe(hex)
  })

  it.each([0, 1, 125, 126, 127, 65_535, 65_536, 200_000])(
    'GW-2: section 5.2: %i bytes have the minimal length, masked and not',
    (length) => {
      const payload = Buffer.alloc(length, 'payload')
      const expected = frame({ opcode: 2, payload, mask: null })
      expect(joined(encodeFrame(BINARY, payload)).equals(expected)).toBe(true)
      expect(encodeText(payload.toString()).equals(frame({ opcode: 1, payload, mask: null }))).toBe(true)
      expect(encodeMasked(TEXT, payload, -2).equals(frame({ opcode: 1, payload, mask: [255, 255, 255, 254] }))).toBe(
        true,
      )
    },
  )

  it('GW-2: a payload is written from where it lies, that of a control frame is copied', () => {
    const payload = Buffer.from('payload')
    expect((encodeFrame(BINARY, payload) as Uint8Array[])[1]).toBe(payload)
    const pong = encodeControl(PONG, payload)
    payload.fill(0)
    expect(readServer([pong])).toEqual(['pong:payload'])
  })

  it('GW-2: masking copies: the bytes of the caller stay', () => {
    const payload = Buffer.from('stays')
    expect(decoded([encodeMasked(TEXT, payload, 0x12345678)])).toEqual(['text:stays'])
    expect(payload.toString()).toBe('stays')
  })

  it('GW-2: section 8.1: a lone surrogate leaves as U+FFFD', () => {
    expect(readServer([encodeText('a\ud800b')])).toEqual(['text:a\ufffdb'])
  })
})
