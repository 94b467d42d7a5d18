/**
 * Keeps used arenas for the next taker, in size classes that are powers of two. Hot path, once per batch.
 * Why LIFO: the arena that was released last still lies in the processor's cache.
 * Invariant: every arena taken returns exactly once (a release too many throws), and the kept bytes never exceed
 * `maxRetainedBytes`; what is above is left to the garbage collector. CH-10, P-5.
 *
 *   take(20,000) -> class 32 KiB: [ a ][ b ][ c ]  <- top: c leaves first; empty: a real allocation, counted
 */
import { assert } from '../util/index.js'
import { Arena } from './arena.js'
import { optionsOf } from './channel-errors.js'
import { boolean, checkOptions, count, type OptionRule, type OptionRules, wrongOption } from './options.js'

const KIB = 1024
const MIB = 1024 * KIB

export interface ArenaPoolOptions {
  /** Smallest class in bytes, a power of two. Default 16 KiB. */
  readonly minBytes?: number
  /** Largest kept class in bytes, a power of two. Default 1 MiB; larger arenas are powers of two too, but never kept. */
  readonly maxBytes?: number
  /** Most bytes that wait in the pool, over all classes. Default 32 MiB. */
  readonly maxRetainedBytes?: number
  /** Most arenas kept per class. Default unlimited: the bytes bound them. */
  readonly maxKeptPerClass?: number
  /** Test mode: overwrite released arenas, so that a reader that comes too late sees rubbish. Default false. */
  readonly poison?: boolean
}

export interface ArenaPoolStats {
  /** Arenas and bytes that somebody holds. */
  readonly takenArenas: number
  readonly takenBytes: number
  /** Arenas and bytes that wait in the pool. */
  readonly pooledArenas: number
  readonly retainedBytes: number
  /** Arenas really allocated, not taken from the pool (metric `pool_alloc_total`). */
  readonly allocations: number
  readonly takes: number
}

/** What a poisoned byte looks like: an odd value that is no magic number of any format of ours. */
const POISON = 0xdb

const sizeClass: OptionRule = [
  (value) => Number.isSafeInteger(value) && (value as number) >= 1 && Number.isInteger(Math.log2(value as number)),
  'a power of two',
]
const RULES: OptionRules = {
  minBytes: sizeClass,
  maxBytes: sizeClass,
  maxRetainedBytes: count,
  maxKeptPerClass: count,
  poison: boolean,
}

export class ArenaPool {
  readonly #minBytes: number
  readonly #minLog: number
  readonly #classes: Arena[][]
  readonly #maxRetainedBytes: number
  readonly #maxKeptPerClass: number
  readonly #poison: boolean
  #takenArenas = 0
  #takenBytes = 0
  #pooledArenas = 0
  #retainedBytes = 0
  #allocations = 0
  #takes = 0

  constructor(options: ArenaPoolOptions = {}) {
    const { minBytes = 16 * KIB, maxBytes = MIB } = optionsOf(options)
    checkOptions(options, RULES)
    if (minBytes > maxBytes) throw wrongOption('minBytes', minBytes, `at most maxBytes, ${maxBytes}`)
    this.#minBytes = minBytes
    this.#minLog = Math.log2(minBytes)
    this.#classes = Array.from({ length: Math.log2(maxBytes) - this.#minLog + 1 }, () => [])
    this.#maxRetainedBytes = options.maxRetainedBytes ?? 32 * MIB
    this.#maxKeptPerClass = options.maxKeptPerClass ?? Number.POSITIVE_INFINITY
    this.#poison = options.poison ?? false
  }

  /** What `take(minBytes)` would really occupy: ask the budget for this much first. */
  capacityFor(minBytes: number): number {
    return this.#minBytes * 2 ** this.#classOf(minBytes)
  }

  /** An arena of at least `minBytes`, held by the caller until it calls `release` exactly once. Its content is rubbish. */
  take(minBytes: number): Arena {
    const sizeClass = this.#classOf(minBytes)
    const arena = this.#classes[sizeClass]?.pop()
    this.#takes++
    return this.#handOut(arena === undefined ? this.#allocate(sizeClass) : this.#unshelve(arena))
  }

  /** One more holder of an arena that is held already: a lease on some of its bytes. */
  retain(arena: Arena): void {
    assert(arena.holders > 0, 'an arena that lies in its pool cannot be retained')
    arena.holders++
  }

  /** Gives one hold back; the last one puts the arena into the pool. One release too many throws. */
  release(arena: Arena): void {
    assert(arena.holders > 0, 'an arena was released twice')
    if (--arena.holders > 0) return
    this.#takenArenas--
    this.#takenBytes -= arena.capacity
    assert(this.#takenArenas >= 0, 'an arena was released into a pool it does not come from')
    if (this.#poison) arena.bytes.fill(POISON)
    this.#shelve(arena)
  }

  stats(): ArenaPoolStats {
    return {
      takenArenas: this.#takenArenas,
      takenBytes: this.#takenBytes,
      pooledArenas: this.#pooledArenas,
      retainedBytes: this.#retainedBytes,
      allocations: this.#allocations,
      takes: this.#takes,
    }
  }

  /** Forgets every kept arena: after `close()` nothing of ours stays allocated. */
  clear(): void {
    for (const kept of this.#classes) kept.length = 0
    this.#pooledArenas = 0
    this.#retainedBytes = 0
  }

  #classOf(minBytes: number): number {
    assert(minBytes >= 0 && minBytes <= 2 ** 31, 'an arena has 0 B..2 GiB')
    return minBytes <= this.#minBytes ? 0 : 32 - Math.clz32(minBytes - 1) - this.#minLog
  }

  #allocate(sizeClass: number): Arena {
    this.#allocations++
    return new Arena(this.#minBytes * 2 ** sizeClass)
  }

  #unshelve(arena: Arena): Arena {
    this.#pooledArenas--
    this.#retainedBytes -= arena.capacity
    return arena
  }

  #handOut(arena: Arena): Arena {
    assert(arena.holders === 0, 'an arena in the pool has no holder')
    arena.holders = 1
    arena.generation++
    this.#takenArenas++
    this.#takenBytes += arena.capacity
    return arena
  }

  #shelve(arena: Arena): void {
    const kept = this.#classes[this.#classOf(arena.capacity)]
    if (kept === undefined || kept.length >= this.#maxKeptPerClass) return
    if (this.#retainedBytes + arena.capacity > this.#maxRetainedBytes) return
    kept.push(arena)
    this.#pooledArenas++
    this.#retainedBytes += arena.capacity
  }
}

/** The small classes of CH-10: 64, 128, 256, 512 and 1,024 B, at most 1,024 kept of each (under 2 MiB in all). */
export function smallArenaPool(options: { readonly poison?: boolean } = {}): ArenaPool {
  return new ArenaPool({ ...options, minBytes: 64, maxBytes: KIB, maxKeptPerClass: 1024, maxRetainedBytes: 2 * MIB })
}
