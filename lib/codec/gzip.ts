/**
 * gzip (RFC 1952) by node:zlib. Writes one member, reads any number of them.
 * The ceiling is zlib's maxOutputLength: output grows in chunks and stops there, whatever the input claims.
 */
import { gunzipSync, gzip, gzipSync } from 'node:zlib'
import { MQError } from '../errors/index.js'
import { type CompressionCodec, POOL_FROM_BYTES } from './codec.js'
import { broken, checkLevel, compressionFailed, tooLarge } from './failures.js'

const DEFAULT_LEVEL = 6
const MAX_LEVEL = 9

/** Bytes zlib produces per step. Steps of the default 16 KiB cost a call and an allocation each. */
const CHUNK_BYTES = 64 * 1024

export const gzipCodec: CompressionCodec = {
  type: 'gzip',
  id: 1,

  compress(bytes, level) {
    const options = { level: checkLevel('gzip', level, DEFAULT_LEVEL, MAX_LEVEL), chunkSize: CHUNK_BYTES }
    if (bytes.length <= POOL_FROM_BYTES) return gzipSync(bytes, options)
    return new Promise((resolve, reject) => {
      gzip(bytes, options, (error, result) => {
        if (error === null) resolve(result)
        else reject(compressionFailed('gzip', error))
      })
    })
  },

  decompress(bytes, ceilingBytes) {
    try {
      // zlib wants a limit of at least 1; an empty original is still told apart below.
      const maxOutputLength = Math.max(1, ceilingBytes)
      const chunkSize = Math.min(CHUNK_BYTES, 1024 + 4 * bytes.length)
      const result = gunzipSync(bytes, { maxOutputLength, chunkSize })
      if (result.length > ceilingBytes) throw tooLarge('gzip', result.length, ceilingBytes)
      return result
    } catch (error) {
      throw asFailure(error, ceilingBytes)
    }
  },
}

function asFailure(error: unknown, ceilingBytes: number): unknown {
  if (error instanceof MQError) return error
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge('gzip', ceilingBytes + 1, ceilingBytes)
  return broken('gzip', error instanceof Error ? error.message : String(error), error)
}
