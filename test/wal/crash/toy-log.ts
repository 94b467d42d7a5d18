/**
 * The smallest log that keeps the promise of `immediate`, on one file: what the enumeration is tried on before it
 * tries the real one. Each of its `omissions` leaves out one step; the enumeration must find every one.
 * Frame: u32 checksum, u32 length of the body, u32 type, u32 LSN, 16 B unused, body. Groups begin at sectors.
 */
import { crc32c } from '../../../lib/util/index.js'
import type { AppendedEntry, Entry, StreamFacts, Wal, WalFs, WalOptions, WalParts } from '../../../lib/wal/index.js'
import { WAL_DIR } from '../../support/wal-sim/index.js'
import type { Recovered } from './judge.js'

export type Omission = 'none' | 'sync' | 'checksum' | 'sectors' | 'directory' | 'acks' | 'tail'

const FILE = `${WAL_DIR}/0000000000000001.wal`
const FILE_BYTES = 131_072
const SECTOR = 512
const HEADER = 32
const PREFIX = 56
const BATCH = 1
const ACK = 2

class ToyState {
  readonly streams = new Map<number, StreamFacts>()
  readonly entries = new Map<number, Entry[]>()
  readonly settled = new Map<number, Set<number>>()
  lastLsn = 0
  end = 0

  stream(id: number): StreamFacts {
    let facts = this.streams.get(id)
    if (facts === undefined) {
      facts = {
        id,
        topic: `topic-${id}`,
        topicId: '',
        partition: id,
        nextPosition: 0,
        settledThrough: 0,
        lastAckedOffset: -1,
        acked: [],
      }
      this.streams.set(id, facts)
      this.entries.set(id, [])
      this.settled.set(id, new Set())
    }
    return facts
  }

  batch(entry: Entry): void {
    this.stream(entry.stream).nextPosition = entry.firstPosition + entry.count
    this.entries.get(entry.stream)?.push(entry)
  }

  ack(stream: number, from: number, to: number): void {
    this.stream(stream)
    const settled = this.settled.get(stream)!
    for (let at = from; at <= to; at++) settled.add(at)
    const left = this.entries.get(stream)!.filter((entry) => {
      entry.unsettled = 0
      for (let at = 0; at < entry.count; at++) if (!settled.has(entry.firstPosition + at)) entry.unsettled++
      return entry.unsettled > 0
    })
    this.entries.set(stream, left)
  }
}

type Call<T> = (done: (error: Error | null, value?: T) => void) => void

function call<T>(start: Call<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error === null ? resolve(value as T) : reject(error)))
  })
}

async function scan(fs: WalFs, omission: Omission): Promise<ToyState> {
  const state = new ToyState()
  const bytes = new Uint8Array(FILE_BYTES)
  const view = new DataView(bytes.buffer)
  const fd = await call<number>((done) => fs.open(FILE, 'read', done))
  await call<number>((done) => fs.read(fd, bytes, 0, done))
  await call<void>((done) => fs.close(fd, done))
  for (let at = 0; at + HEADER < FILE_BYTES; ) {
    const length = view.getUint32(at + 4, true)
    const lsn = view.getUint32(at + 12, true)
    const isNext = length > 0 && at + HEADER + length <= FILE_BYTES && lsn === state.lastLsn + 1
    const isGood =
      isNext &&
      (omission === 'checksum' || view.getUint32(at, true) === crc32c(bytes.subarray(at + 4, at + HEADER + length)))
    if (!isGood) {
      at += SECTOR - (at % SECTOR)
      continue
    }
    apply(state, view, at, view.getUint32(at + 8, true), lsn, length)
    at += HEADER + length
    state.end = at
    state.lastLsn = lsn
  }
  return state
}

function apply(state: ToyState, view: DataView, at: number, type: number, lsn: number, bodyBytes: number): void {
  const body = at + HEADER
  const stream = view.getUint32(body, true)
  if (type === ACK) {
    state.ack(stream, view.getUint32(body + 4, true), view.getUint32(body + 8, true))
    return
  }
  const count = view.getUint32(body + 4, true)
  state.batch({
    lsn,
    stream,
    firstPosition: view.getUint32(body + 8, true),
    count,
    maxTimestampMs: 0,
    producerId: view.getBigInt64(body + 24, true),
    epoch: view.getInt16(body + 32, true),
    baseSequence: view.getInt32(body + 36, true),
    part: 0,
    parts: 1,
    originLsn: 0,
    originIncarnation: 0,
    incarnation: 1,
    segment: 1,
    at,
    bodyBytes,
    unsettled: count,
  })
}

export async function surveyToy(fs: WalFs, omission: Omission): Promise<Recovered> {
  const state = await scan(fs, omission)
  return recoveredOf(state)
}

function recoveredOf(state: ToyState): Recovered {
  return {
    stream: (id) => state.streams.get(id),
    entriesOf: (id) => state.entries.get(id) ?? [],
    streamIds: state.streams.keys(),
    isReported: () => false,
  }
}

export async function openToy(_options: WalOptions, parts: WalParts, omission: Omission): Promise<Wal> {
  const { fs } = parts
  const names = await call<string[]>((done) => fs.readdir(WAL_DIR, done))
  if (!names.includes('0000000000000001.wal')) await make(fs, omission)
  const state = await scan(fs, omission)
  const fd = await call<number>((done) => fs.open(FILE, 'write', done))
  const at = Math.ceil(state.end / SECTOR) * SECTOR
  if (omission !== 'tail') {
    await call<number>((done) => fs.write(fd, new Uint8Array(FILE_BYTES - at), at, done))
    await call<void>((done) => fs.fdatasync(fd, done))
  }
  return new ToyLog(parts, state, fd, omission) as unknown as Wal
}

async function make(fs: WalFs, omission: Omission): Promise<void> {
  const names = await call<string[]>((done) => fs.readdir(WAL_DIR, done))
  if (names.includes('tmp')) await call<void>((done) => fs.unlink(`${WAL_DIR}/tmp`, done))
  const fd = await call<number>((done) => fs.open(`${WAL_DIR}/tmp`, 'create', done))
  await call<number>((done) => fs.write(fd, new Uint8Array(FILE_BYTES), 0, done))
  await call<void>((done) => fs.fdatasync(fd, done))
  await call<void>((done) => fs.rename(`${WAL_DIR}/tmp`, FILE, done))
  if (omission !== 'directory') await call<void>((done) => fs.fsyncDir(WAL_DIR, done))
  await call<void>((done) => fs.close(fd, done))
}

class ToyLog {
  onAccepted: (() => void) | null = null
  acceptedLsn: number
  acceptedSettlements = 0
  lastLsn: number
  readonly state = 'open'
  readonly recovered = { holes: [] }
  readonly #parts: WalParts
  readonly #state: ToyState
  readonly #fd: number
  readonly #omission: Omission
  #at: number
  #open: { type: number; lsn: number; body: Uint8Array; entry: Entry | null }[] = []
  #settlements = 0
  #isBusy = false
  #waiters: { lsn: number; settlements: number; resolve: () => void }[] = []

  constructor(parts: WalParts, state: ToyState, fd: number, omission: Omission) {
    this.#parts = parts
    this.#state = state
    this.#fd = fd
    this.#omission = omission
    this.#at = Math.ceil(state.end / SECTOR) * SECTOR
    this.lastLsn = state.lastLsn
    this.acceptedLsn = state.lastLsn
  }

  get streams(): Iterable<StreamFacts> {
    return this.#state.streams.values()
  }
  streamOf(_topic: string, _topicId: string, partition: number): number {
    return this.#state.stream(partition).id
  }
  stream(id: number): StreamFacts | undefined {
    return this.#state.streams.get(id)
  }
  entriesOf(id: number): readonly Entry[] {
    return this.#state.entries.get(id) ?? []
  }
  async defineIdentity(): Promise<void> {}
  admits(bytes: number): boolean {
    const open = this.#open.reduce((sum, frame) => sum + HEADER + frame.body.length, 0)
    return this.#at + open + bytes + 8192 < FILE_BYTES
  }

  append(entry: AppendedEntry, head: Uint8Array, body: Uint8Array): number {
    const bytes = new Uint8Array(PREFIX + head.length + body.length)
    const view = new DataView(bytes.buffer)
    entry.lsn = ++this.lastLsn
    entry.firstPosition = this.#state.stream(entry.stream).nextPosition
    view.setUint32(0, entry.stream, true)
    view.setUint32(4, entry.count, true)
    view.setUint32(8, entry.firstPosition, true)
    view.setBigInt64(24, entry.producerId, true)
    view.setInt16(32, entry.epoch, true)
    view.setInt32(36, entry.baseSequence, true)
    bytes.set(head, PREFIX)
    bytes.set(body, PREFIX + head.length)
    const kept = { ...entry, incarnation: 1, originIncarnation: 0, segment: 1, at: -1, bodyBytes: bytes.length }
    const full: Entry = { ...kept, unsettled: entry.count }
    this.#state.batch(full)
    this.#push(BATCH, entry.lsn, bytes, full)
    return entry.lsn
  }

  settle(stream: number, from: number, to: number): number {
    const bytes = new Uint8Array(16)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, stream, true)
    view.setUint32(4, from, true)
    view.setUint32(8, to, true)
    this.#state.ack(stream, from, to)
    this.#push(ACK, ++this.lastLsn, bytes, null)
    return ++this.#settlements
  }

  bind(): number {
    throw new Error('the toy has no BIND')
  }
  flush(): void {
    this.#pump()
  }
  accepted(lsn: number): Promise<void> {
    return this.#reached(lsn, 0)
  }
  sync(): Promise<void> {
    this.flush()
    return this.#reached(this.lastLsn, this.#settlements)
  }
  async close(): Promise<void> {
    await this.sync()
    await call<void>((done) => this.#parts.fs.close(this.#fd, done))
  }

  #reached(lsn: number, settlements: number): Promise<void> {
    if (this.acceptedLsn >= lsn && this.acceptedSettlements >= settlements) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiters.push({ lsn, settlements, resolve })
    })
  }

  #push(type: number, lsn: number, body: Uint8Array, entry: Entry | null): void {
    this.#open.push({ type, lsn, body, entry })
    this.#parts.clock.defer(() => this.#pump())
  }

  #pump(): void {
    if (this.#isBusy || this.#open.length === 0) return
    this.#isBusy = true
    const frames = this.#open
    this.#open = []
    const bytes = new Uint8Array(frames.reduce((sum, frame) => sum + HEADER + frame.body.length, 0))
    const view = new DataView(bytes.buffer)
    let at = 0
    for (const { type, lsn, body, entry } of frames) {
      view.setUint32(at + 4, body.length, true)
      view.setUint32(at + 8, type, true)
      view.setUint32(at + 12, lsn, true)
      bytes.set(body, at + HEADER)
      view.setUint32(at, crc32c(bytes.subarray(at + 4, at + HEADER + body.length)), true)
      if (entry !== null) entry.at = this.#at + at
      at += HEADER + body.length
    }
    void this.#commit(bytes, frames[frames.length - 1]!.lsn, this.#settlements)
  }

  async #commit(bytes: Uint8Array, lsn: number, settlements: number): Promise<void> {
    const { fs } = this.#parts
    const at = this.#at
    this.#at += bytes.length
    if (this.#omission !== 'sectors') this.#at = Math.ceil(this.#at / SECTOR) * SECTOR
    await call<number>((done) => fs.write(this.#fd, bytes, at, done))
    if (this.#omission === 'acks') this.acceptedSettlements = this.#settlements
    if (this.#omission !== 'sync') await call<void>((done) => fs.fdatasync(this.#fd, done))
    this.acceptedLsn = lsn
    this.acceptedSettlements = Math.max(settlements, this.acceptedSettlements)
    this.#isBusy = false
    this.onAccepted?.()
    const ready = this.#waiters.filter((it) => it.lsn <= lsn && it.settlements <= this.acceptedSettlements)
    this.#waiters = this.#waiters.filter((it) => !ready.includes(it))
    for (const { resolve } of ready) resolve()
    this.#pump()
  }
}
