/**
 * A log whose acceptance, room and failure are the test's to decide. Its tables are the real ones, so positions, parts
 * and unsettled entries are what a log would have; files there are none.
 * It watches its owner: violations of wal.md 1.2 and 2.5 are collected, and looked at by `check`.
 */
import type { Broker } from '../../../../lib/broker/index.js'
import type { MQError } from '../../../../lib/errors/index.js'
import { readBatchHeader } from '../../../../lib/protocol/index.js'
import { assert, crc32c, deferred } from '../../../../lib/util/index.js'
import {
  type AppendedEntry,
  type Entry,
  type IdentityFacts,
  type Outcome,
  type RecoveredLog,
  type StreamFacts,
  UNBOUND,
  type Wal,
  type WalEvents,
  type WalMeasures,
  type WalState,
  walError,
} from '../../../../lib/wal/index.js'
import { LogTables } from '../../../../lib/wal/state/tables.js'

const PREFIX_BYTES = 56
/** As many as a broker remembers. */
const REMEMBERED = 5

export interface Settled {
  readonly stream: number
  readonly from: number
  readonly to: number
  readonly outcome: Outcome
  readonly ticket: number
}

/** Of one stream: what touched the wire and is not settled in an accepted frame. */
type OnWire = Set<number>

export class ScriptedWal implements Wal {
  readonly dir = '/nowhere'
  readonly walId = 'scripted'
  readonly durability = 'immediate' as const
  readonly incarnation = 2
  readonly incarnationId = '00000000000000a2'
  readonly maxBodyBytes = 1024 * 1024
  readonly recovered: RecoveredLog
  state: WalState = 'open'
  failure: MQError | null = null
  acceptedLsn = 0
  acceptedSettlements = 0
  lastLsn = 0
  onAccepted: (() => void) | null = null
  onRoom: (() => void) | null = null
  events: WalEvents | null = null
  /** What it may hold of unsettled bodies. Bytes. */
  capacity = Number.POSITIVE_INFINITY
  /** Nothing may touch the wire without a frame; false: 'spill'. */
  isEager = true
  /** Nothing is accepted until `accept`. */
  isHeld = false
  /** Turns of the event loop between an append and its acceptance. */
  delay: () => number = () => 0
  /** What reading fails with, by LSN; asked each time. */
  readError: ((lsn: number) => Error | null) | null = null
  /** It breaks when an identity is written. */
  isIdentityRefused = false
  isClosed = false
  flushes = 0
  appends = 0
  binds = 0
  readonly settlements: Settled[] = []
  readonly violations: string[] = []
  readonly tables = new LogTables()
  readonly #bodies = new Map<number, Buffer>()
  /** By identity: the LSN of its content and the LSN of the frame that gave it. */
  readonly #givenBy = new Map<string, { readonly entry: number; readonly frame: number }>()
  readonly #families = new Map<number, { readonly parts: number; readonly lsns: number[] }>()
  readonly #familyOf = new Map<number, number>()
  readonly #onWire = new Map<number, OnWire>()
  #settlements = 0
  #isCommitDue = false
  #broker: Broker | null = null
  #seenRequests = 0

  constructor(broker: Broker | null = null) {
    this.#broker = broker
    this.recovered = {
      isNew: true,
      isClean: true,
      previous: null,
      clusterId: '',
      entries: 0,
      records: 0,
      tornBytes: 0,
      discardedUnaccepted: 0,
      holes: [],
      scannedBytes: 0,
      scanMs: 0,
    }
  }

  // --- the test's side ---------------------------------------------------------------------------------------------

  /** Accepts everything there is now. */
  accept(): void {
    this.look()
    if (this.failure !== null) return
    this.acceptedLsn = this.lastLsn
    this.acceptedSettlements = this.#settlements
    this.onAccepted?.()
  }

  release(): void {
    this.isHeld = false
    this.accept()
  }

  fail(text = 'the disk is gone'): MQError {
    const error = walError('WAL_FAILED', text)
    this.look()
    this.failure = error
    this.state = 'failed'
    this.events?.failed(error)
    return error
  }

  giveRoom(capacity = Number.POSITIVE_INFINITY): void {
    this.capacity = capacity
    this.onRoom?.()
  }

  get unsettled(): readonly Entry[] {
    return [...this.tables.streams.keys()].flatMap((id) => [...this.tables.entriesOf(id)])
  }

  get unsettledBytes(): number {
    return this.unsettled.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)
  }

  /** Looks at what reached brokers since the last time: all of it must be accepted by now (C1, 2.6, C4). */
  look(): void {
    this.#checkOrder()
    if (this.#broker === null || this.failure !== null) return
    const requests = this.#broker.requests({ api: 'Produce' })
    for (const { body } of requests.slice(this.#seenRequests)) {
      const { topicData } = body as { topicData: { partitionData: { index: number; records: Uint8Array }[] }[] }
      for (const { partitionData } of topicData) {
        for (const { index, records } of partitionData) this.#onTheWire(index, Buffer.from(records))
      }
    }
    this.#seenRequests = requests.length
  }

  /** What one write shows: every bound unsettled entry of a stream precedes every unbound one (2.5). */
  #checkOrder(): void {
    if (this.failure !== null) return
    const isBound = (one: Entry) => one.producerId !== UNBOUND
    for (const { id } of this.streams) {
      const entries = this.tables.entriesOf(id)
      const firstUnbound = entries.findIndex((one) => !isBound(one))
      const behind = firstUnbound < 0 ? undefined : entries.slice(firstUnbound).find(isBound)
      if (behind !== undefined) this.#wrong(`2.5: LSN ${behind.lsn} of stream ${id} is bound behind one that is not`)
    }
  }

  #onTheWire(partition: number, bytes: Buffer): void {
    const header = readBatchHeader(bytes, 0, false)
    if (header === 'partial') throw new Error('half a batch on the wire')
    const { producerId, producerEpoch, baseSequence } = header
    const name = `${partition} ${producerId} ${producerEpoch} ${baseSequence}`
    const given = this.#givenBy.get(name)
    if (given === undefined && !this.isEager) return
    if (given === undefined) return this.#wrong(`C1: ${name} is on the wire, and no frame has it`)
    if (given.entry > this.acceptedLsn || given.frame > this.acceptedLsn) {
      this.#wrong(`C1: ${name} is on the wire before LSN ${given.frame} is accepted (${this.acceptedLsn} is)`)
    }
    const body = this.#bodies.get(given.entry) as Buffer
    if (crc32c(body.subarray(61)) !== crc32c(bytes.subarray(61))) this.#wrong(`C2: ${name} has other content`)
    const family = this.#families.get(this.#familyOf.get(given.entry) ?? -1)
    const isWhole = family === undefined || family.lsns.length === family.parts
    if (!isWhole || family?.lsns.some((lsn) => lsn > this.acceptedLsn)) {
      this.#wrong(`2.6: a part (LSN ${given.entry}) is on the wire before all of its split are accepted`)
    }
    const lsns = this.#onWire.get(partition) ?? new Set()
    this.#onWire.set(partition, lsns)
    lsns.add(given.entry)
    for (const lsn of lsns) if (this.#isSettledForGood(lsn)) lsns.delete(lsn)
    if (lsns.size > REMEMBERED) this.#wrong(`C4: ${lsns.size} batches of partition ${partition} are not acknowledged`)
  }

  #isSettledForGood(lsn: number): boolean {
    if (this.tables.entry(lsn) !== undefined) return false
    const last = this.#lastTicketOf.get(lsn)
    return last === undefined || last <= this.acceptedSettlements
  }

  readonly #lastTicketOf = new Map<number, number>()

  #wrong(what: string): void {
    this.violations.push(what)
  }

  // --- Wal ---------------------------------------------------------------------------------------------------------

  get isIdle(): boolean {
    return this.acceptedLsn === this.lastLsn
  }

  streamOf(topic: string, topicId: string, partition: number): number {
    this.#checkOpen()
    const known = this.tables.streamOf(topic, topicId, partition)
    if (known !== undefined) return known.id
    const id = this.tables.nextStreamId()
    this.tables.defineStream({ id, topic, topicId, partition })
    return id
  }

  stream(id: number): StreamFacts | undefined {
    return this.tables.streams.get(id)
  }

  get streams(): Iterable<StreamFacts> {
    return this.tables.streams.values()
  }

  get identities(): readonly IdentityFacts[] {
    return this.tables.identities
  }

  async defineIdentity(producerId: bigint, epoch: number, clusterId: string): Promise<void> {
    this.#checkOpen()
    if (this.isIdentityRefused) throw this.fail('no identity is written')
    this.tables.defineIdentity(producerId, epoch, clusterId)
    for (let turns = this.delay(); turns >= 0; turns--) await new Promise<void>((resolve) => setImmediate(resolve))
    if (this.failure !== null) throw this.failure
  }

  admits(bytes: number): boolean {
    return this.failure === null && this.unsettledBytes + this.#voidBytes + bytes <= this.capacity
  }

  append(entry: AppendedEntry, head: Uint8Array, body: Uint8Array): number {
    this.#checkOpen()
    if (!this.admits(head.length + body.length)) throw walError('WAL_FULL', 'no room')
    assert(entry.parts < 256 && entry.part < entry.parts, 'a frame has one byte for each')
    const lsn = ++this.lastLsn
    this.appends++
    entry.lsn = lsn
    entry.firstPosition = this.tables.firstPositionOf(entry.stream, entry.part, entry.parts, entry.originLsn)
    const bytes = Buffer.concat([head, body])
    this.#bodies.set(lsn, bytes)
    if (entry.parts > 1) this.#ofFamily(entry)
    this.tables.appended({
      ...entry,
      originIncarnation: 0,
      incarnation: this.incarnation,
      segment: 1,
      at: 0,
      bodyBytes: bytes.length + PREFIX_BYTES,
      unsettled: entry.count,
    })
    this.#given(entry.stream, lsn, lsn, entry)
    this.#commit()
    return lsn
  }

  /** Of parts whose siblings are not there. */
  get #voidBytes(): number {
    let sum = 0
    for (const { parts, lsns } of this.#families.values()) {
      if (lsns.length < parts) for (const lsn of lsns) sum += (this.#bodies.get(lsn) as Buffer).length
    }
    return sum
  }

  #ofFamily({ originLsn, part, parts, lsn }: AppendedEntry): void {
    const family = this.#families.get(originLsn)
    if (part === 0 || family === undefined) this.#families.set(originLsn, { parts, lsns: [lsn] })
    else family.lsns.push(lsn)
    this.#familyOf.set(lsn, originLsn)
  }

  appendItem(): number {
    throw new Error('a producer appends batches')
  }

  bind(entryLsn: number, producerId: bigint, epoch: number, baseSequence: number): number {
    this.#checkOpen()
    const entry = this.tables.entry(entryLsn)
    assert(entry !== undefined, 'an identity is bound to an unsettled entry')
    this.look()
    const lsn = ++this.lastLsn
    this.binds++
    this.tables.bound(entryLsn, producerId, epoch, baseSequence)
    // New numbers are for what the broker refused: nothing of it is outstanding.
    for (const lsns of this.#onWire.values()) lsns.delete(entryLsn)
    this.#given(entry.stream, entryLsn, lsn, { producerId, epoch, baseSequence })
    this.#commit()
    return lsn
  }

  #given(
    stream: number,
    entry: number,
    frame: number,
    { producerId, epoch, baseSequence }: Pick<AppendedEntry, 'producerId' | 'epoch' | 'baseSequence'>,
  ): void {
    if (producerId === UNBOUND) return
    const { partition } = this.tables.streams.get(stream) as StreamFacts
    const name = `${partition} ${producerId} ${epoch} ${baseSequence}`
    const known = this.#givenBy.get(name)
    if (known !== undefined && known.entry !== entry) {
      this.#wrong(`C2: identity ${name} is of LSN ${known.entry} and of LSN ${entry}`)
    }
    this.#givenBy.set(name, { entry, frame })
  }

  settle(stream: number, from: number, to: number, outcome: Outcome, baseOffset: number): number {
    const ticket = ++this.#settlements
    for (const { lsn, firstPosition } of this.tables.entriesOf(stream)) {
      if (firstPosition >= from && firstPosition <= to) this.#lastTicketOf.set(lsn, ticket)
    }
    const count = this.tables.settled(stream, from, to, outcome, baseOffset)
    if (count !== to - from + 1) this.#wrong(`positions ${from}..${to} of stream ${stream} were settled before`)
    this.settlements.push({ stream, from, to, outcome, ticket })
    this.#commit()
    return ticket
  }

  flush(): void {
    this.flushes++
  }

  async accepted(lsn: number): Promise<void> {
    const turn = deferred<void>()
    const wait = () => {
      if (this.failure !== null) turn.reject(this.failure)
      else if (this.acceptedLsn >= lsn) turn.resolve()
      else setImmediate(wait)
    }
    wait()
    await turn.promise
  }

  entriesOf(stream: number): readonly Entry[] {
    return this.tables.entriesOf(stream)
  }

  entry(lsn: number): Entry | undefined {
    return this.tables.entry(lsn)
  }

  async read(lsn: number): Promise<Uint8Array> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    const error = this.readError?.(lsn) ?? null
    if (error !== null) throw error
    const body = this.#bodies.get(lsn)
    if (body === undefined || this.tables.entry(lsn) === undefined) throw walError('WAL_FAILED', `no entry ${lsn}`)
    return Uint8Array.from(body)
  }

  async sync(): Promise<void> {}

  measures(): WalMeasures {
    const measures: Partial<WalMeasures> = {
      unsettledRecords: this.tables.unsettledRecords,
      segments: { live: 1, spare: 0 },
      errors: new Map(),
    }
    return measures as WalMeasures
  }

  async close(): Promise<void> {
    this.look()
    this.isClosed = true
  }

  #checkOpen(): void {
    if (this.failure !== null) throw this.failure
    if (this.isClosed) throw walError('WAL_FAILED', 'this log is closed')
  }

  #commit(): void {
    if (this.isHeld || this.#isCommitDue) return
    this.#isCommitDue = true
    const { lastLsn } = this
    let left = this.delay()
    const turn = () => {
      if (left-- > 0) return void setImmediate(turn)
      this.#isCommitDue = false
      if (this.isHeld || this.failure !== null || this.isClosed) return
      this.look()
      this.acceptedLsn = Math.max(this.acceptedLsn, lastLsn, this.delay() === 0 ? this.lastLsn : lastLsn)
      this.acceptedSettlements = this.#settlements
      this.onAccepted?.()
      if (this.capacity < Number.POSITIVE_INFINITY) this.onRoom?.()
      if (this.acceptedLsn < this.lastLsn) this.#commit()
    }
    setImmediate(turn)
  }
}

export function locked(): MQError {
  return walError('WAL_LOCKED', 'another process has this log')
}
