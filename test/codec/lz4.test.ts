import { createCompressionCodec } from 'tandem-mq/codec'
import { randomInt, seededRandom } from 'tandem-mq/util'
import { describe, expect, it } from 'vitest'
import { makeLz4Codec } from '../../lib/codec/lz4.js'
import { BLOCK_BROKEN, BLOCK_TOO_LONG, decodeLz4Block } from '../../lib/codec/lz4-block.js'
import { xxh32 } from '../../lib/codec/xxh32.js'
import { corpus, failureOf } from './corpus.js'
import { foreign } from './foreign.js'

const lz4 = createCompressionCodec('lz4')
const compress = (bytes: Uint8Array): Buffer => Buffer.from(lz4.compress(bytes) as Uint8Array)
const decompress = (bytes: Uint8Array, isLegacy = false): Buffer =>
  Buffer.from(lz4.decompress(bytes, 10_000_000, isLegacy) as Uint8Array)
const broken = expect.objectContaining({ code: 'DECOMPRESSION_FAILED' })

/** A frame of stored blocks with the given flags; the header checksum is right unless told otherwise. */
function frame(flags: number, bd: number, extra: Buffer, blocks: readonly Buffer[], hc?: number): Buffer {
  const head = Buffer.concat([Buffer.of(flags, bd), extra])
  const parts = blocks.map((block) => Buffer.concat([uint32(block.length + 0x80000000), block]))
  const checksum = Buffer.of(hc ?? (xxh32(head) >>> 8) & 255)
  return Buffer.concat([Buffer.from('04224d18', 'hex'), head, checksum, ...parts, uint32(0)])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

const ONE = Buffer.from('one block')

describe('CD-2 lz4 as written', () => {
  it('R-2: one frame, independent 64 KiB blocks, right header checksum, nothing behind the end mark', () => {
    const packed = compress(corpus('json', 200_000))
    expect(packed.subarray(0, 7).toString('hex')).toBe('04224d18604082')
    expect((xxh32(packed.subarray(4, 6)) >>> 8) & 255).toBe(0x82)
    let at = 7
    let blocks = 0
    for (let size = packed.readUInt32LE(at); size !== 0; size = packed.readUInt32LE(at)) {
      at += 4 + (size & 0x7fffffff)
      blocks++
    }
    expect(blocks).toBe(4)
    expect(at + 4).toBe(packed.length)
  })

  it('stores what does not shrink, and tries again after seven blocks only', () => {
    let tries = 0
    const counting = makeLz4Codec(() => ({
      compressSync: (block: Uint8Array) => {
        tries++
        return Buffer.alloc(block.length + 300)
      },
    }))
    const random = corpus('random', 20 * 65_536)
    const packed = counting.compress(random) as Uint8Array
    expect(tries).toBe(3) // Blocks 0, 8 and 16.
    expect(packed.length).toBe(random.length + 20 * 4 + 11)
    expect(decompress(packed).equals(random)).toBe(true)
  })

  it('compresses the whole of a batch that starts incompressible and goes on otherwise', () => {
    const data = Buffer.concat([corpus('random', 65_536), corpus('json', 16 * 65_536)])
    const packed = compress(data)
    expect(packed.length).toBeLessThan(data.length * 0.75)
    expect(decompress(packed).equals(data)).toBe(true)
  })

  it('says COMPRESSION_FAILED when the package throws', () => {
    const failing = makeLz4Codec(() => ({
      compressSync: () => {
        throw new Error('no memory')
      },
    }))
    expect(() => failing.compress(ONE)).toThrowError(expect.objectContaining({ code: 'COMPRESSION_FAILED' }))
  })
})

describe('CD-2 lz4 as others write it', () => {
  it.each(foreign('lz4'))('reads what the lz4 tool writes with %s', (_options, packed, original) => {
    expect(decompress(packed).equals(original)).toBe(true)
    expect(() => lz4.decompress(packed, original.length - 1)).toThrowError(
      expect.objectContaining({ context: expect.objectContaining({ reason: 'TOO_LARGE' }) }),
    )
    expect((lz4.decompress(packed, original.length) as Uint8Array).length).toBe(original.length)
  })

  it.each(foreign('lz4'))('notices any damage to a stream of %s that its checksums cover', (options, packed) => {
    if (options.includes('--no-frame-crc')) return
    for (let at = 4; at < packed.length; at += 3) {
      const damaged = Buffer.from(packed)
      damaged[at] = (damaged[at] as number) ^ 0x10
      expect(() => decompress(damaged), `byte ${at}`).toThrowError(broken)
    }
  })

  it('reads concatenated and skippable frames', () => {
    const skippable = Buffer.concat([Buffer.from('5a2a4d18', 'hex'), uint32(3), Buffer.from('abc')])
    const all = Buffer.concat([
      skippable,
      compress(Buffer.from('one ')),
      skippable,
      compress(Buffer.from('two')),
      skippable,
    ])
    expect(decompress(all).toString()).toBe('one two')
    expect(decompress(skippable).length).toBe(0)
  })

  it('verifies a content size', () => {
    const right = Buffer.concat([uint32(ONE.length), uint32(0)])
    const wrong = Buffer.concat([uint32(ONE.length + 1), uint32(0)])
    const huge = Buffer.concat([uint32(0), uint32(1)])
    expect(decompress(frame(0x68, 0x40, right, [ONE])).equals(ONE)).toBe(true)
    expect(() => decompress(frame(0x68, 0x40, wrong, [ONE]))).toThrowError(/claims 10 B and holds 9 B/)
    expect(() => decompress(frame(0x68, 0x40, huge, [ONE]))).toThrowError(/ceiling/)
  })

  it('R-2: tolerates a wrong header checksum for magic 0 only', () => {
    const old = frame(0x60, 0x40, Buffer.alloc(0), [ONE], 0x1a)
    expect(() => decompress(old)).toThrowError(/header has a wrong checksum/)
    expect(decompress(old, true).equals(ONE)).toBe(true)
  })

  it.each([
    ['another version', 0xa0, 0x40],
    ['a reserved flag', 0x62, 0x40],
    ['a reserved descriptor bit', 0x60, 0x41],
    ['a dictionary', 0x61, 0x40],
    ['an unknown block maximum', 0x60, 0x30],
  ])('refuses a frame with %s', (_what, flags, bd) => {
    expect(() => decompress(frame(flags, bd, flags & 1 ? uint32(1) : Buffer.alloc(0), [ONE]))).toThrowError(broken)
  })

  it('refuses a block above the maximum its frame names, and bytes behind the frames', () => {
    expect(() => decompress(frame(0x60, 0x40, Buffer.alloc(0), [Buffer.alloc(65_537)]))).toThrowError(broken)
    expect(() => decompress(Buffer.concat([compress(ONE), Buffer.from('junk bytes')]))).toThrowError(broken)
  })

  it('reads 100,000 blocks of one byte', () => {
    const blocks = Array.from({ length: 100_000 }, (_, index) => Buffer.of(index))
    expect(decompress(frame(0x60, 0x40, Buffer.alloc(0), blocks)).equals(Buffer.concat(blocks))).toBe(true)
  })

  it('refuses a compressed block that decodes to more than the maximum its frame names', () => {
    const zeros = compress(new Uint8Array(65_536))
    const size = zeros.readUInt32LE(7)
    const block = zeros.subarray(11, 11 + size)
    // The block's last sequence is five literals; five more make it longer than 64 KiB.
    const longer = Buffer.concat([block.subarray(0, block.length - 6), Buffer.of(0xa0), Buffer.alloc(10)])
    const make = (body: Buffer): Buffer => Buffer.concat([zeros.subarray(0, 7), uint32(body.length), body, uint32(0)])
    expect(decompress(make(Buffer.from(block))).length).toBe(65_536)
    expect(() => decompress(make(longer))).toThrowError(broken)
  })
})

describe('lz4 block decoder in JavaScript', () => {
  it('agrees with the native one on 4,000 blocks, most of them damaged', () => {
    const random = seededRandom(4711)
    let good = 0
    for (let round = 0; round < 4000; round++) {
      const original = corpus(round % 3 === 0 ? 'mixed' : 'json', 1 + randomInt(random, 400), round)
      const block = Buffer.from(compress(original).subarray(11, -4))
      for (let changes = randomInt(random, 3); changes > 0; changes--) {
        block[randomInt(random, block.length)] = randomInt(random, 256)
      }
      const out = new Uint8Array(65_536)
      const end = decodeLz4Block(block, out, 0, 0, Math.min(out.length, 255 * block.length))
      const packed = Buffer.concat([Buffer.from('04224d18604082', 'hex'), uint32(block.length), block, uint32(0)])
      let native: Uint8Array | undefined
      try {
        native = decompress(packed)
      } catch (error) {
        expect(error).toMatchObject({ code: 'DECOMPRESSION_FAILED' })
      }
      expect(end >= 0, `round ${round}`).toBe(native !== undefined)
      if (native !== undefined) {
        good++
        expect(Buffer.compare(native, out.subarray(0, end)), `round ${round}`).toBe(0)
      }
    }
    expect(good).toBeGreaterThan(1000)
    expect(good).toBeLessThan(3900)
  })

  it('copies from the dictionary in front, and not from before it', () => {
    // Token: 1 literal, copy of 4 + 0 bytes at distance 3; then a last sequence of 1 literal.
    const block = Buffer.of(0x10, 0x61, 3, 0, 0x10, 0x7a)
    const out = Buffer.from('..xy............')
    expect(decodeLz4Block(block, out, 2, 4, out.length)).toBe(10)
    expect(out.toString()).toBe('..xyaxyaxz......')
    expect(decodeLz4Block(block, out, 3, 4, out.length)).toBe(BLOCK_BROKEN)
    expect(decodeLz4Block(block, out, 2, 4, 9)).toBe(BLOCK_TOO_LONG)
    expect(decodeLz4Block(new Uint8Array(0), out, 0, 0, 16)).toBe(BLOCK_BROKEN)
  })

  it('every failure of a frame names what is wrong', async () => {
    const failure = await failureOf(() => lz4.decompress(Buffer.from('no frame at all'), 100))
    expect(String(failure)).toMatch(/^\[DECOMPRESSION_FAILED\] lz4 data is broken: no frame starts with/)
  })
})
