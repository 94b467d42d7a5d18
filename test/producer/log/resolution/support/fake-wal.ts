/**
 * A log over arrays, as a crash left it: streams, entries with their identities, acknowledgements, and what is settled
 * now. Written without the code of lib/wal, so that one mistake cannot hide the other.
 */
import type { MQError } from '../../../../../lib/errors/index.js'
import type {
  AckedIdentity,
  Entry,
  IdentityFacts,
  Outcome,
  RecoveredLog,
  StreamFacts,
  Wal,
} from '../../../../../lib/wal/index.js'
import { UNBOUND } from '../../../../../lib/wal/index.js'

export interface FakeStream extends StreamFacts {
  readonly acked: AckedIdentity[]
}

export interface Settlement {
  readonly stream: number
  readonly from: number
  readonly to: number
  readonly outcome: Outcome
  readonly baseOffset: number
}

export interface EntrySpec {
  readonly producerId?: bigint
  readonly epoch?: number
  readonly baseSequence?: number
  readonly count: number
  readonly maxTimestampMs: number
  readonly incarnation?: number
  /** The batch, as the frame holds it; an error: what reading it fails with. */
  readonly bytes: Uint8Array | MQError
}

const PREVIOUS = {
  incarnation: 1,
  incarnationId: '00000000000000a1',
  durability: 'immediate',
  host: 'host',
  pid: 7,
  openedAtMs: 0,
  mayHaveLostPower: false,
  isOtherHost: false,
} as const

type Used = Pick<
  Wal,
  'incarnation' | 'recovered' | 'streams' | 'identities' | 'entriesOf' | 'read' | 'settle' | 'stream' | 'entry'
>

export class FakeWal implements Used {
  readonly incarnation = 2
  readonly identities: IdentityFacts[] = []
  readonly settlements: Settlement[] = []
  /** LSNs in the order in which their bytes were read. */
  readonly reads: number[] = []
  recovered: RecoveredLog
  readonly #streams: FakeStream[] = []
  readonly #entries: Entry[] = []
  readonly #bodies = new Map<number, Uint8Array | MQError>()
  #lsn = 10

  constructor(previous: Partial<NonNullable<RecoveredLog['previous']>> = {}, clusterId = '') {
    this.recovered = {
      isNew: false,
      isClean: false,
      previous: { ...PREVIOUS, ...previous },
      clusterId,
      entries: 0,
      records: 0,
      tornBytes: 0,
      discardedUnaccepted: 0,
      holes: [],
      scannedBytes: 0,
      scanMs: 0,
    }
  }

  /** The whole interface: what resolution must not call is missing, and fails. */
  get wal(): Wal {
    return this as unknown as Wal
  }

  get streams(): readonly FakeStream[] {
    return this.#streams
  }

  addStream(topic: string, topicId: string, partition: number, nextPosition = 0): FakeStream {
    const id = this.#streams.length + 1
    const facts = { topic, topicId, partition, nextPosition, settledThrough: nextPosition, lastAckedOffset: -1 }
    const stream: FakeStream = { id, ...facts, acked: [] }
    this.#streams.push(stream)
    return stream
  }

  add(stream: FakeStream, spec: EntrySpec): Entry {
    const lsn = this.#lsn++
    const entry: Entry = {
      lsn,
      stream: stream.id,
      firstPosition: stream.nextPosition,
      count: spec.count,
      maxTimestampMs: spec.maxTimestampMs,
      producerId: spec.producerId ?? UNBOUND,
      epoch: spec.epoch ?? -1,
      baseSequence: spec.baseSequence ?? -1,
      part: 0,
      parts: 1,
      originLsn: 0,
      originIncarnation: 0,
      incarnation: spec.incarnation ?? 1,
      segment: 1,
      at: 0,
      bodyBytes: spec.bytes instanceof Uint8Array ? spec.bytes.length + 56 : 56,
      unsettled: spec.count,
    }
    stream.nextPosition += spec.count
    this.#entries.push(entry)
    this.#bodies.set(lsn, spec.bytes)
    return entry
  }

  /** A power loss took these, the newest of their stream. */
  cut(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#entries.splice(this.#entries.indexOf(entry), 1)
      const stream = this.#streams.find(({ id }) => id === entry.stream)
      if (stream !== undefined) stream.nextPosition -= entry.count
    }
  }

  stream(id: number): StreamFacts | undefined {
    return this.#streams.find((stream) => stream.id === id)
  }

  entry(lsn: number): Entry | undefined {
    return this.#entries.find((entry) => entry.lsn === lsn && entry.unsettled > 0)
  }

  entriesOf(stream: number): readonly Entry[] {
    return this.#entries.filter((entry) => entry.stream === stream && entry.unsettled > 0)
  }

  read(lsn: number): Promise<Uint8Array> {
    this.reads.push(lsn)
    const body = this.#bodies.get(lsn)
    return body instanceof Uint8Array ? Promise.resolve(body) : Promise.reject(body)
  }

  settle(stream: number, from: number, to: number, outcome: Outcome, baseOffset: number): number {
    const facts = this.#streams.find(({ id }) => id === stream)
    if (facts === undefined) throw new Error(`no stream ${stream}`)
    for (const entry of this.#entries) {
      if (entry.stream !== stream || entry.firstPosition < from || entry.firstPosition > to) continue
      if (entry.unsettled === 0) throw new Error(`LSN ${entry.lsn} was settled twice`)
      entry.unsettled = 0
      if (outcome <= 1) this.#acknowledge(facts, entry)
    }
    if (outcome <= 1 && baseOffset >= 0) facts.lastAckedOffset = Math.max(facts.lastAckedOffset, baseOffset + to - from)
    this.settlements.push({ stream, from, to, outcome, baseOffset })
    return this.settlements.length
  }

  #acknowledge({ acked }: FakeStream, { producerId, epoch, baseSequence, count, maxTimestampMs }: Entry): void {
    const lastAckedSequence = (baseSequence + count - 1) % 2 ** 31
    const known = acked.find((one) => one.producerId === producerId && one.epoch === epoch)
    if (known === undefined) acked.push({ producerId, epoch, lastAckedSequence, maxTimestampMs })
    else known.lastAckedSequence = lastAckedSequence
  }
}
