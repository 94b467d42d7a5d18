/**
 * Recent blocks of all partitions, within one number of bytes: what clients continue from that are a little behind.
 *
 *   all, by arrival   oldest [a/0][b/0][a/0][a/1] .. newest      evicted from the left
 *   of a/0            from |---[   ]---[   ]-------| end         `from`: everything from there on to `end` is here
 *
 * Why one order over partitions: a busy one gets most of the memory, and a quiet one keeps what is as young as that.
 * Small blocks are joined with their like, when they are no longer the newest: what came record by record is not read
 * again record by record. Invariant: `bytes <= limitBytes` after each call, even if nothing is left. GW-1.
 */
import { Deque } from '../../util/index.js'
import { type EntryOwner, type FeedEntry, joined } from './entry.js'

export class BlockCache {
  readonly limitBytes: number
  #bytes = 0
  #oldest: FeedEntry | null = null
  #newest: FeedEntry | null = null

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Behind all that is there. The caller has put it into its partition's list. */
  append(entry: FeedEntry): void {
    entry.older = this.#newest
    if (this.#newest === null) this.#oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
    this.#count(entry)
    this.#evict()
  }

  /** Something was made of the block: it costs more than before. Hot path. */
  recount(entry: FeedEntry): void {
    if (entry.owner === null || entry.memoryBytes === entry.countedBytes) return
    this.#count(entry)
    this.#evict()
  }

  /** `by` takes the place of a block that `gone` belongs to now as well. */
  replace(old: FeedEntry, gone: FeedEntry, by: FeedEntry): void {
    by.older = old.older
    by.newer = old.newer
    if (old.older === null) this.#oldest = by
    else old.older.newer = by
    if (old.newer === null) this.#newest = by
    else old.newer.older = by
    this.#uncount(old)
    this.#count(by)
    this.remove(gone)
    this.#evict()
  }

  /** It is in no list of a partition any more. */
  remove(entry: FeedEntry): void {
    const { older, newer } = entry
    if (older === null) this.#oldest = newer
    else older.newer = newer
    if (newer === null) this.#newest = older
    else newer.older = older
    this.#uncount(entry)
  }

  #count(entry: FeedEntry): void {
    this.#bytes += entry.memoryBytes - entry.countedBytes
    entry.countedBytes = entry.memoryBytes
  }

  #uncount(entry: FeedEntry): void {
    this.#bytes -= entry.countedBytes
    entry.countedBytes = 0
    entry.owner = null
    entry.older = null
    entry.newer = null
  }

  #evict(): void {
    while (this.#bytes > this.limitBytes && this.#oldest !== null) (this.#oldest.owner as EntryOwner).evictFirst()
  }
}

/** The blocks of one partition. */
export class CachedBlocks implements EntryOwner {
  readonly #cache: BlockCache
  readonly #entries = new Deque<FeedEntry>()
  /** Everything from here on to `end` is cached. */
  #from: number
  #end: number

  constructor(cache: BlockCache, from: number) {
    this.#cache = cache
    this.#from = from
    this.#end = from
  }

  get from(): number {
    return this.#from
  }

  /** The next offset to come. */
  get end(): number {
    return this.#end
  }

  get count(): number {
    return this.#entries.size
  }

  append(entry: FeedEntry): void {
    this.#end = entry.block.lastOffset + 1
    entry.owner = this
    this.#entries.pushBack(entry)
    this.#cache.append(entry)
    while (this.#joinOlder());
  }

  /** The block with the first record at or behind `offset`; null when that is not here. Hot path. */
  at(offset: number): FeedEntry | null {
    const { size } = this.#entries
    if (offset < this.#from || offset >= this.#end || size === 0) return null
    // Most ask for the newest.
    if (size === 1 || (this.#entries.at(size - 2) as FeedEntry).block.lastOffset < offset) {
      return this.#entries.at(size - 1) as FeedEntry
    }
    let low = 0
    let high = size - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#entries.at(middle) as FeedEntry).block.lastOffset < offset) low = middle + 1
      else high = middle
    }
    return this.#entries.at(low) as FeedEntry
  }

  /** Called by the cache: the oldest of all is ours. */
  evictFirst(): void {
    const entry = this.#entries.popFront() as FeedEntry
    this.#from = entry.block.lastOffset + 1
    this.#cache.remove(entry)
  }

  clear(): void {
    while (this.#entries.size > 0) this.evictFirst()
  }

  /** The two before the newest: that one is being sent just now, and encoded for it. */
  #joinOlder(): boolean {
    const { size } = this.#entries
    const left = this.#entries.at(size - 3)
    const right = this.#entries.at(size - 2)
    const both = left === undefined || right === undefined ? null : joined(left, right)
    if (both === null) return false
    const newest = this.#entries.popBack() as FeedEntry
    this.#entries.popBack()
    this.#entries.popBack()
    both.owner = this
    this.#entries.pushBack(both)
    this.#entries.pushBack(newest)
    this.#cache.replace(left as FeedEntry, right as FeedEntry, both)
    return true
  }
}
