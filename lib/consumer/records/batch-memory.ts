/**
 * Memory that decompressed batches leave behind for the next ones.
 * Why: fresh memory per batch costs page faults, and a major collection per 64 MiB of it: a tenth of reading lz4.
 * Invariant: what is given back is referenced by nobody; spare memory is bounded for the whole process, however many
 * partitions there are, since a batch is open for moments only.
 */

/** As much as a handful of ordinary batches of 1 MiB. Bytes. */
const MAX_SPARE_BYTES = 8 * 1024 * 1024
/** Sizes are rounded up to this, so that batches of about the same size fit each other's memory. A power of two. */
const STEP_BYTES = 64 * 1024

export class BatchMemory {
  readonly #spare: Buffer[] = []
  #spareBytes = 0

  get spareBytes(): number {
    return this.#spareBytes
  }

  /** At least so many bytes, with anything in them. */
  take(bytes: number): Buffer {
    // The youngest that fits is still in the processor's cache.
    for (let at = this.#spare.length - 1; at >= 0; at--) {
      if ((this.#spare[at] as Buffer).length >= bytes) return this.#remove(at)
    }
    return Buffer.allocUnsafeSlow((bytes + STEP_BYTES - 1) & -STEP_BYTES)
  }

  /** The oldest goes when there is too much: sizes that nobody asks for do not stay for ever. */
  giveBack(memory: Buffer): void {
    if (memory.length > MAX_SPARE_BYTES) return
    this.#spare.push(memory)
    this.#spareBytes += memory.length
    while (this.#spareBytes > MAX_SPARE_BYTES) this.#remove(0)
  }

  #remove(at: number): Buffer {
    const memory = this.#spare[at] as Buffer
    this.#spare.splice(at, 1)
    this.#spareBytes -= memory.length
    return memory
  }
}
