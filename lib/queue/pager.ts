/**
 * Brings items that are only in the log back into memory, in order, as room allows: after a start, and after a time in
 * which more came than memory holds.
 * Invariants: one read at a time; an entry that is not accepted is not read; what cannot be read stays in the log, is
 * told once and tried again, and nothing behind it is brought in before it.
 */
import { type MQError, toMQError } from '../errors/index.js'
import { type Clock, runInBackground, type TimerHandle } from '../util/index.js'
import type { Entry, Ranges, Wal } from '../wal/index.js'
import type { ItemCodec } from './codec.js'
import { Page } from './page.js'
import type { Origin } from './window.js'

export interface PagerOptions<T> {
  readonly wal: Wal
  readonly stream: number
  readonly codec: ItemCodec<T>
  readonly clock: Clock
  /** Until a read that failed is tried again. Milliseconds. */
  readonly retryMs: number
  readonly originOf: (incarnation: number) => Origin
  /** Items that may be brought in now; 0 = no room, or nothing is missing. */
  room(): number
  take(item: T, origin: Origin, position: number): void
  /** Some were brought in. */
  arrived(): void
  failed(error: MQError): void
}

export class Pager<T> {
  readonly #options: PagerOptions<T>
  /** Position of the next item to bring in. */
  cursor: number
  #page: Page<T> | null = null
  #isReading = false
  #isClosed = false
  #hasFailed = false // since the last read that succeeded
  #retry: TimerHandle | null = null

  constructor(options: PagerOptions<T>, cursor: number) {
    this.#options = options
    this.cursor = cursor
  }

  /** Brings in what there is room for; goes on by itself while it reads. */
  run(): void {
    if (this.#isReading || this.#isClosed || this.#retry !== null || this.#options.room() === 0) return
    this.#isReading = true
    runInBackground(
      'reading queue items from the log',
      () => this.#read(),
      (_name, error) => this.#failed(error),
    )
  }

  close(): void {
    this.#isClosed = true
    this.#page = null
    this.#retry?.cancel()
    this.#retry = null
  }

  async #read(): Promise<void> {
    try {
      while (!this.#isClosed && this.#options.room() > 0) {
        this.#page ??= await this.#open()
        if (this.#page === null || this.#isClosed) return
        if (this.#drain(this.#page)) this.#options.arrived()
      }
    } finally {
      this.#isReading = false
    }
  }

  /** From the page into memory; true when something went. */
  #drain(page: Page<T>): boolean {
    const before = this.cursor
    for (let room = this.#options.room(); room > 0 && !page.isRead; room--) {
      this.#options.take(page.peek(), page.origin, page.position)
      this.cursor = page.position + 1
      page.next()
      this.#hasFailed = false
    }
    if (page.isRead) {
      this.cursor = Math.max(this.cursor, page.position)
      this.#page = null
    }
    return this.cursor !== before
  }

  /** The entry with the next item; null: it is not accepted yet. */
  async #open(): Promise<Page<T> | null> {
    const { wal, stream, codec, originOf } = this.#options
    const entry = entryFrom(wal.entriesOf(stream), this.cursor)
    if (entry === undefined || entry.lsn > wal.acceptedLsn) return null
    const { lsn, firstPosition, count } = entry
    const origin = originOf(entry.originIncarnation === 0 ? entry.incarnation : entry.originIncarnation)
    const body = await wal.read(lsn)
    const ranges = above(this.cursor, wal.unsettledOf?.(lsn) ?? unsettledPart(wal, stream, entry))
    return new Page(body, codec, origin, firstPosition, count, ranges)
  }

  #failed(cause: unknown): void {
    if (this.#isClosed) return
    this.#page = null
    this.#retry = this.#options.clock.setTimer(() => {
      this.#retry = null
      this.run()
    }, this.#options.retryMs)
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#options.failed(
      toMQError(cause, 'DECOMPRESSION_FAILED', 'items could not be read from the log: they stay in it'),
    )
  }
}

/** The first entry that reaches to `position` or beyond it; entries are in position order. */
function entryFrom(entries: readonly Entry[], position: number): Entry | undefined {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    const entry = entries[middle] as Entry
    if (entry.firstPosition + entry.count <= position) low = middle + 1
    else high = middle
  }
  return entries[low]
}

/** Without the log's word on each position: all that follow the settled prefix of the stream. */
function unsettledPart(wal: Wal, stream: number, { firstPosition, count }: Entry): Ranges {
  const from = Math.max(firstPosition, wal.stream(stream)?.settledThrough ?? 0)
  return [[from, firstPosition + count - 1]]
}

function above(position: number, ranges: Ranges): Ranges {
  return ranges.filter(([, to]) => to >= position).map(([from, to]) => [Math.max(from, position), to] as const)
}
