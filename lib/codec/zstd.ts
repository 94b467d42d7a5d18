/**
 * zstd by node:zlib where Node has it (22.15 and later), else by the package @mongodb-js/zstd, which is asynchronous.
 * Writes one frame at level 1..19, window <= 8 MiB; reads several and skippable frames, windows up to 128 MiB.
 * Invariant: the headers are walked first, so at most one block (128 KiB) above the ceiling is ever produced.
 */
import zlib from 'node:zlib'
import { findMQError, type MQError } from '../errors/index.js'
import { type CompressionCodec, POOL_FROM_BYTES } from './codec.js'
import { broken, checkLevel, compressionFailed, tooLarge } from './failures.js'
import { lazyPackage, type Require } from './native.js'
import { MAX_BLOCK_BYTES, zstdBound } from './zstd-bound.js'

const DEFAULT_LEVEL = 3
const MAX_LEVEL = 19
const MAX_WINDOW_LOG = 27

interface ZstdPackage {
  compress(bytes: Uint8Array, level: number): Promise<Uint8Array>
  decompress(bytes: Uint8Array): Promise<Uint8Array>
}

type ZlibOptions = { readonly params: Record<number, number>; readonly maxOutputLength?: number }

/** The part of node:zlib that Node 20 lacks. */
interface ZlibZstd {
  readonly constants: { readonly ZSTD_c_compressionLevel: number; readonly ZSTD_d_windowLogMax: number }
  zstdCompressSync(bytes: Uint8Array, options: ZlibOptions): Uint8Array
  zstdCompress(bytes: Uint8Array, options: ZlibOptions, done: (error: Error | null, result: Uint8Array) => void): void
  zstdDecompressSync(bytes: Uint8Array, options: ZlibOptions): Uint8Array
}

export function makeZstdCodec(built: unknown = zlib, load?: Require): CompressionCodec {
  return hasZstd(built) ? overZlib(built) : overPackage(load)
}

function hasZstd(candidate: unknown): candidate is ZlibZstd {
  const { zstdCompressSync, zstdDecompressSync } = candidate as Partial<ZlibZstd>
  return typeof zstdCompressSync === 'function' && typeof zstdDecompressSync === 'function'
}

function overZlib(zstd: ZlibZstd): CompressionCodec {
  return {
    type: 'zstd',
    id: 4,
    compress(bytes, level) {
      const chosen = checkLevel('zstd', level, DEFAULT_LEVEL, MAX_LEVEL)
      const options = { params: { [zstd.constants.ZSTD_c_compressionLevel]: chosen } }
      if (bytes.length <= POOL_FROM_BYTES) return zstd.zstdCompressSync(bytes, options)
      return new Promise((resolve, reject) => {
        zstd.zstdCompress(bytes, options, (error, result) => {
          if (error === null) resolve(result)
          else reject(compressionFailed('zstd', error))
        })
      })
    },
    decompress(bytes, ceilingBytes) {
      const frames = checkBound(bytes, ceilingBytes)
      const params = { [zstd.constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG }
      const options = { params, maxOutputLength: ceilingBytes + MAX_BLOCK_BYTES }
      try {
        // One by one: node:zlib (22.23, 24.21) ends at the first frame, even a skippable one, and says nothing.
        const parts = frames.map((frame) => zstd.zstdDecompressSync(frame, options))
        return checked(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts), ceilingBytes)
      } catch (error) {
        throw asFailure(error)
      }
    },
  }
}

function overPackage(load?: Require): CompressionCodec {
  // Its native part, because the main file of 1.2.2 (the pinned version) drops the level.
  const zstd = lazyPackage<ZstdPackage>('zstd', '@mongodb-js/zstd/bindings.js', load)
  return {
    type: 'zstd',
    id: 4,
    async compress(bytes, level) {
      const chosen = checkLevel('zstd', level, DEFAULT_LEVEL, MAX_LEVEL)
      try {
        return await zstd('COMPRESSION_FAILED').compress(asBuffer(bytes), chosen)
      } catch (error) {
        throw compressionFailed('zstd', error)
      }
    },
    async decompress(bytes, ceilingBytes) {
      checkBound(bytes, ceilingBytes)
      try {
        return checked(await zstd('DECOMPRESSION_FAILED').decompress(asBuffer(bytes)), ceilingBytes)
      } catch (error) {
        throw asFailure(error)
      }
    },
  }
}

/** One block of unknown content may turn out shorter than the bound says, so the bound gets that much slack. */
function checkBound(bytes: Uint8Array, ceilingBytes: number): readonly Uint8Array[] {
  const { atLeast, atMost, frames } = zstdBound(bytes)
  if (atLeast > ceilingBytes) throw tooLarge('zstd', atLeast, ceilingBytes)
  if (atMost > ceilingBytes + MAX_BLOCK_BYTES) throw tooLarge('zstd', atMost, ceilingBytes)
  return frames
}

function checked(result: Uint8Array, ceilingBytes: number): Uint8Array {
  if (result.length > ceilingBytes) throw tooLarge('zstd', result.length, ceilingBytes)
  return result
}

function asFailure(error: unknown): MQError {
  return findMQError(error) ?? broken('zstd', error instanceof Error ? error.message : String(error), error)
}

/** The package refuses plain Uint8Arrays; this is a view, not a copy. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
