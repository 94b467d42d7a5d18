import { createCompressionCodec } from 'tandem-mq/codec'
import { describe, expect, it } from 'vitest'
import { corpus } from './corpus.js'

const HEADER = Buffer.from('82534e41505059000000000100000001', 'hex')
const snappy = createCompressionCodec('snappy')
const compress = (bytes: Uint8Array): Buffer => Buffer.from(snappy.compress(bytes) as Uint8Array)
const decompress = (bytes: Uint8Array): Buffer => Buffer.from(snappy.decompress(bytes, 10_000_000) as Uint8Array)

/** A raw block that holds its text as one literal (up to 60 bytes). */
const raw = (text: string): Buffer => Buffer.concat([Buffer.of(text.length, (text.length - 1) << 2), Buffer.from(text)])
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const block = (text: string): Buffer => Buffer.concat([int32(raw(text).length), raw(text)])

describe('CD-2 snappy', () => {
  it('writes xerial framing with blocks of 64 KiB of input', () => {
    const packed = compress(corpus('json', 200_000))
    expect(packed.subarray(0, 16).equals(HEADER)).toBe(true)
    let blocks = 0
    for (let at = 16; at < packed.length; at += 4 + packed.readInt32BE(at)) blocks++
    expect(blocks).toBe(4)
  })

  it('reads one raw block without framing', () => {
    expect(decompress(raw('raw')).toString()).toBe('raw')
    expect(decompress(Buffer.of(0)).length).toBe(0)
  })

  it('reads blocks of any size, empty ones, and headers repeated between them', () => {
    const stream = Buffer.concat([HEADER, block('one '), HEADER, HEADER, block('t'), int32(0), block('wo'), HEADER])
    expect(decompress(stream).toString()).toBe('one two')
  })

  it.each([
    ['a negative block length', Buffer.concat([HEADER, int32(-1), raw('x')])],
    ['a block longer than the stream', Buffer.concat([HEADER, int32(99), raw('x')])],
    ['half a block length', Buffer.concat([HEADER, Buffer.alloc(3)])],
    ['half a header', HEADER.subarray(0, 12)],
    ['a claim its bytes cannot hold', Buffer.concat([Buffer.from('ffffff7f', 'hex'), raw('x')])],
    ['a claim above 32 bits', Buffer.from('ffffffffff01', 'hex')],
    ['a claim without an end', Buffer.from('ffff', 'hex')],
    ['one byte more than claimed', Buffer.concat([Buffer.of(2), raw('xyz').subarray(1)])],
  ])('refuses %s', (_what, stream) => {
    expect(() => decompress(stream)).toThrowError(
      expect.objectContaining({ code: 'DECOMPRESSION_FAILED', context: { codec: 'snappy' } }),
    )
  })

  it('R-5: adds up all blocks before it allocates', () => {
    const stream = Buffer.concat([HEADER, block('12345'), block('12345')])
    expect(() => snappy.decompress(stream, 9)).toThrowError(
      expect.objectContaining({
        context: expect.objectContaining({ reason: 'TOO_LARGE', bytes: 10, ceilingBytes: 9 }),
      }),
    )
  })
})
