/**
 * Arenas under one budget.
 * Why arenas and not records are counted: the bound must hold for memory really taken (P-4), and a comparison per
 * arena costs nothing per record.
 * Invariant: every arena and every compressed form a batch holds is in the budget exactly once, until it is settled.
 */
import { Arena, ArenaPool, type ArenaPoolStats, type MemoryBudget } from '../channel/index.js'
import type { Batch } from './batch.js'

const SMALLEST_ARENA_BYTES = 16 * 1024

export class BatchMemory {
  readonly budget: MemoryBudget
  /** Set for records that were accepted before: they pass those who wait, and may use the reserve. */
  usesReserve = false
  readonly #arenas: ArenaPool
  /** Arenas that were made to measure, and belong into no pool. */
  readonly #measured = new Set<Arena>()

  constructor(budget: MemoryBudget) {
    this.budget = budget
    // A memory smaller than the smallest arena would never have room for one.
    const minBytes = Math.min(SMALLEST_ARENA_BYTES, 2 ** Math.floor(Math.log2(Math.max(4, budget.limitBytes) / 4)))
    this.#arenas = new ArenaPool({ minBytes })
  }

  /**
   * Room for `minBytes` in this batch: an arena of about `wishBytes`, or the smallest that fits when memory is short.
   * False when the budget is exhausted; nothing has changed then.
   */
  grow(batch: Batch, minBytes: number, wishBytes: number): boolean {
    return this.#tryArena(batch, Math.max(minBytes, wishBytes)) || this.#tryArena(batch, minBytes)
  }

  #tryArena(batch: Batch, bytes: number): boolean {
    const capacity = this.#arenas.capacityFor(bytes)
    const { budget } = this
    if (!(this.usesReserve ? budget.tryTakeReserve(capacity, 0) : budget.tryTake(capacity, 0))) return false
    this.#replaceArena(batch, capacity)
    return true
  }

  /**
   * Memory to measure for batches that take the place of `batch`, of `bytes[i]` each: its own share of the budget goes
   * over to them, so that a full budget cannot stop what only changes its form. False: the rest is not there.
   */
  exchange(batch: Batch, parts: readonly Batch[], bytes: readonly number[]): boolean {
    // The one batch that came back from the log beyond a full memory goes on beyond it.
    const isBeyond = batch.heldBytes === 0
    const more = bytes.reduce((sum, one) => sum + one, 0) - batch.heldBytes
    if (!isBeyond && more > 0 && !this.budget.tryTakeReserve(more, 0)) return false
    batch.heldBytes = Math.max(0, -more)
    for (const [index, part] of parts.entries()) {
      const arena = new Arena(bytes[index] as number)
      this.#measured.add(arena)
      part.moveInto(arena)
      part.heldBytes = isBeyond ? 0 : arena.capacity
    }
    return true
  }

  #replaceArena(batch: Batch, capacity: number): void {
    const before = batch.moveInto(this.#arenas.take(capacity))
    if (before !== null) this.#giveBack(before)
    const held = batch.heldBytes
    batch.heldBytes = capacity
    if (held > 0) this.budget.give(held, 0)
  }

  /** Room for a codec's result, which is used only when it is smaller than its input; false: send raw. */
  reserveScratch(bytes: number): boolean {
    return this.budget.tryTakeReserve(bytes, 0)
  }

  /**
   * A batch is finished: `reservedBytes` for its compressed form come back, and so does its arena when the compressed
   * form is what leaves.
   */
  finished(batch: Batch, reservedBytes: number): void {
    if (batch.codecId === 0) {
      if (reservedBytes > 0) this.budget.give(reservedBytes, 0)
      return
    }
    const arena = batch.releaseArena()
    const before = batch.heldBytes + reservedBytes
    batch.heldBytes = batch.wireBytes
    if (arena !== null) this.#giveBack(arena)
    this.budget.give(before - batch.heldBytes, 0)
  }

  /** Everything a settled batch held comes back. */
  release(batch: Batch): void {
    const arena = batch.releaseBytes()
    const held = batch.heldBytes
    batch.heldBytes = 0
    if (arena !== null) this.#giveBack(arena)
    if (held > 0) this.budget.give(held, 0)
  }

  #giveBack(arena: Arena): void {
    if (this.#measured.size > 0 && this.#measured.delete(arena)) return
    this.#arenas.release(arena)
  }

  stats(): ArenaPoolStats {
    return this.#arenas.stats()
  }

  /** Forgets the arenas that wait for reuse. */
  clear(): void {
    this.#arenas.clear()
  }
}
