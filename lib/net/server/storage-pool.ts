/**
 * Memory for ring buffers, lent while bytes wait and taken back when none do.
 * Why: most connections are between messages most of the time. Storage that is theirs for life costs 10,000 idle connections
 * hundreds of MB; storage that is allocated per message costs the collector. A small pool costs neither.
 * Invariant: storage is lent to one ring at a time, and what the pool keeps is bounded: at most KEPT_BYTES per size.
 */
import { assert } from '../../util/index.js'

/** Smallest and largest size that is kept; sizes are powers of two. Others are allocated and left to the collector. */
const SMALLEST_BYTES = 256
const LARGEST_BYTES = 64 * 1024
/** Per size, of which there are nine: 4.5 MiB at the very most, after a burst. */
const KEPT_BYTES = 512 * 1024

export class StoragePool {
  readonly #shelves: Buffer[][] = []
  #keptBytes = 0

  /** Bytes that wait here to be lent again. */
  get keptBytes(): number {
    return this.#keptBytes
  }

  /** `bytes` of memory with unknown content. Belongs to the caller until `giveBack`, or for ever. */
  lease(bytes: number): Buffer {
    const shelf = shelfOf(bytes)
    const kept = shelf < 0 ? undefined : this.#shelves[shelf]?.pop()
    if (kept === undefined) return Buffer.allocUnsafeSlow(bytes)
    this.#keptBytes -= bytes
    return kept
  }

  /** Nobody may use `storage` or a view of it any more. */
  giveBack(storage: Buffer): void {
    const shelf = shelfOf(storage.length)
    if (shelf < 0) return
    let kept = this.#shelves[shelf]
    if (kept === undefined) {
      kept = []
      this.#shelves[shelf] = kept
    }
    assert(kept[kept.length - 1] !== storage, 'storage is given back once')
    if ((kept.length + 1) * storage.length > KEPT_BYTES) return
    kept.push(storage)
    this.#keptBytes += storage.length
  }
}

/** 0 for the smallest size, one more for each doubling, -1 for sizes that are not kept. */
function shelfOf(bytes: number): number {
  if (bytes < SMALLEST_BYTES || bytes > LARGEST_BYTES || (bytes & (bytes - 1)) !== 0) return -1
  return Math.clz32(SMALLEST_BYTES) - Math.clz32(bytes)
}

/** One per event loop is enough: what one connection gave back serves the next. */
export const sharedPool = new StoragePool()
