/**
 * The oldest pending items, in memory and in order: those that no send has yet. Hot path.
 * Each item has an ordinal: its place in this queue's life, from 0, without gaps. Its position, in the log, may jump
 * (an earlier loss, another opening): a run is a stretch of items whose positions follow each other, and no batch
 * reaches beyond its run, so that (incarnationId, firstPosition + index) names every item of a batch.
 *
 *   slots   [ f ][ g ][ h ][   ][   ][ c ][ d ][ e ]      head = ordinal of c, tail = ordinal of h + 1
 *   runs    c d e: own, from position 40   |   f g h: own, from 60
 *
 * Invariant: tail - head items are held, never more than there are slots; the first run covers the head.
 * Per item nothing is created; per `markEvery` items one note of the time, for the linger.
 */
import { assert, type Clock, Deque } from '../util/index.js'

/** Where items came from: the opening of the log that accepted them, or the memory of this process. */
export interface Origin {
  readonly incarnationId: string
  /** Accepted by an earlier opening. */
  readonly isRecovered: boolean
  /** In the log, where their outcome must be recorded. */
  readonly isLogged: boolean
}

export interface Batch<T> {
  readonly items: readonly T[]
  /** Ordinal of the first. */
  readonly from: number
  readonly firstPosition: number
  readonly origin: Origin
}

interface Run {
  readonly from: number // ordinal
  readonly position: number // of that item
  readonly origin: Origin
}

/** When an item came; those behind it came later. */
interface Mark {
  readonly ordinal: number
  readonly atMs: number // monotonic
}

const FIRST_SLOTS = 1_024

export class Window<T> {
  /** Ordinal of the oldest item, and of the next one to come. */
  head = 0
  tail = 0
  readonly #clock: Clock
  readonly #markEvery: number // items
  readonly #runs = new Deque<Run>()
  readonly #marks = new Deque<Mark>()
  #slots: (T | undefined)[] = new Array(FIRST_SLOTS).fill(undefined)
  #mask = FIRST_SLOTS - 1
  #nextMark = 0 // ordinal
  #origin: Origin | null = null // of the last run
  #nextPosition = 0 // that goes on with it

  constructor(clock: Clock, markEvery: number) {
    this.#clock = clock
    this.#markEvery = markEvery
  }

  get size(): number {
    return this.tail - this.head
  }

  push(item: T, origin: Origin, position: number): void {
    const { tail } = this
    if (origin !== this.#origin || position !== this.#nextPosition) this.#beginRun(origin, position)
    if (tail === this.#nextMark) this.#note()
    if (tail - this.head > this.#mask) this.#grow(1)
    this.#slots[tail & this.#mask] = item
    this.tail = tail + 1
    this.#nextPosition = position + 1
  }

  /** As `push` of each of them, with positions that follow each other. */
  pushAll(items: readonly T[], from: number, to: number, origin: Origin, position: number): void {
    const count = to - from
    if (count === 0) return
    if (origin !== this.#origin || position !== this.#nextPosition) this.#beginRun(origin, position)
    if (this.#nextMark < this.tail + count) this.#note()
    if (this.size + count > this.#mask) this.#grow(count)
    const [slots, mask, shift] = [this.#slots, this.#mask, this.tail - from]
    for (let index = from; index < to; index++) slots[(index + shift) & mask] = items[index]
    this.tail += count
    this.#nextPosition = position + count
  }

  /** Items that one batch can take now: the first run, below `limit` (an ordinal). */
  available(limit: number): number {
    const end = this.#runs.at(1)?.from ?? this.tail
    return Math.max(0, Math.min(end, limit) - this.head)
  }

  /** The first run gets no further items. */
  get isRunComplete(): boolean {
    return this.#runs.size > 1
  }

  /** Since when the oldest item waits, or somewhat longer, never shorter. Monotonic ms. */
  get firstAtMs(): number {
    return this.#marks.peekFront()?.atMs ?? this.#clock.monotonicMs()
  }

  /** Takes the oldest out: `count` at most what `available` said. */
  take(count: number): Batch<T> {
    const run = this.#runs.peekFront()
    assert(
      run !== undefined && count >= 1 && count <= this.available(this.tail),
      'a batch takes what is there, of one run',
    )
    const { head } = this
    const batch = {
      items: this.#cut(head, count),
      from: head,
      firstPosition: run.position + head - run.from,
      origin: run.origin,
    }
    this.head = head + count
    this.#forget()
    return batch
  }

  /** As `take`, of what there is in the first run; null: nothing. */
  takeAtMost(count: number): Batch<T> | null {
    const taken = Math.min(count, this.available(this.tail))
    return taken === 0 ? null : this.take(taken)
  }

  /** As `takeAtMost`, of items whose position is below `position`. */
  takeBelow(position: number, count: number): Batch<T> | null {
    const run = this.#runs.peekFront()
    if (run === undefined) return null
    return this.takeAtMost(Math.max(0, Math.min(count, position - (run.position + this.head - run.from))))
  }

  /** Takes the newest out again, down to the ordinal `to`; in order. */
  truncate(to: number): readonly T[] {
    const from = Math.min(Math.max(to, this.head), this.tail)
    const items = this.#cut(from, this.tail - from)
    this.tail = from
    while ((this.#runs.peekBack()?.from ?? -1) >= from) this.#runs.popBack()
    while ((this.#marks.peekBack()?.ordinal ?? -1) >= from) this.#marks.popBack()
    this.#origin = null // The next item begins a run: its position is not known to follow.
    this.#nextMark = from
    return items
  }

  /** Copies a stretch and clears its slots, so that nothing settled is kept alive. */
  #cut(from: number, count: number): T[] {
    const slots = this.#slots
    const at = from & this.#mask
    const end = at + count
    if (end <= slots.length) {
      const items = slots.slice(at, end) as T[]
      slots.fill(undefined, at, end)
      return items
    }
    const items = slots.slice(at).concat(slots.slice(0, end - slots.length)) as T[]
    slots.fill(undefined, at)
    slots.fill(undefined, 0, end - slots.length)
    return items
  }

  /** Runs and marks that end before the head. */
  #forget(): void {
    const { head, tail } = this
    if (head === tail) {
      this.#runs.clear()
      this.#marks.clear()
      this.#origin = null
      this.#nextMark = tail
      return
    }
    while ((this.#runs.at(1)?.from ?? Number.POSITIVE_INFINITY) <= head) this.#runs.popFront()
    while ((this.#marks.at(1)?.ordinal ?? Number.POSITIVE_INFINITY) <= head) this.#marks.popFront()
  }

  #beginRun(origin: Origin, position: number): void {
    this.#runs.pushBack({ from: this.tail, position, origin })
    this.#origin = origin
  }

  #note(): void {
    this.#marks.pushBack({ ordinal: this.tail, atMs: this.#clock.monotonicMs() })
    this.#nextMark = this.tail + this.#markEvery
  }

  #grow(by: number): void {
    let length = this.#slots.length
    while (length < this.size + by) length *= 2
    const grown: (T | undefined)[] = new Array(length).fill(undefined)
    for (let ordinal = this.head; ordinal < this.tail; ordinal++) {
      grown[ordinal & (length - 1)] = this.#slots[ordinal & this.#mask]
    }
    this.#slots = grown
    this.#mask = length - 1
  }
}
