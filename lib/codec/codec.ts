/**
 * What a codec is, and the limits all codecs share.
 * Why: producer, consumer and broker name a codec by its Kafka id and must not know the library behind it.
 * Invariant: decompress never allocates on behalf of a claim in the input before that claim is known to be within
 * the ceiling; broken input is DECOMPRESSION_FAILED, too much output the same with reason TOO_LARGE.
 */

/** The five codecs of Kafka; their ids 0..4 are bits 0-2 of a batch's attributes. */
export type CompressionType = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** A built-in type, or the name of a codec added with `registerCodec`. */
export type CodecName = CompressionType | (string & {})

/** Memory for a result: at least so many bytes, with anything in them. */
export type ResultMemory = (bytes: number) => Uint8Array

/** Compresses whole batches. Both directions leave their input unchanged and may return a view of it. */
export interface CompressionCodec {
  readonly type: CodecName
  readonly id: number
  /**
   * One compressed stream of `bytes`. Synchronous where compressing is cheap (lz4, snappy), else a promise of work
   * done in the thread pool; then `bytes` must not change until it settles. Fails with COMPRESSION_FAILED.
   */
  compress(bytes: Uint8Array, level?: number): Uint8Array | Promise<Uint8Array>
  /**
   * The original of `bytes`, at most `ceilingBytes` long, else DECOMPRESSION_FAILED with reason TOO_LARGE.
   * `isLegacy` tolerates what writers of magic 0 got wrong (the header checksum of an lz4 frame). The result may be a
   * view of what `memory` gave, if the codec can make use of it and asks before it returns; at most once.
   */
  decompress(
    bytes: Uint8Array,
    ceilingBytes: number,
    isLegacy?: boolean,
    memory?: ResultMemory,
  ): Uint8Array | Promise<Uint8Array>
}

/** Largest decompressed batch unless the caller says otherwise. Bytes. */
export const DEFAULT_DECOMPRESS_CEILING = 128 * 1024 * 1024

/** Below this many bytes compressing here is cheaper than a trip to the thread pool (~30 us there and back). */
export const POOL_FROM_BYTES = 16 * 1024

export const EMPTY = new Uint8Array(0)
