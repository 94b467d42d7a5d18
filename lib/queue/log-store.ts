/**
 * Items in the log, and the oldest of them in memory too ('os', 'periodic', 'immediate'); with 'spill' only the items
 * that memory has no room for go into the log, and all that follow them until they are back.
 * Invariants: nothing is sent before it is accepted; nothing leaves the log without an outcome; positions and LSNs are
 * the log's own. Source: wal.md 3, 7.
 */
import { type MQError, toMQError } from '../errors/index.js'
import type { Clock } from '../util/index.js'
import { ITEM_LENGTH_BYTES, Outcome, type Wal, walError } from '../wal/index.js'
import type { ItemCodec } from './codec.js'
import type { QueueCounters } from './counters.js'
import { Encoder } from './encoder.js'
import { Groups } from './groups.js'
import type { Levels } from './levels.js'
import { OriginTable } from './origins.js'
import { Pager } from './pager.js'
import { ACCEPTED, type Store, type StoreListener } from './store.js'
import type { Batch, Origin, Window } from './window.js'

export interface LogStoreOptions<T> {
  readonly wal: Wal
  readonly window: Window<T>
  readonly levels: Levels
  readonly codec: ItemCodec<T>
  readonly counters: QueueCounters
  readonly clock: Clock
  /** Of items that never were in the log; null: every item is. */
  readonly spillsFrom: { readonly incarnationId: string; readonly hardAt: number } | null
  readonly memoryMaxItems: number
  readonly retryMs: number
  readonly listener: StoreListener<T>
}

export class LogStore<T> implements Store<T> {
  readonly fullReason = 'WAL_FULL'
  readonly #options: LogStoreOptions<T>
  readonly #wal: Wal
  readonly #window: Window<T>
  readonly #stream: number
  readonly #encoder: Encoder<T>
  readonly #groups: Groups
  readonly #pager: Pager<T>
  readonly #own: Origin
  readonly #memory: Origin | null
  #settled = 0 // items of the window that are
  #memoryItems = 0 // items that never were in the log: their positions
  #isEvicted = false // the oldest segment was given up, and no room has come of it yet
  backlog = 0
  logBytes = 0
  lastAccepted: Promise<void> = ACCEPTED

  constructor(options: LogStoreOptions<T>) {
    const { wal, window, codec, clock, counters, spillsFrom } = options
    this.#options = options
    this.#wal = wal
    this.#window = window
    this.#settled = window.tail // Nothing is in the window of a queue that opens its log.
    this.#stream = streamOf(wal)
    this.#encoder = new Encoder(codec, wal.maxBodyBytes - ITEM_LENGTH_BYTES)
    const origins = new OriginTable(wal)
    this.#own = origins.own
    this.#memory =
      spillsFrom === null ? null : { incarnationId: spillsFrom.incarnationId, isRecovered: false, isLogged: false }
    this.backlog = wal.entriesOf(this.#stream).reduce((sum, { unsettled }) => sum + unsettled, 0)
    const recovered = window.tail + this.backlog
    const seconds = counters.histograms?.accept ?? null
    this.#groups = new Groups(wal, clock, seconds, recovered, (error) => this.#refused(error))
    this.#pager = new Pager<T>(
      {
        wal,
        stream: this.#stream,
        codec,
        clock,
        retryMs: options.retryMs,
        originOf: (incarnation) => origins.of(incarnation),
        room: () => Math.min(this.backlog, options.memoryMaxItems - this.#inMemory),
        take: (item, origin, position) => this.#bringIn(item, origin, position),
        arrived: () => options.listener.changed(),
        failed: (error) => options.listener.failed(error),
      },
      wal.entriesOf(this.#stream)[0]?.firstPosition ?? wal.stream(this.#stream)?.nextPosition ?? 0,
    )
    this.#measure()
    wal.onAccepted = () => this.#accepted()
    wal.onRoom = () => this.roomCame()
  }

  get #inMemory(): number {
    return this.#window.tail - this.#settled
  }

  /** Items in memory with 'spill', else bytes of the log. */
  get used(): number {
    return this.#memory === null ? this.logBytes : this.#inMemory
  }

  get crowdedAt(): number {
    const { spillsFrom, memoryMaxItems } = this.#options
    return spillsFrom === null || this.backlog > 0 ? memoryMaxItems : spillsFrom.hardAt
  }

  get isCrowded(): boolean {
    return this.#inMemory >= this.crowdedAt
  }

  get sendableTo(): number {
    return this.#memory === null ? this.#groups.acceptedTo : Number.POSITIVE_INFINITY
  }

  tryPut(item: T, isStarted: boolean): Promise<void> | null {
    if (this.#memory !== null && this.#isRoomInMemory(isStarted)) {
      this.#window.push(item, this.#memory, this.#memoryItems++)
      this.lastAccepted = ACCEPTED
      return ACCEPTED
    }
    const wal = this.#wal
    if (wal.failure !== null) throw refusedBy(wal.failure)
    const length = this.#encoder.encode(item)
    if (this.#isLogFull || !wal.admits(length + ITEM_LENGTH_BYTES)) return null
    const position = wal.appendItem(this.#stream, this.#encoder.bytes, length)
    this.#keep(item, position)
    const promise = this.#groups.appended(this.#window.tail + this.backlog)
    if (this.#groups.hasJustBegun) this.#measure()
    this.lastAccepted = promise
    return promise
  }

  tryPutMany(items: readonly T[], from: number, isStarted: boolean): number {
    for (let index = from; index < items.length; index++) {
      try {
        if (this.tryPut(items[index] as T, isStarted || index > from) === null) return index - from
      } catch (error) {
        // What came before it is taken; asked again, it throws at once.
        if (index > from) return index - from
        throw error
      }
    }
    return items.length - from
  }

  fits(items: readonly T[]): boolean {
    if (this.#isLogFull) return items.length === 0
    let bytes = 0
    for (const item of items) bytes += this.#encoder.encode(item) + ITEM_LENGTH_BYTES
    return items.length === 0 || this.#wal.admits(bytes)
  }

  /**
   * Bytes come free by the segment: gives up what is in memory of the oldest one, once, and waits for what comes of it.
   */
  evict(): readonly Batch<T>[] {
    if (this.#isEvicted || this.#wal.failure !== null) return []
    const entries = this.#wal.entriesOf(this.#stream)
    const oldest = entries[0]?.segment ?? -1
    const next = entries.find(({ segment }) => segment !== oldest)?.firstPosition ?? Number.POSITIVE_INFINITY
    const evicted: Batch<T>[] = []
    for (;;) {
      const available = this.#window.available(this.sendableTo)
      const batch = available === 0 ? null : this.#window.takeBelow(next, available)
      if (batch === null) break
      evicted.push(batch)
    }
    this.#isEvicted = evicted.length > 0
    return evicted
  }

  settled({ items, origin, firstPosition }: Batch<T>, outcome: Outcome): void {
    this.#settled += items.length
    if (!origin.isLogged) return
    try {
      this.#wal.settle(this.#stream, firstPosition, firstPosition + items.length - 1, outcome, -1)
      if (this.#isEvicted && outcome === Outcome.dropped) this.#wal.flush()
    } catch (cause) {
      // It has its outcome here; the next opening will not know it and send it again.
      const text = 'an outcome could not be recorded: these items will be sent again after the next start'
      this.#options.listener.failed(toMQError(cause, 'PRODUCE_FAILED', text))
    }
    this.#measure()
  }

  refill(): void {
    this.#pager.run()
  }

  /** The log has room again, perhaps. */
  roomCame(): void {
    this.#isEvicted = false
    this.#measure()
    this.#options.listener.changed()
  }

  /** The log has failed: items that it had not accepted are lost, their callers were told. */
  gaveUp(): void {
    const { acceptedTo } = this.#groups
    this.#groups.giveUp()
    const end = this.#window.tail + this.backlog
    const count = this.#memory === null ? Math.max(0, end - Math.max(acceptedTo, this.#window.head)) : 0
    if (this.#memory !== null) return this.#gaveUpSpilled()
    if (count === 0) return
    const items = this.#window.truncate(acceptedTo)
    this.backlog -= count - items.length
    this.#options.listener.lost(items, count)
  }

  close(): void {
    this.#pager.close()
    this.#wal.onAccepted = null
    this.#wal.onRoom = null
  }

  #gaveUpSpilled(): void {
    const accepted = this.#acceptedBacklog()
    const count = this.backlog - accepted
    if (count <= 0) return
    this.backlog = accepted
    this.#options.listener.lost([], count)
  }

  /** Of the items that are only in the log, those that it has accepted. */
  #acceptedBacklog(): number {
    const { acceptedLsn } = this.#wal
    let count = 0
    for (const { lsn, firstPosition, count: items } of this.#wal.entriesOf(this.#stream)) {
      if (lsn <= acceptedLsn) count += Math.max(0, firstPosition + items - Math.max(firstPosition, this.#pager.cursor))
    }
    return Math.min(count, this.backlog)
  }

  #isRoomInMemory(isStarted: boolean): boolean {
    if (this.backlog > 0) return false
    const { hardAt } = this.#options.spillsFrom as { hardAt: number }
    return this.#inMemory < (isStarted ? this.#options.memoryMaxItems : hardAt)
  }

  get #isLogFull(): boolean {
    return this.#memory === null && this.logBytes >= this.#options.levels.hardAt
  }

  /** In memory too, if it is the next in order and there is room. */
  #keep(item: T, position: number): void {
    const isNext = this.backlog === 0 && this.#memory === null && this.#inMemory < this.#options.memoryMaxItems
    if (!isNext) {
      if (this.backlog === 0) this.#pager.cursor = position
      this.backlog++
      return
    }
    this.#window.push(item, this.#own, position)
    this.#pager.cursor = position + 1
  }

  #bringIn(item: T, origin: Origin, position: number): void {
    this.#window.push(item, origin, position)
    this.backlog--
  }

  #accepted(): void {
    this.#groups.accept()
    this.#pager.run()
    this.#options.listener.changed()
  }

  #refused(error: unknown): void {
    this.#options.listener.failed(refusedBy(toMQError(error, 'PRODUCE_FAILED', 'the log did not accept items')))
    if (this.#wal.state === 'failed') this.gaveUp()
  }

  #measure(): void {
    this.logBytes = this.#wal.measures().liveBytes
  }
}

function refusedBy(failure: MQError): MQError {
  if (failure.context.reason === 'WAL_FAILED') return failure
  return walError('WAL_FAILED', `the log takes nothing any more: ${failure.message}`, {}, failure)
}

/** The queue's only stream. */
function streamOf(wal: Wal): number {
  for (const { id } of wal.streams) return id
  return wal.streamOf('queue', '', 0)
}
