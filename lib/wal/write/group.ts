/**
 * One group: the frames that are written together, and the memory behind them. Hot path.
 *
 *   open (being filled) -> closed (waits) -> written -> durable -> pool
 *
 * A buffer returns to the pool only when its frames are durable, so that they can be written again, elsewhere, after
 * a disk error. Small groups that are written but not durable are put together (`absorb`): otherwise every record of
 * a quiet log would hold a buffer of its own until the next sync.
 * Source: wal.md 3.3, 3.5.
 */
import { assert, type Deferred, deferred } from '../../util/index.js'

const FIRST_BYTES = 64 * 1024
/** Memory that the pool keeps for later. Bytes. */
const POOLED_BYTES = 32 * 1024 * 1024

export class Group {
  bytes: Uint8Array
  view: DataView
  length = 0
  /** LSNs of its own frames; `lastLsn` is the one before when it has none. */
  firstLsn = 0
  lastLsn = 0
  records = 0
  /** Running number of the last settlement whose ACK is in here or before. */
  settlements = 0
  /** Monotonic ms of its first frame. */
  openedMs = 0
  /** The sync that must follow its write. */
  wantsSync = false
  /** Filled in by sealing. */
  sealedLsn = 0
  lastBodyCrc = 0
  /** The durable LSN its frames tell of. */
  attests = 0
  /** Only an empty PAD that attests: neither accepted nor synced. */
  isAttest = false
  /** Where it is written; -1 before. */
  segment = -1
  at = -1
  #accepted: Deferred<void> | null = null

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Makes place for `more` bytes behind `length`. */
  reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.bytes.length) return
    let capacity = this.bytes.length * 2
    while (capacity < needed) capacity *= 2
    const grown = new Uint8Array(capacity)
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }

  /** Takes the frames of a written group that follows this one in the same segment; false: no room. */
  absorb(other: Group): boolean {
    if (this.segment !== other.segment || this.length + other.length > this.bytes.length) return false
    this.bytes.set(other.bytes.subarray(0, other.length), this.length)
    this.length += other.length
    this.lastLsn = other.lastLsn
    if (other.sealedLsn > 0) {
      this.sealedLsn = other.sealedLsn
      this.lastBodyCrc = other.lastBodyCrc
    }
    return true
  }

  /** The promise all callers of this group share; made when the first one asks. */
  get accepted(): Promise<void> {
    if (this.#accepted === null) {
      this.#accepted = deferred<void>()
      // Whoever asked sees the rejection; a caller that has gone away must not end the process.
      this.#accepted.promise.catch(() => {})
    }
    return this.#accepted.promise
  }

  accept(): void {
    this.#accepted?.resolve()
    this.#accepted = null
  }

  refuse(error: unknown): void {
    this.#accepted?.reject(error)
    this.#accepted = null
  }

  reset(): void {
    assert(this.#accepted === null, 'a group returns to the pool after its promise was settled')
    this.length = 0
    this.firstLsn = 0
    this.lastLsn = 0
    this.records = 0
    this.settlements = 0
    this.openedMs = 0
    this.wantsSync = false
    this.sealedLsn = 0
    this.lastBodyCrc = 0
    this.attests = 0
    this.isAttest = false
    this.segment = -1
    this.at = -1
  }
}

export class GroupPool {
  readonly #free: Group[] = []
  #freeBytes = 0

  take(): Group {
    const group = this.#free.pop()
    if (group === undefined) return new Group(FIRST_BYTES)
    this.#freeBytes -= group.bytes.length
    return group
  }

  give(group: Group): void {
    group.reset()
    if (this.#freeBytes + group.bytes.length > POOLED_BYTES) return
    this.#free.push(group)
    this.#freeBytes += group.bytes.length
  }
}
