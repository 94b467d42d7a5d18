import { type CompressionCodec, codecById, createCompressionCodec, registerCodec } from 'tandem-mq/codec'
import { afterEach, describe, expect, it } from 'vitest'
import { makeLz4Codec } from '../../lib/codec/lz4.js'
import { lazyPackage } from '../../lib/codec/native.js'
import { makeSnappyCodec } from '../../lib/codec/snappy.js'
import { makeZstdCodec } from '../../lib/codec/zstd.js'
import { failureOf } from './corpus.js'

const original = createCompressionCodec('snappy')
const codec = (type: string, id: number): CompressionCodec => ({
  type,
  id,
  compress: (bytes) => bytes,
  decompress: (bytes) => bytes,
})

afterEach(() => registerCodec(original))

describe('CD-1 registerCodec', () => {
  it('adds a codec under a new name and id', () => {
    const added = codec('reverse', 77)
    registerCodec(added)
    expect(createCompressionCodec('reverse')).toBe(added)
    expect(codecById(77)).toBe(added)
  })

  it('replaces one with the same name and id', () => {
    const other = codec('snappy', 2)
    registerCodec(other)
    expect(codecById(2)).toBe(other)
  })

  it('refuses a clash, a bad id and an empty name, and changes nothing', () => {
    for (const [type, id] of [
      ['snappy', 9],
      ['mine', 2],
      ['mine', -1],
      ['mine', 128],
      ['mine', 1.5],
      ['', 12],
    ] as const) {
      expect(() => registerCodec(codec(type, id)), `${type} ${id}`).toThrowError(
        expect.objectContaining({ code: 'INVALID_CONFIG', fatal: true }),
      )
    }
    expect(codecById(2)).toBe(original)
    expect(() => createCompressionCodec('mine')).toThrowError()
  })
})

describe('CD-1 a codec whose package cannot be loaded', () => {
  const missing = (name: string): unknown => {
    throw new Error(`Cannot find module '${name}'`)
  }

  it.each([
    ['snappy', makeSnappyCodec(missing)],
    ['lz4', makeLz4Codec(missing)],
    ['zstd', makeZstdCodec({}, missing)],
  ] as const)('%s: CODEC_UNAVAILABLE under the code of the direction', async (type, without) => {
    const bytes = Buffer.from('some bytes')
    const packed = await createCompressionCodec(type).compress(bytes)
    const expected = { context: { reason: 'CODEC_UNAVAILABLE', codec: type } }
    expect(await failureOf(() => without.compress(bytes))).toMatchObject({ code: 'COMPRESSION_FAILED', ...expected })
    expect(await failureOf(() => without.decompress(packed, 100))).toMatchObject({
      code: 'DECOMPRESSION_FAILED',
      ...expected,
    })
  })

  it('the package is looked for once', () => {
    let calls = 0
    const load = lazyPackage('x', 'nowhere', () => {
      calls++
      throw new Error('no')
    })
    for (let i = 0; i < 3; i++) expect(() => load('COMPRESSION_FAILED')).toThrowError(/needs the package nowhere/)
    expect(calls).toBe(1)
  })
})
