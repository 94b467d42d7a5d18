/**
 * Records from one thread to one other, through shared memory: length-prefixed, in a ring. Hot path.
 * Why here and not in the library: it shows what a reader on another core costs beside the channel on one thread.
 * Ownership: both ends copy; bytes given to `tryWrite` are the caller's again when it returns, those that `copyTo` gives
 * are the reader's. Everything before the atomic store of a position is visible to who loads it.
 * Invariants: one writer, one reader; `head - tail` is never above the capacity; a record lies in one piece; who sleeps has
 * said so before its last look, so no wake-up is lost.
 *
 *   [ 5|hello.. ][ 3|abc. ]  free  [ 900|........ ][ skip to the start ]
 *     0                    ^head     ^tail                             capacity: a power of two
 */

/** Positions count bytes and wrap at 2^32; a multiple of 4. Each lies in a cache line of its own. */
const HEAD = 0
const TAIL = 16
const READER_SLEEPS = 32
const WRITER_SLEEPS = 48
const STATE_BYTES = 256

const LENGTH_BYTES = 4
/** In the place of a length: the rest of the lap is empty; no record will follow. */
const SKIP = -1
const LAST = -2

/** What `next()` says instead of a length. */
export const NOTHING = -1
export const ENDED = -2

const LARGEST_CAPACITY = 2 ** 30
const SMALLEST_CAPACITY = 64

/** How often a reader looks again before it sleeps: some microseconds, less than a wake-up costs both sides. */
const LOOKS = 1000

/**
 * Memory for one `RingWriter` and one `RingReader`. Positions begin at `from`, a multiple of 4: after 4 GiB they wrap, which
 * nobody should have to wait for. Throws RangeError.
 */
export function ringMemory(capacityBytes: number, from = 0): SharedArrayBuffer {
  const isPower = Number.isInteger(Math.log2(capacityBytes))
  if (!isPower || capacityBytes < SMALLEST_CAPACITY || capacityBytes > LARGEST_CAPACITY)
    throw new RangeError(`a ring has a power of two of bytes, ${SMALLEST_CAPACITY}..2^30, not ${capacityBytes}`)
  const memory = new SharedArrayBuffer(STATE_BYTES + capacityBytes)
  const state = new Int32Array(memory, 0, STATE_BYTES / 4)
  state[HEAD] = from
  state[TAIL] = from
  return memory
}

/** What both ends see. */
class Ring {
  readonly state: Int32Array
  readonly bytes: Buffer
  readonly lengths: Int32Array
  readonly capacity: number

  constructor(memory: SharedArrayBuffer) {
    this.capacity = memory.byteLength - STATE_BYTES
    this.state = new Int32Array(memory, 0, STATE_BYTES / 4)
    this.bytes = Buffer.from(memory, STATE_BYTES)
    this.lengths = new Int32Array(memory, STATE_BYTES)
  }
}

export class RingWriter {
  readonly #ring: Ring
  readonly #mask: number
  #head: number
  /** As last seen: the reader's cache line is fetched only when the ring looks full. */
  #tail: number

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new Ring(memory)
    this.#mask = this.#ring.capacity - 1
    this.#head = Atomics.load(this.#ring.state, HEAD)
    this.#tail = Atomics.load(this.#ring.state, TAIL)
  }

  /** The longest record: half of the ring, so that one fits at every position of an empty one. Bytes. */
  get maxBytes(): number {
    return this.#ring.capacity / 2 - LENGTH_BYTES
  }

  /** False: full, nothing was taken; wait with `room()`. Throws RangeError for what can never fit. */
  tryWrite(bytes: Uint8Array): boolean {
    const length = bytes.length
    if (length > this.maxBytes) throw new RangeError(`a record of ${length} B never fits: at most ${this.maxBytes} B`)
    const at = this.#reserve(LENGTH_BYTES + aligned(length))
    if (at < 0) return false
    this.#ring.lengths[at >> 2] = length
    this.#ring.bytes.set(bytes, at + LENGTH_BYTES)
    this.#publish()
    return true
  }

  /** The reader gets ENDED behind the last record. False: full, as `tryWrite`. */
  tryEnd(): boolean {
    const at = this.#reserve(LENGTH_BYTES)
    if (at < 0) return false
    this.#ring.lengths[at >> 2] = LAST
    this.#publish()
    return true
  }

  /** Resolves when a record of `bytes` fits; one wait at a time. Throws when the reader lets go of nothing for `timeoutMs`. */
  room(bytes: number, timeoutMs = 10_000): Promise<void> {
    return this.#until(() => this.#fits(LENGTH_BYTES + aligned(bytes)), timeoutMs)
  }

  /** Resolves when the reader has let go of everything. */
  drained(timeoutMs = 10_000): Promise<void> {
    return this.#until(() => Atomics.load(this.#ring.state, TAIL) === this.#head, timeoutMs)
  }

  /** Where `need` bytes begin, or -1 when there is no room. Moves the head, which nobody sees before `#publish`. */
  #reserve(need: number): number {
    if (!this.#fits(need)) return -1
    const at = this.#head & this.#mask
    const left = this.#ring.capacity - at
    if (need <= left) {
      this.#head = (this.#head + need) | 0
      return at
    }
    this.#ring.lengths[at >> 2] = SKIP
    this.#head = (this.#head + left + need) | 0
    return 0
  }

  #fits(need: number): boolean {
    const { capacity, state } = this.#ring
    const left = capacity - (this.#head & this.#mask)
    const wanted = need <= left ? need : left + need
    if (((this.#head - this.#tail) | 0) + wanted <= capacity) return true
    this.#tail = Atomics.load(state, TAIL)
    return ((this.#head - this.#tail) | 0) + wanted <= capacity
  }

  #publish(): void {
    const { state } = this.#ring
    Atomics.store(state, HEAD, this.#head)
    if (Atomics.load(state, READER_SLEEPS) === 1) Atomics.notify(state, HEAD, 1)
  }

  async #until(isDone: () => boolean, timeoutMs: number): Promise<void> {
    const { state } = this.#ring
    while (!isDone()) {
      Atomics.store(state, WRITER_SLEEPS, 1)
      const tail = Atomics.load(state, TAIL)
      const answer = isDone() ? 'ok' : await changed(state, TAIL, tail, timeoutMs)
      Atomics.store(state, WRITER_SLEEPS, 0)
      if (answer === 'timed-out') throw new Error(`the reader let go of nothing within ${timeoutMs} ms`)
    }
  }
}

export class RingReader {
  readonly #ring: Ring
  readonly #mask: number
  readonly #half: number
  #tail: number
  /** As last seen. */
  #head: number
  #length = NOTHING

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new Ring(memory)
    this.#mask = this.#ring.capacity - 1
    this.#half = this.#ring.capacity / 2
    this.#head = Atomics.load(this.#ring.state, HEAD)
    this.#tail = Atomics.load(this.#ring.state, TAIL)
  }

  /** Length of the next record, NOTHING or ENDED. The record stays until `advance()`. */
  next(): number {
    if (this.#head === this.#tail) {
      this.#head = Atomics.load(this.#ring.state, HEAD)
      if (this.#head === this.#tail) return NOTHING
    }
    let length = this.#ring.lengths[(this.#tail & this.#mask) >> 2] as number
    if (length === SKIP) {
      this.#tail = (this.#tail + this.#ring.capacity - (this.#tail & this.#mask)) | 0
      length = this.#ring.lengths[0] as number
    }
    this.#length = length
    return length === LAST ? ENDED : length
  }

  /** The bytes of the record that `next()` found. */
  copyTo(target: Buffer): void {
    const start = (this.#tail & this.#mask) + LENGTH_BYTES
    this.#ring.bytes.copy(target, 0, start, start + this.#length)
  }

  /** Lets go of the record that `next()` found. */
  advance(): void {
    const { state } = this.#ring
    this.#tail = (this.#tail + LENGTH_BYTES + aligned(Math.max(0, this.#length))) | 0
    Atomics.store(state, TAIL, this.#tail)
    // Half a ring at a time: one wake-up for many records. A writer that wants all of it is told at each record.
    if (Atomics.load(state, WRITER_SLEEPS) === 1 && this.#used() <= this.#half) Atomics.notify(state, TAIL, 1)
  }

  /** Blocks this thread until there is something, at most `timeoutMs`. Not for the main thread. */
  wait(timeoutMs = Number.POSITIVE_INFINITY): void {
    const { state } = this.#ring
    for (let look = 0; look < LOOKS; look++) if (Atomics.load(state, HEAD) !== this.#tail) return
    Atomics.store(state, READER_SLEEPS, 1)
    Atomics.wait(state, HEAD, this.#tail, timeoutMs) // 'not-equal' when something came meanwhile
    Atomics.store(state, READER_SLEEPS, 0)
  }

  #used(): number {
    return (Atomics.load(this.#ring.state, HEAD) - this.#tail) | 0
  }
}

function aligned(bytes: number): number {
  return (bytes + 3) & ~3
}

interface WaitAsync {
  waitAsync(
    state: Int32Array,
    index: number,
    value: number,
    timeoutMs: number,
  ):
    | { readonly async: false; readonly value: 'not-equal' | 'timed-out' }
    | { readonly async: true; readonly value: Promise<'ok' | 'timed-out'> }
}

/** Atomics.waitAsync, which the library of types we compile with does not name yet. */
async function changed(state: Int32Array, index: number, value: number, timeoutMs: number): Promise<string> {
  const answer = (Atomics as unknown as WaitAsync).waitAsync(state, index, value, timeoutMs)
  return answer.value
}
