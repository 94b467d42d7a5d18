/**
 * A log in memory with a disk that survives it: what was committed is there for the next opening, what was not may be
 * gone. Commits happen when the test says so, or by themselves in the next microtask.
 * It keeps the promises of `Wal` and checks its callers: a position that is unknown or settled already is an error.
 */
import { MQError } from '../../../lib/errors/index.js'
import { type Deferred, deferred } from '../../../lib/util/index.js'
import {
  type Entry,
  type Outcome,
  UNBOUND,
  type Wal,
  type WalEvents,
  type WalMeasures,
  type WalOptions,
  type WalState,
  walError,
} from '../../../lib/wal/index.js'

interface Frame {
  readonly lsn: number
  readonly firstPosition: number
  readonly incarnation: number
  readonly items: Uint8Array[]
  /** Outcome of each item; -1: none. */
  readonly outcomes: number[]
}

/** What is left when a process dies. */
export class FakeDisk {
  frames: Frame[] = []
  readonly ids = new Map<number, string>()
  incarnation = 0
  lsn = 0
  nextPosition = 0
  /** Bytes of items it takes. */
  maxBytes = Number.POSITIVE_INFINITY
  /** Reads of these LSNs reject. */
  readonly damaged = new Set<number>()

  get unsettled(): number {
    return this.frames.reduce((sum, { outcomes }) => sum + outcomes.filter((outcome) => outcome < 0).length, 0)
  }

  get bytes(): number {
    return this.frames.reduce(
      (sum, { items, outcomes }) => (outcomes.some((one) => one < 0) ? sum + bytesOf(items) : sum),
      0,
    )
  }
}

function bytesOf(items: readonly Uint8Array[]): number {
  return items.reduce((sum, item) => sum + item.length + 1, 0)
}

export interface FakeWalOptions {
  /** Commit in the next microtask. */
  readonly auto?: boolean
  /** Items of a frame. */
  readonly frameItems?: number
}

export class FakeWal implements Wal {
  readonly dir: string
  readonly walId = 'fake'
  readonly durability: Wal['durability']
  readonly incarnation: number
  readonly incarnationId: string
  readonly recovered: Wal['recovered']
  readonly maxBodyBytes = 1_000_000
  readonly identities = []
  state: WalState = 'open'
  failure: MQError | null = null
  acceptedLsn: number
  acceptedSettlements = 0
  onAccepted: (() => void) | null = null
  onRoom: (() => void) | null = null
  isClosed = false
  readonly #disk: FakeDisk
  readonly #events: WalEvents
  readonly #options: FakeWalOptions
  #open: Frame[] = []
  #commits: (Deferred<void> & { lsn: number })[] = []
  #acks: [frame: Frame, index: number, outcome: number][] = []
  readonly #settledNow = new Map<Frame, number[]>()
  #settlements = 0
  #isScheduled = false
  #wasFull = false
  #entries: Entry[] | null = null

  constructor(disk: FakeDisk, options: WalOptions, events: WalEvents, fake: FakeWalOptions = {}) {
    this.#disk = disk
    this.#events = events
    this.#options = fake
    this.dir = options.dir
    this.durability = options.durability
    this.incarnation = ++disk.incarnation
    this.incarnationId = `incarnation${this.incarnation}`
    disk.ids.set(this.incarnation, this.incarnationId)
    disk.frames = disk.frames.filter(({ outcomes }) => outcomes.some((outcome) => outcome < 0))
    for (const frame of disk.frames) this.#settledNow.set(frame, [...frame.outcomes])
    this.acceptedLsn = disk.lsn
    this.recovered = {
      isNew: this.incarnation === 1,
      isClean: false,
      previous: null,
      clusterId: '',
      entries: disk.frames.length,
      records: disk.unsettled,
      tornBytes: 0,
      discardedUnaccepted: 0,
      holes: [],
      scannedBytes: 0,
      scanMs: 0,
    }
  }

  get lastLsn(): number {
    return this.#disk.lsn
  }
  get isIdle(): boolean {
    return this.#open.length === 0 && this.#acks.length === 0
  }
  get streams() {
    return [this.stream()]
  }
  stream() {
    const first = this.entriesOf()[0]
    const settledThrough = first?.firstPosition ?? this.#disk.nextPosition
    return {
      id: 0,
      topic: 'queue',
      topicId: '',
      partition: 0,
      nextPosition: this.#disk.nextPosition,
      settledThrough,
      lastAckedOffset: -1,
      acked: [],
    }
  }
  streamOf(): number {
    return 0
  }
  defineIdentity(): Promise<void> {
    return Promise.resolve()
  }

  admits(bytes: number): boolean {
    const isRoom = this.#disk.bytes + bytesOf(this.#open.flatMap(({ items }) => items)) + bytes <= this.#disk.maxBytes
    if (!isRoom) this.#wasFull = true
    return this.failure === null && isRoom
  }
  append(): number {
    throw new Error('a queue appends items')
  }
  bind(): number {
    throw new Error('a queue binds nothing')
  }
  appendItem(stream: number, bytes: Uint8Array, length: number): number {
    if (stream !== 0 || this.isClosed) throw new Error('not an open stream')
    if (this.failure !== null) throw this.failure
    if (!this.admits(length)) throw walError('WAL_FULL', 'full')
    let frame = this.#open.at(-1)
    if (frame === undefined || frame.items.length >= (this.#options.frameItems ?? 4)) {
      frame = {
        lsn: ++this.#disk.lsn,
        firstPosition: this.#disk.nextPosition,
        incarnation: this.incarnation,
        items: [],
        outcomes: [],
      }
      this.#open.push(frame)
      this.#settledNow.set(frame, [])
    }
    frame.items.push(Uint8Array.prototype.slice.call(bytes, 0, length)) // A copy: that of a Buffer is none.
    frame.outcomes.push(-1)
    this.#settledNow.get(frame)?.push(-1)
    this.#schedule()
    this.#entries = null
    return this.#disk.nextPosition++
  }
  settle(_stream: number, from: number, to: number, outcome: Outcome): number {
    if (this.isClosed) throw new Error('settled after close')
    if (this.failure !== null) throw this.failure
    for (let position = from; position <= to; position++) this.#settleOne(position, outcome)
    this.#entries = null
    this.#schedule()
    if (this.#wasFull) {
      this.#wasFull = false
      queueMicrotask(() => this.onRoom?.())
    }
    return ++this.#settlements
  }
  flush(): void {
    this.#schedule()
  }
  accepted(lsn: number): Promise<void> {
    if (lsn <= this.acceptedLsn) return Promise.resolve()
    const last = this.#commits.at(-1)
    if (last?.lsn === lsn) return last.promise
    const commit = { ...deferred<void>(), lsn }
    this.#commits.push(commit)
    return commit.promise
  }
  entriesOf(): readonly Entry[] {
    this.#entries ??= [...this.#disk.frames, ...this.#open]
      .map((frame) => this.#entryOf(frame))
      .filter(({ unsettled }) => unsettled > 0)
    return this.#entries
  }
  entry(lsn: number): Entry | undefined {
    return this.entriesOf().find((entry) => entry.lsn === lsn)
  }
  unsettledOf(lsn: number): [number, number][] {
    const frame = this.#disk.frames.find((one) => one.lsn === lsn)
    if (frame === undefined) throw new Error(`LSN ${lsn} is not accepted`)
    const outcomes = this.#settledNow.get(frame) as number[]
    return outcomes.flatMap((outcome, index): [number, number][] =>
      outcome < 0 ? [[frame.firstPosition + index, frame.firstPosition + index]] : [],
    )
  }
  incarnationIdOf(incarnation: number): string | undefined {
    return this.#disk.ids.get(incarnation)
  }
  async read(lsn: number): Promise<Uint8Array> {
    if (this.isClosed) throw new Error('read after close')
    if (this.#disk.damaged.has(lsn)) throw walError('WAL_CORRUPT', `LSN ${lsn} is damaged`)
    const frame = this.#disk.frames.find((one) => one.lsn === lsn)
    if (frame === undefined) throw new Error(`LSN ${lsn} is not accepted`)
    return Buffer.concat(frame.items.flatMap((item) => [varint(item.length), item]))
  }
  sync(): Promise<void> {
    this.commit()
    return Promise.resolve()
  }
  measures(): WalMeasures {
    const { bytes } = this.#disk
    const live = [...this.#settledNow.values()].some((outcomes) => outcomes.some((outcome) => outcome < 0)) ? bytes : 0
    return { liveBytes: live, totalBytes: bytes } as WalMeasures
  }
  async close(): Promise<void> {
    this.commit()
    this.isClosed = true
  }

  // What tests do to it.

  /** Everything appended and settled so far is on the disk. */
  commit(): void {
    if (this.isClosed || this.failure !== null) return
    this.#disk.frames.push(...this.#open)
    this.#open = []
    for (const [frame, index, outcome] of this.#acks) frame.outcomes[index] = outcome
    this.#acks = []
    this.acceptedSettlements = this.#settlements
    const before = this.acceptedLsn
    this.acceptedLsn = this.#disk.lsn
    const commits = this.#commits
    this.#commits = []
    for (const commit of commits) commit.resolve()
    if (before !== this.acceptedLsn) this.onAccepted?.()
  }

  /** The process dies: of what is not committed, a prefix of the frames and of the outcomes survives. */
  crash(framesKept: number, acksKept: number): void {
    this.isClosed = true
    this.onAccepted = null
    this.onRoom = null
    this.#disk.frames.push(...this.#open.slice(0, framesKept))
    for (const [frame, index, outcome] of this.#acks.slice(0, acksKept)) frame.outcomes[index] = outcome
    const last = this.#disk.frames.at(-1)
    if (framesKept < this.#open.length && last !== undefined)
      this.#disk.nextPosition = Math.max(
        last.firstPosition + last.items.length,
        this.#open[framesKept]?.firstPosition ?? 0,
      )
  }

  /** Appended and not committed. */
  openItems(): Uint8Array[] {
    return this.#open.flatMap(({ items }) => items)
  }

  fail(): void {
    this.failure = walError('WAL_FAILED', 'the disk is gone')
    this.state = 'failed'
    const commits = this.#commits
    this.#commits = []
    for (const commit of commits) commit.reject(this.failure)
    this.#events.failed(this.failure)
  }

  #schedule(): void {
    if (this.#options.auto !== true || this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.commit()
    })
  }

  #settleOne(position: number, outcome: Outcome): void {
    for (const [frame, outcomes] of this.#settledNow) {
      const index = position - frame.firstPosition
      if (index < 0 || index >= frame.items.length) continue
      if (outcomes[index] !== -1) throw new MQError('PRODUCE_FAILED', `position ${position} is settled already`)
      outcomes[index] = outcome
      this.#acks.push([frame, index, outcome])
      return
    }
    throw new MQError('PRODUCE_FAILED', `position ${position} is unknown`)
  }

  #entryOf(frame: Frame): Entry {
    const unsettled = (this.#settledNow.get(frame) ?? []).filter((outcome) => outcome < 0).length
    return {
      lsn: frame.lsn,
      stream: 0,
      firstPosition: frame.firstPosition,
      count: frame.items.length,
      maxTimestampMs: 0,
      producerId: UNBOUND,
      epoch: -1,
      baseSequence: -1,
      part: 0,
      parts: 1,
      originLsn: 0,
      originIncarnation: 0,
      incarnation: frame.incarnation,
      segment: 1,
      at: 0,
      bodyBytes: bytesOf(frame.items),
      unsettled,
    }
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value & 0x7f) | 0x80)
  return Uint8Array.from([...bytes, value])
}
