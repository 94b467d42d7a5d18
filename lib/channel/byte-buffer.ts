/**
 * The byte channel's buffer: a list of payloads, each either the caller's own bytes or a place in an arena. Hot path.
 * Why three flat lists and not a list of objects: a write then creates nothing.
 * Ownership: the buffer holds its arenas until it is wiped; a lease on a payload retains its arena beyond that.
 *
 *   holders  [ arena 1 | arena 1 | caller's | arena 2 ]
 *   starts   [       0 |     128 |        0 |       0 ]
 *   lengths  [     128 |      50 |     9000 |   65536 ]
 */
import type { Arena } from './arena.js'
import type { ArenaPool } from './arena-pool.js'
import type { ReadableBuffer } from './buffered-types.js'

/** Arenas are at least this large, so that small payloads share one. */
const ARENA_BYTES = 64 * 1024

export type Holder = Arena | Uint8Array

export class ByteBuffer implements ReadableBuffer {
  records = 0
  bytes = 0
  sequence = -1
  firstAtMs = -1
  heldBytes = 0
  readRecords = 0
  readonly holders: (Holder | null)[] = []
  readonly starts: number[] = []
  readonly lengths: number[] = []
  readonly arenas: Arena[] = []
  #arena: Arena | null = null
  #usedBytes = 0 // of the last arena

  /** Keeps the caller's bytes, which must not change until they were read. */
  keep(payload: Uint8Array): void {
    this.#note(payload, 0, payload.length)
  }

  /** Copies into the last arena, or into a new one. */
  copy(payload: Uint8Array, pool: ArenaPool): void {
    const length = payload.length
    let arena = this.#arena
    if (arena === null || arena.capacity - this.#usedBytes < length) arena = this.#nextArena(length, pool)
    const start = this.#usedBytes
    arena.bytes.set(payload, start)
    this.#usedBytes = start + length
    this.#note(arena, start, length)
  }

  /** Gives the arenas back and forgets the caller's bytes; the lists keep their memory for the next generation. */
  wipe(pool: ArenaPool): void {
    for (let index = this.readRecords; index < this.records; index++) this.holders[index] = null
    for (const arena of this.arenas) pool.release(arena)
    this.arenas.length = 0
    this.#arena = null
    this.#usedBytes = 0
  }

  #note(holder: Holder, start: number, length: number): void {
    const index = this.records
    this.holders[index] = holder
    this.starts[index] = start
    this.lengths[index] = length
  }

  #nextArena(length: number, pool: ArenaPool): Arena {
    const arena = pool.take(Math.max(length, ARENA_BYTES))
    this.arenas.push(arena)
    this.#arena = arena
    this.#usedBytes = 0
    return arena
  }
}
