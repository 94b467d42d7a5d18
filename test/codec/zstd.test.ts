import { createCompressionCodec } from 'tandem-mq/codec'
import { describe, expect, it } from 'vitest'
import { makeZstdCodec } from '../../lib/codec/zstd.js'
import { zstdBound } from '../../lib/codec/zstd-bound.js'
import { corpus, failureOf } from './corpus.js'
import { foreign } from './foreign.js'

const zstd = createCompressionCodec('zstd')
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const decompress = async (bytes: Uint8Array, ceiling = 10_000_000): Promise<Buffer> =>
  Buffer.from(await zstd.decompress(bytes, ceiling))

/** A block that repeats one byte. */
function repeated(size: number, isLast: boolean): Buffer {
  const block = Buffer.alloc(4)
  block.writeUIntLE((size << 3) | 2 | (isLast ? 1 : 0), 0, 3)
  block[3] = 65
  return block
}

/** A frame without content size; window 2^(10 + exponent). */
const frame = (exponent: number, ...blocks: Buffer[]): Buffer =>
  Buffer.concat([hex('28b52ffd 00'), Buffer.of(exponent << 3), ...blocks])

describe('CD-2 zstd', () => {
  it.each(foreign('zstd'))('reads what the zstd tool writes with %s', async (_options, packed, original) => {
    expect((await decompress(packed)).equals(original)).toBe(true)
    expect((await decompress(packed, original.length)).equals(original)).toBe(true)
    expect(await failureOf(() => zstd.decompress(packed, original.length - 1))).toMatchObject({
      context: { reason: 'TOO_LARGE' },
    })
  })

  it('reads several and skippable frames and unknown content sizes', async () => {
    const skippable = hex('502a4d18 03000000 616263')
    const stream = Buffer.concat([
      skippable,
      frame(10, repeated(3, false), repeated(2, true)),
      skippable,
      frame(10, repeated(1, true)),
    ])
    expect((await decompress(stream)).toString()).toBe('AAAAAA')
    expect((await decompress(skippable)).length).toBe(0)
  })

  it('R-2: takes windows up to 128 MiB and no larger', async () => {
    expect((await decompress(frame(17, repeated(5, true)))).toString()).toBe('AAAAA')
    expect(String(await failureOf(() => decompress(frame(18, repeated(5, true)))))).toMatch(/window of 268435456 B/)
  })

  it('R-2: writes one frame with a window of at most 8 MiB at every level', async () => {
    for (const level of [1, 3, 19]) {
      const packed = Buffer.from(await zstd.compress(corpus('json', 300_000), level))
      expect(packed.readUInt32LE(0)).toBe(0xfd2fb528)
      const descriptor = packed[4] as number
      const isSingleSegment = (descriptor & 0x20) !== 0
      if (!isSingleSegment) expect((packed[5] as number) >>> 3, `level ${level}`).toBeLessThanOrEqual(13)
      expect(descriptor & 3, 'no dictionary').toBe(0)
    }
  })

  it('R-5: refuses many small bombs and large claims from the headers alone', async () => {
    const many = frame(10, ...Array.from({ length: 99 }, () => repeated(131_072, false)), repeated(1, true))
    expect(many.length).toBeLessThan(500)
    expect(zstdBound(many)).toMatchObject({ atLeast: 99 * 131_072 + 1, atMost: 99 * 131_072 + 1 })
    const claims = Buffer.concat([hex('28b52ffd a0 00000040'), repeated(1000, true)])
    let decoded = 0
    const counting = { decompress: () => decoded++ }
    const spied = makeZstdCodec({}, () => counting)
    for (const stream of [many, claims]) {
      expect(await failureOf(() => spied.decompress(stream, 1_000_000))).toMatchObject({ code: 'DECOMPRESSION_FAILED' })
    }
    expect(decoded).toBe(0)
  })

  it.each([
    ['a reserved block type', frame(10, hex('07 00 00'))],
    ['a block above 128 KiB', frame(10, repeated(131_073, true))],
    [
      'more frames than anybody writes',
      Buffer.concat(Array.from({ length: 4097 }, () => frame(10, repeated(1, true)))),
    ],
    ['no last block', frame(10, repeated(3, false))],
    ['half a skippable frame', hex('502a4d18 04000000 616263')],
    ['an unknown magic', hex('28b52ffe 00 50 010000')],
    ['no checksum where one is announced', Buffer.concat([hex('28b52ffd 04 50'), repeated(3, true)])],
  ])('refuses %s without decoding', (_what, stream) => {
    expect(() => zstdBound(stream)).toThrowError(expect.objectContaining({ code: 'DECOMPRESSION_FAILED' }))
  })

  it('bounds what it writes itself', async () => {
    for (const size of [0, 1, 100, 131_072, 131_073, 500_000]) {
      const bound = zstdBound(await zstd.compress(corpus('json', size)))
      expect(bound.atLeast).toBeLessThanOrEqual(size)
      expect(bound.atMost).toBeGreaterThanOrEqual(size)
      expect(bound.atMost).toBeLessThanOrEqual(size + 131_072)
    }
  })
})

describe('zstd of node:zlib, where Node has it', () => {
  const calls: string[] = []
  const built = {
    constants: { ZSTD_c_compressionLevel: 100, ZSTD_d_windowLogMax: 100 },
    zstdCompressSync: (bytes: Uint8Array, { params }: { params: Record<number, number> }) => {
      calls.push(`sync ${params[100]}`)
      return bytes
    },
    zstdCompress: (bytes: Uint8Array, _options: unknown, done: (error: Error | null, result: Uint8Array) => void) => {
      calls.push('pool')
      if (bytes[0] === 1) done(new Error('no'), bytes)
      else done(null, bytes)
    },
    zstdDecompressSync: (_bytes: Uint8Array, options: { maxOutputLength: number }) => {
      calls.push(`limit ${options.maxOutputLength}`)
      return new Uint8Array(3)
    },
  }
  const codec = makeZstdCodec(built, () => {
    throw new Error('the package must not be loaded')
  })

  it('is preferred to the package: small data at once, large data in the pool, decompression at once', async () => {
    expect(codec.compress(new Uint8Array(10), 7)).toBeInstanceOf(Uint8Array)
    expect(await codec.compress(new Uint8Array(20_000))).toHaveLength(20_000)
    expect(codec.decompress(frame(10, repeated(3, true)), 3)).toHaveLength(3)
    expect(calls).toEqual(['sync 7', 'pool', `limit ${3 + 131_072}`])
    expect(await failureOf(() => codec.compress(new Uint8Array(20_000).fill(1)))).toMatchObject({
      code: 'COMPRESSION_FAILED',
    })
  })
})
