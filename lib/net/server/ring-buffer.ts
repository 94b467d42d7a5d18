/**
 * Bytes that came and were not read yet. Hot path. NT-3.
 * Why not only a ring: most messages lie complete in the chunk that the socket just gave, and copying them first would cost
 * more than parsing them. So the content is two segments, and the second (or the only one) may be the chunk itself:
 *
 *   a ring         storage [ gh |    | abcdef ]            first = abcdef, second = gh
 *   an empty one   chunk   [ frame | frame | fra ]         first = the chunk; nothing was copied
 *   a cut message  storage [ fra |     ]   chunk [ me | frame | ... ]     first = fra, second = the chunk
 *
 * `keep()` is said when a chunk has been worked off: what is left of it moves to storage, and storage that holds nothing goes
 * back to the pool. Bytes of storage never leave it as views, except by `peek`; `take` gives bytes for good.
 * Invariant: first and second are in order and disjoint; second is empty unless first is not. At most one chunk is held, it
 * is the last segment, and while it is there nothing of storage is wrapped. An empty ring holds no chunk.
 * Longer than most files, because every method is about the same two segments.
 * Source: the original's ring buffer (peek, virtual reads, withData), whose growth was neither bounded nor by doubling.
 */
import { MQError } from '../../errors/index.js'
import { copy, find } from './segments.js'
import { type StoragePool, sharedPool } from './storage-pool.js'

/** What a ring without `maxBytes` may hold: a frame of 100 MiB, and chunks behind it. */
const DEFAULT_MAX_BYTES = 128 * 1024 * 1024
/** First storage of a ring that names no size. */
const SMALLEST_STORAGE = 256
/** Messages of this size and more leave with their storage instead of being copied out of it. */
const HANDOVER_BYTES = 32 * 1024
const NOTHING = Buffer.alloc(0)

export class RingBuffer {
  /** Most bytes it holds of its own. */
  readonly maxBytes: number
  readonly #initialBytes: number
  readonly #pool: StoragePool
  #storage: Buffer = NOTHING
  #chunk: Buffer = NOTHING // lent by `withData`
  #first: Buffer = NOTHING // of storage or the chunk
  #firstAt = 0
  #firstEnd = 0
  #second: Buffer = NOTHING // the wrapped part of storage, or the chunk
  #secondAt = 0
  #secondEnd = 0
  #virtual = 0 // bytes read virtually

  /**
   * Storage is taken at the first write, `initialBytes` of it (0 = as needed), and doubled up to `maxBytes` (128 MiB).
   * Throws INVALID_CONFIG unless both are whole and 0 <= initialBytes <= maxBytes.
   */
  constructor(initialBytes = 0, maxBytes = DEFAULT_MAX_BYTES, pool: StoragePool = sharedPool) {
    const isRight = Number.isSafeInteger(initialBytes) && Number.isSafeInteger(maxBytes)
    if (!isRight || initialBytes < 0 || maxBytes < Math.max(1, initialBytes)) {
      const text = `a ring needs whole numbers 0 <= initialBytes <= maxBytes, got initialBytes ${initialBytes}, maxBytes ${maxBytes}`
      throw new MQError('INVALID_CONFIG', text, { initialBytes, maxBytes })
    }
    this.#initialBytes = initialBytes
    this.maxBytes = maxBytes
    this.#pool = pool
  }

  /** Bytes to be read. */
  get length(): number {
    return this.#firstEnd - this.#firstAt + this.#secondEnd - this.#secondAt
  }

  /** Bytes of storage, or what the first write would take; a chunk that is being read counts as it came. */
  get capacity(): number {
    if (this.#storage.length + this.#chunk.length === 0) return this.#initialBytes
    return this.#storage.length + this.#chunk.length
  }

  get isEmpty(): boolean {
    return this.#firstAt === this.#firstEnd
  }

  /** One more byte makes it grow, or is refused. */
  get isFull(): boolean {
    return !this.isEmpty && this.length === this.capacity
  }

  // Writing

  /** Copies `bytes` behind the others. Throws POOL_EXHAUSTED / BUFFER_FULL beyond `maxBytes`, and took nothing then. */
  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#makeRoom(bytes.length)
    this.#append(bytes, 0, bytes.length)
  }

  /** One byte, 0..255. */
  writeByte(byte: number): void {
    this.#makeRoom(1)
    if (this.#secondEnd === 0 && this.#firstEnd < this.#storage.length) this.#storage[this.#firstEnd++] = byte
    else {
      this.#second = this.#storage
      this.#storage[this.#secondEnd++] = byte
    }
  }

  /** UTF-8. Gives its bytes. */
  writeString(text: string): number {
    const bytes = Buffer.byteLength(text)
    if (bytes === 0) return 0
    this.#makeRoom(bytes)
    if (this.#secondEnd === 0 && this.#storage.length - this.#firstEnd >= bytes) {
      this.#storage.write(text, this.#firstEnd)
      this.#firstEnd += bytes
    } else this.#append(Buffer.from(text), 0, bytes)
    return bytes
  }

  /**
   * Adds a chunk that arrived without copying it: the ring reads from it until `keep()`. The chunk belongs to the ring and to
   * those it gives messages, so nobody may write to it again: as Node's sockets give them. A chunk that was added before is
   * kept first.
   */
  withData(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    if (this.#chunk !== NOTHING) this.keep()
    if (this.isEmpty) {
      this.#startAt(bytes, bytes.length)
    } else {
      if (this.#secondEnd > 0) this.#grow(this.#storage.length) // unwraps it
      this.#second = bytes
      this.#secondAt = 0
      this.#secondEnd = bytes.length
    }
    this.#chunk = bytes
  }

  /**
   * The chunk has been worked off: copies what is left of it, and gives back storage that holds nothing, so that an idle ring
   * costs nothing. Views of `peek` end here. Throws POOL_EXHAUSTED / BUFFER_FULL when more than `maxBytes` are left.
   */
  keep(): void {
    if (this.#chunk !== NOTHING) {
      const { length } = this
      if (length > this.maxBytes) throw this.#full(0)
      if (this.#first === this.#chunk) this.#releaseStorage() // what is left may need far less
      this.#ownAll(length)
    } else if (this.#storage !== NOTHING && this.isEmpty) this.reset()
  }

  /** Forgets everything and gives the storage back. Views of `peek` end here. */
  reset(): void {
    this.#releaseStorage()
    this.#setEmpty()
  }

  // Reading

  /**
   * Bytes for good, contiguous, free to be changed: a view of the chunk, else a copy. A view keeps its chunk (up to 64 KiB) in
   * memory: copy what is to be kept for long. Throws INVALID_OFFSET beyond `length`.
   */
  take(bytes: number): Buffer {
    if (bytes <= 0) return NOTHING
    const at = this.#firstAt
    const first = this.#first
    const end = at + bytes
    if (end <= this.#firstEnd && first === this.#chunk) {
      this.#skip(bytes)
      return bytes === first.length ? first : first.subarray(at, end)
    }
    this.#demand(bytes)
    return (bytes >= HANDOVER_BYTES ? this.#handOver(bytes) : undefined) ?? this.#copyOut(bytes)
  }

  /** As `take(length)`. */
  takeAll(): Buffer {
    return this.take(this.length)
  }

  /** As `take`, as text: bytes that are not UTF-8 become U+FFFD. */
  takeString(bytes: number): string {
    if (bytes <= 0) return ''
    this.#demand(bytes)
    const end = this.#firstAt + bytes
    if (end > this.#firstEnd) return this.#copyOut(bytes).toString('utf8')
    const text = this.#first.toString('utf8', this.#firstAt, end)
    this.#skip(bytes)
    return text
  }

  /** Fills `target` as far as there are bytes; gives how many. */
  read(target: Uint8Array): number {
    const bytes = Math.min(target.length, this.length)
    this.#copyTo(target, 0, bytes)
    this.#skip(bytes)
    return bytes
  }

  /** Undefined when empty. */
  readByte(): number | undefined {
    const byte = this.peekUint8()
    if (byte !== undefined) this.#skip(1)
    return byte
  }

  /** Drops the first `bytes`, or all when there are less; gives how many. */
  retrieve(bytes: number): number {
    const dropped = Math.min(Math.max(0, bytes), this.length)
    this.#skip(dropped)
    return dropped
  }

  /** Drops all; storage stays until `keep()` or `reset()`. */
  retrieveAll(): void {
    this.#setEmpty()
  }

  // Looking

  /** The first `bytes` (or less) as two views, the second often empty. Valid until the next call that writes, takes or keeps. */
  peek(bytes: number): [first: Buffer, second: Buffer] {
    const inFirst = this.#firstEnd - this.#firstAt
    const wanted = Math.max(0, bytes)
    const first = this.#first.subarray(this.#firstAt, this.#firstAt + Math.min(wanted, inFirst))
    if (wanted <= inFirst || this.#secondEnd === 0) return [first, NOTHING]
    const end = Math.min(this.#secondEnd, this.#secondAt + wanted - inFirst)
    return [first, this.#second.subarray(this.#secondAt, end)]
  }

  /** As `peek(length)`. */
  peekAll(): [first: Buffer, second: Buffer] {
    return this.peek(this.length)
  }

  /** The byte `at` bytes behind the first; undefined when it has not come. So all of these. */
  peekUint8(at = 0): number | undefined {
    const index = this.#firstAt + at
    if (index < this.#firstEnd) return this.#first[index]
    const inSecond = index - this.#firstEnd + this.#secondAt
    return inSecond < this.#secondEnd ? this.#second[inSecond] : undefined
  }

  /** Big-endian. */
  peekUint16(at = 0): number | undefined {
    const index = this.#firstAt + at
    if (index + 2 > this.#firstEnd) return this.#gather(at, 2)
    const bytes = this.#first
    return ((bytes[index] as number) << 8) | (bytes[index + 1] as number)
  }

  /** Big-endian. */
  peekUint32(at = 0): number | undefined {
    const index = this.#firstAt + at
    if (index + 4 > this.#firstEnd) return this.#gather(at, 4)
    const bytes = this.#first
    const high = ((bytes[index] as number) << 8) | (bytes[index + 1] as number)
    return high * 0x10000 + (((bytes[index + 2] as number) << 8) | (bytes[index + 3] as number))
  }

  /** Big-endian. */
  peekUint64(at = 0): bigint | undefined {
    const high = this.peekUint32(at)
    const low = this.peekUint32(at + 4)
    return high === undefined || low === undefined ? undefined : (BigInt(high) << 32n) | BigInt(low)
  }

  /** How far behind the first byte `byte` stands, not before `from`; -1 when it has not come. */
  indexOf(byte: number, from = 0): number {
    const inFirst = this.#firstEnd - this.#firstAt
    if (from < inFirst) {
      const found = find(this.#first, byte, this.#firstAt + from, this.#firstEnd)
      if (found >= 0) return found - this.#firstAt
    }
    const found = find(this.#second, byte, this.#secondAt + Math.max(0, from - inFirst), this.#secondEnd)
    return found < 0 ? -1 : found - this.#secondAt + inFirst
  }

  /** A copy of everything. */
  bytes(): Buffer {
    const copy = Buffer.allocUnsafe(this.length)
    this.#copyTo(copy, 0, copy.length)
    return copy
  }

  // Reading virtually: a trial that `virtualFlush` makes true and `virtualRevert` (or any read) undoes

  /** As `read`, behind what was read virtually before. */
  virtualRead(target: Uint8Array): number {
    const bytes = Math.min(target.length, this.virtualLength)
    this.#copyTo(target, this.#virtual, bytes)
    this.#virtual += bytes
    return bytes
  }

  /** Bytes that were not read virtually either. */
  get virtualLength(): number {
    return this.length - this.#virtual
  }

  virtualFlush(): void {
    this.#skip(this.#virtual)
  }

  virtualRevert(): void {
    this.#virtual = 0
  }

  /** Moves past bytes that are there. */
  #skip(bytes: number): void {
    this.#virtual = 0
    const inFirst = this.#firstEnd - this.#firstAt
    if (bytes < inFirst) {
      this.#firstAt += bytes
      return
    }
    this.#first = this.#second
    this.#firstAt = this.#secondAt + bytes - inFirst
    this.#firstEnd = this.#secondEnd
    this.#clearSecond()
    if (this.#firstAt === this.#firstEnd) this.#setEmpty()
  }

  #clearSecond(): void {
    this.#second = NOTHING
    this.#secondAt = 0
    this.#secondEnd = 0
  }

  #setEmpty(): void {
    this.#chunk = NOTHING
    this.#startAt(this.#storage, 0)
    this.#clearSecond()
    this.#virtual = 0
  }

  #releaseStorage(): void {
    if (this.#storage !== NOTHING) this.#pool.giveBack(this.#storage)
    this.#storage = NOTHING
  }

  #makeRoom(bytes: number): void {
    const needed = this.length + bytes
    if (needed > this.maxBytes) throw this.#full(bytes)
    this.#ownAll(needed)
  }

  /** Afterwards everything is in storage, which has room for `needed`. */
  #ownAll(needed: number): void {
    const chunk = this.#chunk
    const isFirst = this.#first === chunk
    const at = isFirst ? this.#firstAt : this.#secondAt
    const end = isFirst ? this.#firstEnd : this.#secondEnd
    if (chunk !== NOTHING) {
      this.#chunk = NOTHING
      if (isFirst) this.#startAt(this.#storage, 0)
      else this.#clearSecond()
    }
    if (needed > this.#storage.length) this.#grow(needed)
    if (chunk !== NOTHING) this.#append(chunk, at, end)
  }

  #startAt(first: Buffer, bytes: number): void {
    this.#first = first
    this.#firstAt = 0
    this.#firstEnd = bytes
  }

  #grow(needed: number): void {
    const { length } = this
    const grown = this.#pool.lease(this.#sizeFor(needed))
    this.#copyTo(grown, 0, length)
    this.#pool.giveBack(this.#storage)
    this.#storage = grown
    this.#startAt(grown, length)
    this.#clearSecond()
  }

  #sizeFor(needed: number): number {
    let size = Math.max(this.#storage.length, this.#initialBytes || SMALLEST_STORAGE)
    while (size < needed) size *= 2
    return Math.min(size, this.maxBytes)
  }

  /** There is room: behind first, and then in front of it. */
  #append(source: Uint8Array, from: number, end: number): void {
    let at = from
    if (this.#secondEnd === 0) {
      const bytes = Math.min(end - at, this.#storage.length - this.#firstEnd)
      copy(source, at, at + bytes, this.#storage, this.#firstEnd)
      this.#firstEnd += bytes
      at += bytes
      if (at === end) return
      this.#second = this.#storage
    }
    copy(source, at, end, this.#storage, this.#secondEnd)
    this.#secondEnd += end - at
  }

  #copyTo(target: Uint8Array, from: number, bytes: number): void {
    const inFirst = this.#firstEnd - this.#firstAt
    const ofFirst = Math.max(0, Math.min(bytes, inFirst - from))
    copy(this.#first, this.#firstAt + from, this.#firstAt + from + ofFirst, target, 0)
    const at = this.#secondAt + Math.max(0, from - inFirst)
    copy(this.#second, at, at + bytes - ofFirst, target, ofFirst)
  }

  #copyOut(bytes: number): Buffer {
    const copied = Buffer.allocUnsafe(bytes)
    this.#copyTo(copied, 0, bytes)
    this.#skip(bytes)
    return copied
  }

  /**
   * A long message was gathered in storage: it leaves with it, unless it is wrapped or would hold more memory than twice its
   * length. What the chunk still adds to it is copied behind; what follows it moves to new storage.
   */
  #handOver(bytes: number): Buffer | undefined {
    const storage = this.#storage
    const missing = bytes - (this.#firstEnd - this.#firstAt)
    const hasRoom = missing <= storage.length - this.#firstEnd
    if (this.#second === storage || !hasRoom || 2 * bytes < storage.length) return undefined
    const message = storage.subarray(this.#firstAt, this.#firstAt + bytes)
    if (missing > 0) copy(this.#second, this.#secondAt, this.#secondAt + missing, storage, this.#firstEnd)
    const rest = Math.max(0, -missing)
    this.#storage = NOTHING
    if (rest > 0) this.#moveRest(storage, this.#firstEnd - rest)
    else this.#skip(bytes)
    return message
  }

  #moveRest(storage: Buffer, at: number): void {
    const rest = this.#firstEnd - at
    const moved = this.#pool.lease(this.#sizeFor(rest))
    copy(storage, at, this.#firstEnd, moved, 0)
    this.#storage = moved
    this.#startAt(moved, rest)
    this.#virtual = 0
  }

  #gather(at: number, bytes: number): number | undefined {
    if (at + bytes > this.length) return undefined
    let value = 0
    for (let index = at; index < at + bytes; index++) value = value * 256 + (this.peekUint8(index) as number)
    return value
  }

  #demand(bytes: number): void {
    if (bytes <= this.length) return
    const text = `${bytes} bytes were to be taken from a ring that holds ${this.length}: compare with length first`
    throw new MQError('INVALID_OFFSET', text, { bytes, length: this.length })
  }

  #full(bytes: number): MQError {
    const { length, maxBytes } = this
    const text = `a ring that holds ${length} bytes cannot take ${bytes} more, maxBytes is ${maxBytes}: read first, or allow more`
    return new MQError('POOL_EXHAUSTED', text, { reason: 'BUFFER_FULL', length, bytes, maxBytes })
  }
}
