import { describe, expect, it } from 'vitest'
import { binary, close, DecoderProbe, decoded, frame, more, ping, pong, type Told, text } from './support.js'

const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')
const long = (length: number) => 'x'.repeat(length)

/** Section of RFC 6455, what it is about, what came, what the decoder tells. */
type Row = readonly [section: string, claim: string, sent: readonly Uint8Array[], told: readonly Told[]]

const ROWS: readonly Row[] = [
  // 5.7 gives bytes that we did not make
  ['5.7', 'the masked text of the examples', [bytes('81 85 37fa213d 7f9f4d5158')], ['text:Hello']],
  ['5.7', 'the masked pong of the examples', [bytes('8a 85 37fa213d 7f9f4d5158')], ['pong:Hello']],
  // 5.1
  ['5.1', 'a frame of a client without a mask', [frame({ opcode: 1, payload: 'a', mask: null })], ['error:1002']],
  ['5.1', 'an empty frame of a client without a mask', [frame({ opcode: 1, mask: null })], ['error:1002']],
  ['5.1', 'a ping of a client without a mask', [frame({ opcode: 9, mask: null })], ['error:1002']],
  // 5.2
  ['5.2', 'bit RSV1', [frame({ opcode: 1, rsv: 4 })], ['error:1002']],
  ['5.2', 'bit RSV2', [frame({ opcode: 2, rsv: 2 })], ['error:1002']],
  ['5.2', 'bit RSV3', [frame({ opcode: 9, rsv: 1 })], ['error:1002']],
  [
    '5.2',
    'a message before a reserved bit is told',
    [text('a'), frame({ opcode: 1, rsv: 7 })],
    ['text:a', 'error:1002'],
  ],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(
    (opcode): Row => ['5.2', `reserved opcode ${opcode}`, [frame({ opcode })], ['error:1002']],
  ),
  ...[0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537].map(
    (length): Row => ['5.2', `a text of ${length} bytes`, [text(long(length))], [`text:${long(length)}`]],
  ),
  ['5.2', '125 bytes in 16 bits of length', [frame({ opcode: 2, payload: long(125), lengthBits: 16 })], ['error:1002']],
  [
    '5.2',
    '65535 bytes in 64 bits of length',
    [frame({ opcode: 2, payload: long(65_535), lengthBits: 64 })],
    ['error:1002'],
  ],
  ['5.2', 'no bytes in 64 bits of length', [frame({ opcode: 2, lengthBits: 64 })], ['error:1002']],
  ['5.2', 'a length with its first bit set', [frame({ opcode: 2, claim: 1n << 63n })], ['error:1002']],
  ['5.2', 'the largest length there is', [frame({ opcode: 2, claim: (1n << 63n) - 1n })], ['error:1009']],
  // 5.3
  ['5.3', 'a mask of zeros', [frame({ opcode: 1, payload: 'zero', mask: [0, 0, 0, 0] })], ['text:zero']],
  [
    '5.3',
    'a mask with its first bit set',
    [frame({ opcode: 1, payload: long(300), mask: [255, 1, 254, 128] })],
    [`text:${long(300)}`],
  ],
  // 5.4
  ['5.4', 'three fragments', [text('a', false), more('b'), more('c', true)], ['text:abc']],
  ['5.4', 'empty fragments', [binary('', false), more(''), more('', true)], ['binary:']],
  ['5.4', 'a ping between fragments', [text('a', false), ping('p'), more('b', true)], ['ping:p', 'text:ab']],
  ['5.4', 'a pong between fragments', [text('a', false), pong('p'), more('b', true)], ['pong:p', 'text:ab']],
  ['5.4', 'a close between fragments', [text('a', false), close(1001)], ['close:1001:']],
  [
    '5.4',
    'two fragmented messages',
    [text('a', false), more('b', true), binary('c', false), more('d', true)],
    ['text:ab', 'binary:cd'],
  ],
  ['5.4', 'a continuation of nothing', [more('a', true)], ['error:1002']],
  ['5.4', 'a continuation after a complete message', [text('a'), more('b')], ['text:a', 'error:1002']],
  ['5.4', 'a new message inside another', [text('a', false), text('b')], ['error:1002']],
  ['5.4', 'a new message of another kind inside another', [text('a', false), binary('b', false)], ['error:1002']],
  // 5.5
  ['5.5', 'a ping of 125 bytes', [ping(long(125))], [`ping:${long(125)}`]],
  ['5.5', 'a ping of 126 bytes', [ping(long(126))], ['error:1002']],
  ['5.5', 'a pong of 126 bytes', [pong(long(126))], ['error:1002']],
  ['5.5', 'a close of 126 bytes', [close(1000, long(124))], ['error:1002']],
  ['5.5', 'a fragmented ping', [frame({ opcode: 9, fin: false })], ['error:1002']],
  ['5.5', 'a fragmented close', [frame({ opcode: 8, fin: false })], ['error:1002']],
  ['5.5.1', 'a close without a code', [close()], ['close:1005:']],
  ['5.5.1', 'a close with one byte', [frame({ opcode: 8, payload: 'x' })], ['error:1002']],
  ['5.5.1', 'a close with the longest reason', [close(1000, long(123))], [`close:1000:${long(123)}`]],
  ['5.5.1', 'a reason that is not UTF-8', [close(1000, Buffer.of(0xff))], ['error:1007']],
  ['5.5.1', 'a reason that ends inside a character', [close(1000, Buffer.of(0xe2, 0x82))], ['error:1007']],
  [
    '5.5.1',
    'a close inside a character of a text',
    [text(Buffer.of(0xe2), false), close(1000, '\u20ac')],
    ['close:1000:\u20ac'],
  ],
  // 5.6, 8.1
  ['5.6', 'binary may be any bytes', [binary(Buffer.of(0xff, 0xfe, 0x80))], ['binary:\xff\xfe\x80']],
  ['8.1', 'text that is not UTF-8', [text(Buffer.of(0xc3, 0x28))], ['error:1007']],
  ['8.1', 'text that ends inside a character', [text(Buffer.of(0x61, 0xe2, 0x82))], ['error:1007']],
  [
    '8.1',
    'a character over two fragments',
    [text(Buffer.of(0xe2), false), more(Buffer.of(0x82, 0xac), true)],
    ['text:\u20ac'],
  ],
  ['8.1', 'a surrogate', [text(Buffer.of(0xed, 0xa0, 0x80))], ['error:1007']],
  ['8.1', 'a wrong byte in a fragment that is not the last', [text(Buffer.of(0xf8), false)], ['error:1007']],
  ['8.1', 'a byte order mark and noncharacters stay', [text('\ufeffa\uffff')], ['text:\ufeffa\uffff']],
  // 7.4
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map(
    (code): Row => ['7.4', `close code ${code}`, [close(code, 'why')], [`close:${code}:why`]],
  ),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map(
    (code): Row => ['7.4', `close code ${code}, which nobody may send`, [close(code)], ['error:1002']],
  ),
]

describe('FrameDecoder', () => {
  it.each(ROWS)('GW-2: RFC 6455 section %s: %s', (_section, _claim, sent, told) => {
    expect(decoded(sent)).toEqual(told)
  })

  it.each(ROWS)('GW-2: section %s, byte by byte: %s', (_section, _claim, sent, told) => {
    const probe = new DecoderProbe()
    for (const byte of Buffer.concat(sent)) probe.push(Uint8Array.of(byte))
    expect(probe.told).toEqual(told)
  })

  it.each([
    ['one frame', [binary(long(101))]],
    ['two fragments', [binary(long(100), false), more('x')]],
    ['many fragments', [binary(long(50), false), ...Array.from({ length: 51 }, () => more('x'))]],
    ['a frame whose payload has not come', [frame({ opcode: 2, claim: 101n })]],
    ['a length of 2^53', [frame({ opcode: 2, claim: 1n << 53n })]],
  ])('GW-2: maxPayloadBytes + 1 in %s is refused with 1009', (_what, sent) => {
    const probe = new DecoderProbe(100).push(Buffer.concat(sent))
    expect(probe.told).toEqual(['error:1009'])
    expect(probe.error).toMatchObject({
      code: 'CONNECTION_FAILED',
      context: { reason: 'TOO_LARGE', maxPayloadBytes: 100 },
    })
  })

  it('GW-2: exactly maxPayloadBytes pass, in one frame and in fragments', () => {
    const payload = long(100)
    expect(decoded([text(payload)], 100)).toEqual([`text:${payload}`])
    expect(decoded([text(long(50), false), more(long(50)), more('', true)], 100)).toEqual([`text:${payload}`])
  })

  it('trap 21: a claimed length allocates nothing before its bytes come', () => {
    const probe = new DecoderProbe(1 << 30)
    probe.push(frame({ opcode: 2, claim: 1n << 30n }).subarray(0, 14))
    expect(probe.decoder.heldBytes).toBe(0)
    probe.push(Buffer.alloc(10))
    expect(probe.decoder.heldBytes).toBeLessThanOrEqual(1024)
  })

  it('GW-2: memory follows the bytes that came, not the number of fragments', () => {
    const probe = new DecoderProbe()
    probe.push(binary('', false))
    const fragment = more('')
    for (let sent = 0; sent < 100_000; sent += 1000)
      probe.push(Buffer.concat(Array.from({ length: 1000 }, () => fragment)))
    expect(probe.decoder.heldBytes).toBe(0)
    for (let sent = 0; sent < 5000; sent++) probe.push(more('x'))
    expect(probe.decoder.heldBytes).toBeLessThanOrEqual(2 * 5000)
    expect(probe.push(more('', true)).told).toEqual([`binary:${long(5000)}`])
    expect(probe.decoder.heldBytes).toBe(0)
  })

  it('GW-2: a wrong byte ends a text before its frame is complete', () => {
    const whole = text(Buffer.concat([Buffer.from('abc'), Buffer.of(0xf4, 0x90), Buffer.alloc(500, 'x')]))
    const header = whole.length - 505
    expect(new DecoderProbe().push(whole.subarray(0, header + 4)).told).toEqual([])
    expect(new DecoderProbe().push(whole.subarray(0, header + 5)).told).toEqual(['error:1007'])
  })

  it('GW-2: what failed once fails the same way again', () => {
    const probe = new DecoderProbe().push(frame({ opcode: 3 }))
    expect(() => probe.decoder.next(probe.ring)).toThrow(probe.error as Error)
  })

  it('GW-2: a message belongs to its receiver: the next one does not change it', () => {
    const probe = new DecoderProbe()
    const seen: Buffer[] = []
    for (const sent of [
      text('first'),
      binary('x'.repeat(3000)),
      Buffer.concat([text('second', false), more('!', true)]),
    ]) {
      probe.push(sent)
      seen.push(probe.decoder.payload)
    }
    expect(seen.map((data) => data.toString().slice(0, 7))).toEqual(['first', 'xxxxxxx', 'second!'])
  })
})

describe('FrameDecoder of a client', () => {
  const hex = (text: string) => [bytes(text)]
  it.each([
    ['5.7: a text', hex('81 05 48656c6c6f'), ['text:Hello']],
    ['5.7: fragments', hex('01 03 48656c 80 02 6c6f'), ['text:Hello']],
    ['5.7: a ping', hex('89 05 48656c6c6f'), ['ping:Hello']],
    ['5.7: 256 bytes', [bytes('82 7e 0100'), Buffer.alloc(256, 'b')], [`binary:${'b'.repeat(256)}`]],
    ['5.7: 64 KiB', [bytes('82 7f 0000000000010000'), Buffer.alloc(65_536, 'b')], [`binary:${'b'.repeat(65_536)}`]],
    ['5.1: a masked frame of a server', [text('a')], ['error:1002']],
    ['5.2: 126 bytes in 64 bits', [bytes('82 7f 000000000000007e')], ['error:1002']],
  ])('GW-2: RFC 6455 section %s', (_claim, sent, told) => {
    expect(decoded(sent, undefined, 'server')).toEqual(told)
  })
})
