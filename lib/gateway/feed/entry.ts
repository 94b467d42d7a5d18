/**
 * A block as feeds keep it: with the places of its keys, and with what it costs.
 *
 *   records   0:ann  1:bob  2:ann  3:-  4:ann
 *   first     ann -> 0, bob -> 1
 *   following 2      -1     4      -1  -1          the next record with the same key
 *
 * Why chains: ten thousand clients that follow one key each cost one look-up per record when a block arrives, and each
 * finds its own records without looking at the others'. They are made when somebody asks by key, never otherwise.
 * Invariant: what a block holds never changes; `memoryBytes` grows with what is made of it. Source: features.md GW-1.
 */
import { FeedBlock } from '../frames/block.js'
import type { FeedRecord } from '../types.js'

/** A block is closed with the record that reaches this. Bytes of payload. */
const BLOCK_BYTES = 64 * 1024
/** A closed block of small records holds no more than this: what a client is sent at once. */
const BLOCK_RECORDS = 1_024
/** What a record costs beside its payload, on the wire and here. Bytes. */
const RECORD_BYTES = 100
/** An entry of the map of keys, its text excepted. Bytes. */
const KEY_BYTES = 64

export interface KeyChains {
  readonly first: ReadonlyMap<string, number>
  /** -1: no more. */
  readonly following: Int32Array
}

/** The blocks of a partition, as the cache of all partitions sees them. */
export interface EntryOwner {
  /** The first of them is the oldest of all, and has to go. */
  evictFirst(): void
}

export class FeedEntry {
  readonly block: FeedBlock
  /** What lies between the block before it and this offset was deleted before it could be read; -1: nothing. */
  readonly deletedBefore: number
  #keys: KeyChains | null = null
  #keyBytes = 0

  // Owned by the cache.
  owner: EntryOwner | null = null
  countedBytes = 0
  older: FeedEntry | null = null
  newer: FeedEntry | null = null

  constructor(block: FeedBlock, deletedBefore: number) {
    this.block = block
    this.deletedBefore = deletedBefore
  }

  get memoryBytes(): number {
    return this.block.memoryBytes + this.#keyBytes
  }

  get hasKeys(): boolean {
    return this.#keys !== null
  }

  get keys(): KeyChains {
    this.#keys ??= this.#chain()
    return this.#keys
  }

  /** Indexes of the records with one of these keys, from that one on, ascending. `into` is emptied first. */
  matches(keys: ReadonlySet<string>, from: number, into: number[]): void {
    into.length = 0
    const { first, following } = this.keys
    for (const key of keys) {
      for (let at = first.get(key) ?? -1; at >= 0; at = following[at] as number) if (at >= from) into.push(at)
    }
    if (keys.size > 1) into.sort(ascending)
  }

  #chain(): KeyChains {
    const { records } = this.block
    const first = new Map<string, number>()
    const following = new Int32Array(records.length)
    this.#keyBytes = following.byteLength
    for (let at = records.length - 1; at >= 0; at--) {
      const { key } = records[at] as FeedRecord
      if (key === null) continue
      const text = keyText(key)
      const known = first.get(text)
      following[at] = known ?? -1
      if (known === undefined) this.#keyBytes += KEY_BYTES + text.length
      first.set(text, at)
    }
    return { first, following }
  }
}

/** A key as an entry of a map: one character per byte, so that keys differ exactly when their bytes do. */
export function keyText(key: Uint8Array): string {
  const bytes = Buffer.isBuffer(key) ? key : Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  return bytes.toString('latin1')
}

/** At least one record. `deletedBefore` belongs to the first of them. */
export function entriesOf(
  topic: string,
  partition: number,
  records: readonly FeedRecord[],
  deletedBefore: number,
): FeedEntry[] {
  const entries: FeedEntry[] = []
  let from = 0
  let bytes = 0
  for (let at = 0; at < records.length; at++) {
    bytes += recordBytes(records[at] as FeedRecord)
    const isLast = at === records.length - 1
    if (!isLast && bytes < BLOCK_BYTES && at - from + 1 < BLOCK_RECORDS) continue
    const block = new FeedBlock(topic, partition, records.slice(from, at + 1))
    entries.push(new FeedEntry(block, from === 0 ? deletedBefore : -1))
    from = at + 1
    bytes = 0
  }
  return entries
}

/** Two neighbours as one, or null when they are better apart: it would be too large, or something is said between them. */
export function joined(left: FeedEntry, right: FeedEntry): FeedEntry | null {
  const count = left.block.records.length + right.block.records.length
  // Only with its like: so a record is copied a handful of times on its way into a full block, not once per record.
  if (right.deletedBefore >= 0 || left.block.records.length > 2 * right.block.records.length) return null
  if (count > BLOCK_RECORDS) return null
  const records = [...left.block.records, ...right.block.records]
  const bytes = records.reduce((sum, record) => sum + recordBytes(record), 0)
  if (bytes > BLOCK_BYTES) return null
  const { topic, partition } = left.block
  return new FeedEntry(new FeedBlock(topic, partition, records), left.deletedBefore)
}

/** About what a record takes on the wire. */
export function recordBytes({ key, value, headers }: FeedRecord): number {
  let bytes = RECORD_BYTES + (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, header] of headers) bytes += name.length + (header?.length ?? 0)
  return bytes
}

function ascending(a: number, b: number): number {
  return a - b
}
