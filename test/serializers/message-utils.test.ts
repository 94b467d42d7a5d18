/** Single values, compressed where it pays. Conformance: features.md part 7, Utilities. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CompressionCodec, createCompressionCodec } from '../../lib/codec/index.js'
import { xxh32 } from '../../lib/codec/xxh32.js'
import { MQError } from '../../lib/errors/index.js'
import { bytes, json, MessageUtils, string } from '../../lib/serializers/index.js'

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const RAW = 0
const LZ4 = 3

/** 1 KiB: 0..255, four times. */
const ramp = Buffer.from(Array.from({ length: 1_024 }, (_, at) => at & 255))
const text = (length: number) => Buffer.alloc(length, 'abc')

async function failureOf(task: Promise<unknown>): Promise<MQError> {
  const error = await task.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof MQError)) throw error
  return error
}

/** A codec that counts its calls, and shrinks to a given share. */
function counting(share: number): CompressionCodec & { calls: number } {
  return {
    type: 'lz4',
    id: LZ4,
    calls: 0,
    compress(data) {
      this.calls++
      return data.subarray(0, Math.round(data.length * share))
    },
    decompress: (data) => data,
  }
}

describe('CD-4 conformance: Utilities', () => {
  it('json + lz4 round trip', async () => {
    const utils = new MessageUtils(json<object>(), 'lz4')
    const value = { id: 7, lines: Array.from({ length: 50 }, (_, at) => ({ at, text: 'the same' })) }
    const packed = await utils.serializeAndCompress(value)
    expect(packed[0]).toBe(LZ4)
    expect(packed.length).toBeLessThan(JSON.stringify(value).length)
    expect(await utils.decompressAndDeserialize(packed)).toEqual(value)
  })

  it.each(CODECS)('%s: the ratio of a 1 KiB ramp is in (0, 1]', async (codec) => {
    const ratio = await new MessageUtils(bytes(), codec).getCompressionRatio(ramp)
    expect(ratio).toBeGreaterThan(0)
    expect(ratio).toBeLessThanOrEqual(1)
    if (codec !== 'none') expect(ratio, 'four times the same 256 B').toBeLessThan(0.5)
  })

  it('13 bytes are not compressed', async () => {
    const utils = new MessageUtils(bytes(), 'lz4')
    const small = text(13)
    expect(await utils.isCompressionBeneficial(small, 100)).toBe(false)
    expect([...(await utils.optimizeForSmallMessages(small))]).toEqual([RAW, ...small])
    expect([...(await utils.serializeAndCompress(small))]).toEqual([RAW, ...small])
  })
})

describe('CD-4 serializeAndCompress, decompressAndDeserialize', () => {
  it.each(CODECS)('%s: the leading byte names the codec really used, and every object reads it', async (codec) => {
    const utils = new MessageUtils(bytes(), codec)
    const packed = await utils.serializeAndCompress(ramp)
    expect(packed[0]).toBe(createCompressionCodec(codec).id)
    const reader = new MessageUtils(bytes(), 'none')
    expect(Buffer.compare(await reader.decompressAndDeserialize(packed), ramp)).toBe(0)
  })

  it('what does not become smaller is left as it is, and says so', async () => {
    const noise = Buffer.from(Array.from({ length: 500 }, (_, at) => (at * at * 7919) & 255).reverse())
    const utils = new MessageUtils(bytes(), counting(1))
    expect([...(await utils.serializeAndCompress(noise))]).toEqual([RAW, ...noise])
  })

  it('CD-4: round trip of every value with every codec', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...CODECS), fc.jsonValue(), async (codec, value) => {
        const utils = new MessageUtils(json<unknown>(), codec)
        const packed = await utils.serializeAndCompress(value)
        expect(await utils.decompressAndDeserialize(packed as never)).toEqual(JSON.parse(JSON.stringify(value)))
      }),
      { numRuns: 200 },
    )
  })

  it('null, a tombstone, stays null both ways', async () => {
    const utils = new MessageUtils(json<object>(), 'lz4')
    expect(await utils.serializeAndCompress(null)).toBeNull()
    expect(await utils.decompressAndDeserialize(null)).toBeNull()
  })

  it('an empty value is one byte', async () => {
    const utils = new MessageUtils(string(), 'gzip')
    expect([...(await utils.serializeAndCompress(''))]).toEqual([RAW])
    expect(await utils.decompressAndDeserialize(Buffer.from([RAW]))).toBe('')
  })

  it('a serializer of ones own may give text, and what it throws is wrapped once', async () => {
    const cause = new Error('mine')
    const own = {
      contentType: 'x/y',
      serialize: (value: string) => {
        if (value === 'bad') throw cause
        return value as never
      },
      deserialize: () => {
        throw cause
      },
    }
    const utils = new MessageUtils<string>(own, 'none')
    expect((await utils.serializeAndCompress('ab')).toString()).toBe('\0ab')
    const wrote = await failureOf(utils.serializeAndCompress('bad', 't'))
    expect(wrote).toMatchObject({ code: 'SERIALIZATION_FAILED', context: { topic: 't' }, cause })
    const read = await failureOf(utils.decompressAndDeserialize(Buffer.from('\0ab'), 't'))
    expect(read).toMatchObject({ code: 'DESERIALIZATION_FAILED', context: { topic: 't' }, cause })
    const ours = await failureOf(new MessageUtils(json<unknown>(), 'lz4').serializeAndCompress(5n, 't'))
    expect(ours.message).toContain('BigInt')
    const promise = { ...own, serialize: () => Promise.resolve(Buffer.alloc(1)) as never }
    expect(await failureOf(new MessageUtils<string>(promise, 'none').serializeAndCompress('a'))).toMatchObject({
      code: 'SERIALIZATION_FAILED',
    })
  })

  it('a codec that fails is COMPRESSION_FAILED or DECOMPRESSION_FAILED', async () => {
    const cause = new Error('native')
    const broken: CompressionCodec = {
      type: 'mine',
      id: 99,
      compress: () => Promise.reject(cause),
      decompress: () => {
        throw cause
      },
    }
    const utils = new MessageUtils(bytes(), broken)
    expect(await failureOf(utils.serializeAndCompress(ramp))).toMatchObject({ code: 'COMPRESSION_FAILED', cause })
    expect(await failureOf(utils.decompress(Buffer.from([99, 1])))).toMatchObject({
      code: 'DECOMPRESSION_FAILED',
      cause,
    })
  })
})

describe('CD-4 damaged input', () => {
  it.each([
    ['nothing at all', Buffer.alloc(0)],
    ['an unknown codec', Buffer.from([200, 1, 2])],
    ['half an lz4 frame', Buffer.from([LZ4, 4, 0x22, 0x4d])],
  ])('%s is DECOMPRESSION_FAILED', async (_name, data) => {
    const utils = new MessageUtils(bytes(), 'lz4')
    expect(await failureOf(utils.decompressAndDeserialize(data))).toMatchObject({ code: 'DECOMPRESSION_FAILED' })
  })

  it.each(CODECS)('%s: more than the ceiling is TOO_LARGE', async (codec) => {
    const packed = await new MessageUtils(bytes(), codec).serializeAndCompress(ramp)
    const exact = new MessageUtils(bytes(), codec, { ceilingBytes: ramp.length })
    expect((await exact.decompressAndDeserialize(packed)).length).toBe(ramp.length)
    const short = new MessageUtils(bytes(), codec, { ceilingBytes: ramp.length - 1 })
    expect(await failureOf(short.decompressAndDeserialize(packed))).toMatchObject({
      code: 'DECOMPRESSION_FAILED',
      context: { reason: 'TOO_LARGE' },
    })
  })

  it('a claim of 4 GiB is refused before anything is allocated for it', async () => {
    const header = Buffer.from('68400000000001000000', 'hex') // an lz4 frame header with a content size: 2^32
    const check = (xxh32(header) >>> 8) & 0xff
    const claim = Buffer.concat([Buffer.from([LZ4, 0x04, 0x22, 0x4d, 0x18]), header, Buffer.from([check, 0, 0, 0, 0])])
    const before = process.memoryUsage().arrayBuffers
    const error = await failureOf(new MessageUtils(bytes(), 'lz4').decompress(claim))
    expect(error).toMatchObject({ code: 'DECOMPRESSION_FAILED', context: { reason: 'TOO_LARGE', bytes: 2 ** 32 } })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
  })

  it('any cut and any flipped byte gives a value or one of the two errors, never anything else', async () => {
    const packed = new Map<string, Buffer>()
    for (const codec of CODECS) packed.set(codec, await new MessageUtils(bytes(), codec).serializeAndCompress(ramp))
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...CODECS),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        async (codec, at, to) => {
          const data = Buffer.from(packed.get(codec) as Buffer)
          const isCut = to === 0
          const index = at % data.length
          data[index] = to
          const utils = new MessageUtils(json<unknown>(), codec, { ceilingBytes: 1 << 20 })
          const error = await utils.decompressAndDeserialize(isCut ? data.subarray(0, index) : data).catch((e) => e)
          if (error instanceof Error)
            expect(['DECOMPRESSION_FAILED', 'DESERIALIZATION_FAILED']).toContain((error as MQError).code)
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('CD-4 optimizeForSmallMessages', () => {
  it.each([
    ['lz4', [0, 3, 3, 3]],
    ['snappy', [0, 2, 2, 2]],
    ['gzip', [0, 0, 0, 1]],
    ['zstd', [0, 0, 0, 4]],
    ['none', [0, 0, 0, 0]],
  ] as const)('%s: 99 B, 100 B, 1,023 B and 1,024 B', async (codec, expected) => {
    const utils = new MessageUtils(bytes(), codec)
    const ids: (number | undefined)[] = []
    for (const length of [99, 100, 1_023, 1_024]) {
      const packed = await utils.optimizeForSmallMessages(text(length))
      ids.push(packed[0])
      expect(Buffer.compare(await utils.decompress(packed), text(length))).toBe(0)
    }
    expect(ids).toEqual(expected)
  })

  it('is raw where the codec does not make it smaller', async () => {
    const packed = await new MessageUtils(bytes(), counting(1)).optimizeForSmallMessages(text(2_000))
    expect(packed[0]).toBe(RAW)
  })
})

describe('CD-4 isCompressionBeneficial, getCompressionRatio', () => {
  it('below the threshold no, untried', async () => {
    const codec = counting(0.1)
    const utils = new MessageUtils(bytes(), codec)
    expect(await utils.isCompressionBeneficial(text(199), 200)).toBe(false)
    expect(codec.calls).toBe(0)
    expect(await utils.isCompressionBeneficial(text(200), 200)).toBe(true)
  })

  it.each([
    [0.89, true],
    [0.9, false],
    [0.91, false],
  ])('below 1 KiB only if the ratio is below 0.9: %d', async (share, expected) => {
    expect(await new MessageUtils(bytes(), counting(share)).isCompressionBeneficial(text(1_000), 100)).toBe(expected)
  })

  it('from 1,024 B yes, untried; at 1,023 B it is tried', async () => {
    const codec = counting(1)
    const utils = new MessageUtils(bytes(), codec)
    expect(await utils.isCompressionBeneficial(text(1_024), 100)).toBe(true)
    expect(codec.calls).toBe(0)
    expect(await utils.isCompressionBeneficial(text(1_023), 100)).toBe(false)
    expect(codec.calls).toBe(1)
  })

  it('the threshold rules above 1 KiB too', async () => {
    expect(await new MessageUtils(bytes(), 'lz4').isCompressionBeneficial(text(1_500), 2_000)).toBe(false)
  })

  it('the ratio is compressed / original, exactly; 1 for nothing', async () => {
    expect(await new MessageUtils(bytes(), counting(0.25)).getCompressionRatio(text(400))).toBe(0.25)
    expect(await new MessageUtils(bytes(), 'lz4').getCompressionRatio(Buffer.alloc(0))).toBe(1)
  })
})

describe('CD-4 what MessageUtils refuses', () => {
  it('an unknown codec, no serializer, a ceiling or a threshold that is none', async () => {
    const refused = expect.objectContaining({ code: 'INVALID_CONFIG' })
    expect(() => new MessageUtils(bytes(), 'brotli')).toThrowError(refused)
    expect(() => new MessageUtils({} as never, 'lz4')).toThrowError(refused)
    for (const ceilingBytes of [0, -1, 1.5, Number.NaN])
      expect(() => new MessageUtils(bytes(), 'lz4', { ceilingBytes }), String(ceilingBytes)).toThrowError(refused)
    const utils = new MessageUtils(bytes(), 'lz4')
    await expect(utils.isCompressionBeneficial(ramp, -1)).rejects.toThrowError(refused)
    await expect(utils.isCompressionBeneficial(ramp, Number.NaN)).rejects.toThrowError(refused)
    await expect(utils.getCompressionRatio('text' as never)).rejects.toThrowError(refused)
  })

  it('the level goes to the codec, which refuses one it has not', async () => {
    const fast = await new MessageUtils(bytes(), 'gzip', { compressionLevel: 1 }).serializeAndCompress(ramp)
    expect(Buffer.compare(await new MessageUtils(bytes(), 'gzip').decompressAndDeserialize(fast), ramp)).toBe(0)
    const utils = new MessageUtils(bytes(), 'gzip', { compressionLevel: 12 })
    expect(await failureOf(utils.serializeAndCompress(ramp))).toMatchObject({ code: 'INVALID_CONFIG' })
  })
})
