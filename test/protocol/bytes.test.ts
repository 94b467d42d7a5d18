/** Borders of the two byte classes that no message reaches by itself. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { ByteReader, ByteWriter } from '../../lib/protocol/index.js'
import { hex, unhex } from '../support/vectors.js'

describe('ByteReader', () => {
  it('refuses a window outside the frame', () => {
    expect(() => new ByteReader(unhex('0011'), 3)).toThrow(MQError)
    expect(() => new ByteReader(unhex('0011'), 0, 3)).toThrow(MQError)
  })

  it('says where and what: the error leads to the byte', () => {
    const reader = new ByteReader(unhex('000102'))
    reader.int16()
    expect(() => reader.int32()).toThrow(
      expect.objectContaining({
        code: 'CONNECTION_FAILED',
        context: { reason: 'MALFORMED_FRAME', at: 2 },
        message: expect.stringContaining('expected 4 more bytes, found 1'),
      }),
    )
  })

  it('W-15: refuses negative lengths', () => {
    const reader = new ByteReader(unhex('00010203'))
    expect(() => reader.bytes(-1)).toThrow(MQError)
    expect(() => reader.text(-2)).toThrow(MQError)
    expect(() => reader.skip(-1)).toThrow(MQError)
    expect(() => reader.count(-2, 1)).toThrow(MQError)
    expect(() => reader.count(5, 1)).toThrow(MQError)
    expect(reader.count(4, 1)).toBe(4)
    expect(reader.at).toBe(0)
  })
})

describe('ByteWriter', () => {
  it('leaves pieces alone that are already handed out, also when it grows', () => {
    const writer = new ByteWriter(4)
    writer.int16(0x0102)
    writer.foreign(unhex('ff'))
    writer.int16(0x0304)
    writer.int32(0x05060708)
    const [first, , third] = writer.finish()
    expect(hex(first as Uint8Array)).toBe('0102')
    expect(hex(third as Uint8Array)).toBe('030405060708')
  })

  it('puts the frame size in front, foreign bytes counted', () => {
    const writer = new ByteWriter(4)
    writer.int32(0)
    writer.foreign(unhex('aabbcc'))
    writer.int8(1)
    expect(hex(Buffer.concat(writer.finishFrame()))).toBe('00000004aabbcc01')
  })

  it('refuses a string above the int16 length and a uuid that is none', () => {
    expect(() => new ByteWriter().text16('x'.repeat(32_768))).toThrow(MQError)
    expect(() => new ByteWriter().uuid('short')).toThrow(MQError)
    expect(() => new ByteWriter().uuid('!'.repeat(22))).toThrow(MQError)
    const writer = new ByteWriter()
    writer.text16('x'.repeat(32_767))
    expect(writer.length).toBe(32_769)
  })

  it('writes a lone surrogate as the replacement character, not as broken UTF-8', () => {
    const writer = new ByteWriter()
    writer.compactText('\ud800')
    expect(hex(Buffer.concat(writer.finish()))).toBe('04efbfbd')
  })
})
