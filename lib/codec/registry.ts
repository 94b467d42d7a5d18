/**
 * The codecs by name and by Kafka id.
 * Invariant: a name has one id and an id one name, so that a batch's attribute bits always find their codec.
 */
import { MQError } from '../errors/index.js'
import { type CodecName, type CompressionCodec, DEFAULT_DECOMPRESS_CEILING, type ResultMemory } from './codec.js'
import { tooLarge } from './failures.js'
import { gzipCodec } from './gzip.js'
import { makeLz4Codec } from './lz4.js'
import { makeSnappyCodec } from './snappy.js'
import { makeZstdCodec } from './zstd.js'

const noneCodec: CompressionCodec = {
  type: 'none',
  id: 0,
  compress: (bytes) => bytes,
  decompress(bytes, ceilingBytes) {
    if (bytes.length > ceilingBytes) throw tooLarge('none', bytes.length, ceilingBytes)
    return bytes
  },
}

/** Largest id: the byte in front of a serialized value names its codec. */
const MAX_ID = 127

const byName = new Map<string, CompressionCodec>()
const byId: (CompressionCodec | undefined)[] = []

for (const codec of [noneCodec, gzipCodec, makeSnappyCodec(), makeLz4Codec(), makeZstdCodec()]) registerCodec(codec)

/**
 * The codec of that name. Its package is loaded at first use.
 *
 * ```ts
 * const lz4 = createCompressionCodec('lz4')
 * const small = await lz4.compress(bytes)
 * const again = await lz4.decompress(small, DEFAULT_DECOMPRESS_CEILING)
 * ```
 * Throws INVALID_CONFIG for an unknown name. Using a codec whose package cannot be loaded fails with
 * COMPRESSION_FAILED (or DECOMPRESSION_FAILED), reason CODEC_UNAVAILABLE.
 */
export function createCompressionCodec(type: CodecName): CompressionCodec {
  const codec = byName.get(type)
  if (codec !== undefined) return codec
  const known = [...byName.keys()].join(', ')
  throw new MQError('INVALID_CONFIG', `compression ${String(type)} is unknown: choose one of ${known}`, { type })
}

/** The codec of an id (0..4 are Kafka's). Throws INVALID_CONFIG when nobody registered it. */
export function codecById(id: number): CompressionCodec {
  const codec = byId[id]
  if (codec !== undefined) return codec
  throw new MQError('INVALID_CONFIG', `no codec has the id ${id}: register one, or the id is not from a batch`, { id })
}

/**
 * Adds a codec, or replaces the one with the same name and id, for the whole process. Clients that already took the
 * old one keep it. Throws INVALID_CONFIG when only one of name and id is taken.
 */
export function registerCodec(codec: CompressionCodec): void {
  const { type, id } = (codec as CompressionCodec | null | undefined) ?? {}
  const isId = typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= MAX_ID
  if (typeof type !== 'string' || (type as string) === '' || !isId) {
    const got = `${typeof type === 'string' ? `'${type}'` : typeof type} and ${typeof id === 'number' ? id : typeof id}`
    throw new MQError('INVALID_CONFIG', `a codec has a name and an id of 0..${MAX_ID}, got ${got}`, { id })
  }
  const sameName = byName.get(type)
  const sameId = byId[id]
  if ((sameName !== undefined && sameName.id !== id) || (sameId !== undefined && sameId.type !== type)) {
    const text = `codec ${type} with id ${id} clashes with ${sameName?.id ?? sameId?.type}: replace name and id together`
    throw new MQError('INVALID_CONFIG', text, { type, id })
  }
  byName.set(type, codec)
  byId[id] = codec
}

/**
 * What a batch reader needs: undoes the codec with that id, below one ceiling. `magic` 0 reads lz4 leniently.
 * A codec that can put its result into memory of the caller takes it from `memory`.
 *
 * ```ts
 * const records = await recordsOf(bytes, header, decompressWithin(64 * 1024 * 1024))
 * ```
 */
export function decompressWithin(ceilingBytes: number = DEFAULT_DECOMPRESS_CEILING, memory?: ResultMemory) {
  return (codecId: number, payload: Uint8Array, magic: number): Uint8Array | Promise<Uint8Array> =>
    codecById(codecId).decompress(payload, ceilingBytes, magic === 0, memory)
}
