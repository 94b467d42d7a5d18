import { gzipSync } from 'node:zlib'
import {
  type CompressionType,
  codecById,
  createCompressionCodec,
  DEFAULT_DECOMPRESS_CEILING,
  decompressWithin,
} from 'tandem-mq/codec'
import { MQError } from 'tandem-mq/errors'
import { randomInt, seededRandom } from 'tandem-mq/util'
import { describe, expect, it } from 'vitest'
import { corpus, failureOf, type Kind, SIZES } from './corpus.js'

const TYPES: readonly CompressionType[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const KINDS: readonly Kind[] = ['json', 'random', 'zeros', 'mixed']
const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

describe.each(TYPES)('CD-1 codec %s', (type) => {
  const codec = createCompressionCodec(type)

  it('is found by its name and its Kafka id', () => {
    expect(codec.id).toBe(TYPES.indexOf(type))
    expect(codecById(codec.id)).toBe(codec)
  })

  it.each(KINDS)('gives back what it took, %s data of every size, with a ceiling that just suffices', async (kind) => {
    for (const size of SIZES) {
      const original = corpus(kind, size)
      const copy = original.slice()
      const packed = await codec.compress(original)
      expect(isSame(original, copy), `${size} B: the input is unchanged`).toBe(true)
      expect(isSame(await codec.decompress(packed, size), original), `${size} B`).toBe(true)
    }
  })

  it.each(KINDS)('R-5: refuses %s data one byte above the ceiling', async (kind) => {
    for (const size of SIZES.slice(1)) {
      const packed = await codec.compress(corpus(kind, size))
      const failure = await failureOf(() => codec.decompress(packed, size - 1))
      expect(failure, `${size} B`).toMatchObject({ code: 'DECOMPRESSION_FAILED', context: { reason: 'TOO_LARGE' } })
    }
  })

  it('works on views of a larger buffer and on plain Uint8Arrays', async () => {
    const around = corpus('json', 5000)
    const packed = await codec.compress(around.subarray(13, 4013))
    const shifted = new Uint8Array(packed.length + 3)
    shifted.set(packed, 3)
    const again = await codec.decompress(shifted.subarray(3), 4000)
    expect(isSame(again, around.subarray(13, 4013))).toBe(true)
  })

  it('makes JSON-like batches smaller', async () => {
    if (type === 'none') return
    const packed = await codec.compress(corpus('json', 100_000))
    expect(packed.length).toBeLessThan(40_000)
  })
})

describe.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('W-15 hostile input for %s', (type) => {
  const codec = createCompressionCodec(type)

  it('fails with DECOMPRESSION_FAILED wherever the stream is cut', async () => {
    const packed = await codec.compress(corpus('mixed', 700))
    // A xerial stream that ends with its header is whole: it holds nothing.
    const wholeAt = type === 'snappy' ? 16 : -1
    for (let length = 0; length < packed.length; length++) {
      if (length === wholeAt) continue
      const failure = await failureOf(() => codec.decompress(packed.subarray(0, length), 10_000))
      expect(failure, `${length} of ${packed.length} B`).toMatchObject({ code: 'DECOMPRESSION_FAILED' })
    }
  })

  it('never throws anything but DECOMPRESSION_FAILED and never exceeds the ceiling, for 1,500 damaged streams', async () => {
    const random = seededRandom(91_734)
    let failures = 0
    for (let round = 0; round < 1500; round++) {
      const kind = (['json', 'mixed', 'zeros'] as const)[round % 3] as Kind
      const packed = Uint8Array.from(await codec.compress(corpus(kind, randomInt(random, 1200), round)))
      for (let changes = 1 + randomInt(random, 3); changes > 0; changes--) {
        packed[randomInt(random, packed.length)] = randomInt(random, 256)
      }
      try {
        const result = await codec.decompress(packed, 4096)
        expect(result.length).toBeLessThanOrEqual(4096)
      } catch (error) {
        expect(error, `round ${round}`).toBeInstanceOf(MQError)
        expect((error as MQError).code, `round ${round}`).toBe('DECOMPRESSION_FAILED')
        failures++
      }
    }
    expect(failures).toBeGreaterThan(300)
  })

  it('fails for random bytes and for nothing', async () => {
    const random = seededRandom(5)
    for (let round = 0; round < 300; round++) {
      const noise = corpus('random', randomInt(random, 64), round)
      try {
        expect((await codec.decompress(noise, 1000)).length).toBeLessThanOrEqual(1000)
      } catch (error) {
        expect(error).toMatchObject({ code: 'DECOMPRESSION_FAILED' })
      }
    }
    expect(await failureOf(() => codec.decompress(new Uint8Array(0), 10))).toMatchObject({
      code: 'DECOMPRESSION_FAILED',
    })
  })

  it('R-5: stops a bomb of 64 MiB before its memory is taken', async () => {
    const bomb = await codec.compress(new Uint8Array(64 * 1024 * 1024))
    const before = process.memoryUsage()
    const failure = await failureOf(() => codec.decompress(bomb, 1024 * 1024))
    const after = process.memoryUsage()
    expect(failure).toMatchObject({ code: 'DECOMPRESSION_FAILED', context: { reason: 'TOO_LARGE' } })
    expect(after.arrayBuffers + after.external - before.arrayBuffers - before.external).toBeLessThan(16 * 1024 * 1024)
  })
})

describe('CD-1 levels and names', () => {
  it('R-2: gzip takes levels 1 to 9, zstd 1 to 19, others are INVALID_CONFIG', async () => {
    const data = corpus('json', 40_000)
    for (const [type, max] of [
      ['gzip', 9],
      ['zstd', 19],
    ] as const) {
      const codec = createCompressionCodec(type)
      const first = await codec.compress(data, 1)
      const last = await codec.compress(data, max)
      expect(last.length).toBeLessThan(first.length)
      expect(isSame(await codec.decompress(last, data.length), data)).toBe(true)
      for (const level of [0, max + 1, 1.5, Number.NaN]) {
        expect(await failureOf(() => codec.compress(data, level)), `${type} ${level}`).toMatchObject({
          code: 'INVALID_CONFIG',
        })
      }
    }
  })

  it('says which names exist when one is unknown', () => {
    expect(() => createCompressionCodec('brotli')).toThrowError(/choose one of none, gzip, snappy, lz4, zstd/)
    expect(() => createCompressionCodec(undefined as unknown as string)).toThrowError(MQError)
    expect(() => codecById(5)).toThrowError(/no codec has the id 5/)
    expect(DEFAULT_DECOMPRESS_CEILING).toBe(134_217_728)
  })

  it('CD-2: reads several gzip members as one stream', () => {
    const gzip = createCompressionCodec('gzip')
    const members = Buffer.concat([gzipSync('one '), gzipSync(''), gzipSync('two')])
    expect(String(gzip.decompress(members, 7))).toBe('one two')
  })

  it('decompressWithin undoes the codec of an id below its ceiling', async () => {
    const packed = await createCompressionCodec('snappy').compress(Buffer.from('records'))
    expect(String(await decompressWithin()(2, packed, 2))).toBe('records')
    expect(await failureOf(() => decompressWithin(6)(2, packed, 2))).toMatchObject({ context: { reason: 'TOO_LARGE' } })
  })
})
