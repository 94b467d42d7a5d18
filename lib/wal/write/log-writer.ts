/**
 * The writing part of a log: what an owner calls, checked, and handed to the open group.
 * Hot path: `appendItem` and `append`. Everything here is synchronous but for what waits for the disk.
 * Invariant: what `append` took is written, or its promise tells why not; nothing is taken that has no place.
 * Source: wal.md 3.
 */
import { MQError } from '../../errors/index.js'
import { assert, type TimerHandle } from '../../util/index.js'
import { walError } from '../errors.js'
import { decodeOpen, type OpenBody } from '../format/bodies/open.js'
import {
  CLOSE_BYTES,
  encodeClose,
  encodeIdentity,
  encodeStream,
  identityBytes,
  streamBytes,
} from '../format/bodies/small.js'
import { FRAME_HEADER_BYTES, FrameType, type Outcome } from '../format/constants.js'
import { viewOf } from '../format/view.js'
import type { LogTables } from '../state/tables.js'
import type { AppendedEntry, Entry, WalEvents, WalMeasures, WalOptions, WalParts, WalState } from '../types.js'
import { beginSegment, fileFor, noRoom } from './begin.js'
import { Composer } from './composer.js'
import { ENTRY_OVERHEAD_BYTES } from './draft.js'
import { Engine } from './engine.js'
import { EntryReader } from './entry-reader.js'
import { diskFailure, FileCalls } from './file-calls.js'
import { Gauges } from './gauges.js'
import { GroupPool } from './group.js'
import { type Limits, limitsOf } from './limits.js'
import { measuresOf } from './measures.js'
import { Progress } from './progress.js'
import { Relocator } from './relocator.js'
import { lockFacts } from './rotation.js'
import { Shelf } from './shelf.js'
import type { WriterStart } from './writer-start.js'

export type { StartSegment, WriterStart } from './writer-start.js'

/** Length of an item and padding of its frame. */
const ITEM_MORE_BYTES = 16
const CLOSE_TIMEOUT_MS = 30_000
const OUTCOMES = ['delivered', 'duplicate', 'rejected', 'dropped', 'lost'] as const

export class LogWriter {
  readonly maxBodyBytes: number
  readonly #options: WalOptions
  readonly #parts: WalParts
  readonly #limits: Limits
  readonly #tables: LogTables
  readonly #gauges: Gauges
  readonly #progress: Progress
  readonly #composer: Composer
  readonly #shelf: Shelf
  readonly #engine: Engine
  readonly #reader: EntryReader
  #isOpen = true
  #closing: Promise<void> | null = null
  /** What was admitted when it was last computed, and how full the open group was then. */
  #knownRoom = 0
  #knownOpenBytes = 0
  /** Of the line, when it was computed: room that was known before a group left is not the room there is. */
  #knownChanges = -1

  private constructor(
    options: WalOptions,
    parts: WalParts,
    limits: Limits,
    tables: LogTables,
    gauges: Gauges,
    progress: Progress,
    composer: Composer,
    shelf: Shelf,
    engine: Engine,
    reader: EntryReader,
  ) {
    this.#options = options
    this.#parts = parts
    this.#limits = limits
    this.#tables = tables
    this.#gauges = gauges
    this.#progress = progress
    this.#composer = composer
    this.#shelf = shelf
    this.#engine = engine
    this.#reader = reader
    this.maxBodyBytes = limits.maxBodyBytes
  }

  /**
   * Goes on where recovery ended; resolves when HOLE and OPEN frames are durable.
   * @throws MQError WAL_FAILED: the disk refused; WAL_FULL: no room for as much as the OPEN frame
   */
  static async start(options: WalOptions, parts: WalParts, events: WalEvents, start: WriterStart): Promise<LogWriter> {
    const { manifest, tables, incarnation, end, cut } = start
    const { dir, durability, minFreeBytes, scrub } = options
    assert(durability.length > 0, 'a log has a durability')
    const limits = limitsOf(options, manifest)
    const gauges = new Gauges()
    const calls = new FileCalls(parts.fs, gauges.countError)
    const last = end ?? cut ?? { lastLsn: 0, lastBodyCrc: 0 }
    const hasLosses = start.first.some(({ type }) => type === FrameType.hole)
    const attestedLsn = hasLosses ? (end?.attestedLsn ?? 0) : last.lastLsn
    const firstLsn = hasLosses ? last.lastLsn + start.first.length : 0
    const progress = new Progress(last.lastLsn, last.lastBodyCrc, attestedLsn, firstLsn)
    const { clock, logger, randomBytes } = parts
    const shelf = new Shelf({
      ...{ dir, manifest, limits, calls, clock, logger, randomBytes, incarnation, minFreeBytes, scrub },
    })
    try {
      const began = { dir, calls, limits, tables, progress, shelf }
      const current = await beginSegment(began, start)
      const pool = new GroupPool()
      const composer = new Composer(limits, pool, tables, clock, incarnation, last.lastLsn)
      const lock = await lockFacts(calls, dir)
      const base = { options, parts, events, limits, tables, gauges, progress, pool, composer, shelf, calls }
      const engine = new Engine({ ...base, incarnation, lock }, current)
      const inMemory = () => engine.line.inMemory
      const reader = new EntryReader(dir, calls, tables, (segment) => shelf.live.get(segment), inMemory)
      const writer = new LogWriter(options, parts, limits, tables, gauges, progress, composer, shelf, engine, reader)
      await writer.#begin(start, () => fileFor(began))
      return writer
    } catch (error) {
      await shelf.stop()
      throw error instanceof MQError ? error : diskFailure('opening', dir, error)
    }
  }

  async #begin(start: WriterStart, fileFor: () => Promise<string>): Promise<void> {
    const { maxBytes } = this.#options
    const engine = this.#engine
    const { line } = engine
    this.#shelf.onFreed = (segment) => this.#reader.forget(segment)
    engine.relocator = new Relocator({
      tables: this.#tables,
      limits: this.#limits,
      maxBytes,
      clock: this.#parts.clock,
      gauges: this.#gauges,
      read: (lsn) => this.#reader.read(lsn),
      append: (entry, content) => this.#relocate(entry, content),
      report: (error) =>
        this.#parts.logger.warn('live records of the oldest segment were not copied', { cause: error }),
    })
    let bytes = this.#limits.tailBytes
    for (const { type, body } of start.first) {
      this.#composer.frame(type, 0, body)
      bytes += FRAME_HEADER_BYTES + body.length + 8
    }
    if (line.current.at + bytes + this.#limits.tailBytes > this.#limits.segmentBytes && this.#shelf.spareCount === 0) {
      this.#shelf.giveBack(await fileFor())
    }
    line.syncAll()
    // Nobody can settle anything yet: what keeps a file from being had now would keep the opening waiting for ever.
    this.#shelf.onRefused = (error) => engine.fail(this.#noFile(error))
    try {
      if (this.#progress.durableLsn < this.#composer.lastLsn) await engine.waits.until(this.#composer.lastLsn)
    } catch (error) {
      await engine.shut()
      throw error
    } finally {
      this.#shelf.onRefused = () => {}
    }
    // Not sooner: a CHECKPOINT of a rotation on the way here would name this opening before its HOLE frames are there.
    this.#tables.opened(start.incarnation, start.incarnationId, openingOf(start))
    engine.isUnreserved = false
    this.#shelf.free(this.#progress.oldestSegment)
    this.#shelf.refill()
    engine.moved(false)
    line.pump()
  }

  #noFile(error: unknown): MQError {
    const { dir } = this.#options
    return error === null ? noRoom(dir, this.#limits) : diskFailure('making another segment in', dir, error)
  }

  get state(): WalState {
    return this.#progress.state
  }
  get failure(): MQError | null {
    return this.#progress.failure
  }
  get acceptedLsn(): number {
    return this.#progress.acceptedLsn
  }
  get acceptedSettlements(): number {
    return this.#progress.acceptedSettlements
  }
  get lastLsn(): number {
    return this.#composer.lastLsn
  }
  get isIdle(): boolean {
    return this.#engine.line.isIdle
  }
  get onAccepted(): (() => void) | null {
    return this.#engine.onAccepted
  }
  set onAccepted(listener: (() => void) | null) {
    this.#engine.onAccepted = listener
  }
  get onRoom(): (() => void) | null {
    return this.#engine.onRoom
  }
  set onRoom(listener: (() => void) | null) {
    this.#engine.onRoom = listener
  }

  streamOf(topic: string, topicId: string, partition: number): number {
    const known = this.#tables.streamOf(topic, topicId, partition)
    if (known !== undefined && (known.topicId !== '' || topicId === '')) return known.id
    this.#checkOpen()
    const id = known?.id ?? this.#tables.nextStreamId()
    const stream = { id, topic, topicId, partition }
    const body = new Uint8Array(streamBytes(stream))
    encodeStream(body, viewOf(body), 0, stream)
    this.#composer.frame(FrameType.stream, 0, body)
    this.#tables.defineStream(stream)
    this.#engine.checkpointBytes += body.length + 64
    this.#appended()
    return id
  }

  async defineIdentity(producerId: bigint, epoch: number, clusterId: string): Promise<void> {
    this.#checkOpen()
    const identity = { producerId, epoch, clusterId }
    const body = new Uint8Array(identityBytes(identity))
    encodeIdentity(body, viewOf(body), 0, identity)
    const lsn = this.#composer.frame(FrameType.identity, 0, body)
    this.#tables.defineIdentity(producerId, epoch, clusterId)
    this.#engine.checkpointBytes += body.length + 32
    await this.#durable(lsn)
  }

  admits(bytes: number): boolean {
    if (!this.#isOpen || this.#progress.failure !== null) return false
    const needed = bytes + ENTRY_OVERHEAD_BYTES + ITEM_MORE_BYTES
    if (needed <= this.#room(needed)) return true
    this.#engine.refused(needed)
    return false
  }

  append(entry: AppendedEntry, head: Uint8Array, body: Uint8Array): number {
    this.#admit(head.length + body.length)
    const lsn = this.#composer.append(entry, head, body)
    this.#gauges.appendedRecords += entry.count
    this.#gauges.appendedBytes += head.length + body.length
    this.#appended()
    return lsn
  }

  appendItem(stream: number, bytes: Uint8Array, length: number): number {
    if (!this.#composer.takes(stream, length)) this.#beginRun(stream, length)
    this.#gauges.appendedRecords++
    this.#gauges.appendedBytes += length
    return this.#composer.item(bytes, length)
  }

  bind(entryLsn: number, producerId: bigint, epoch: number, baseSequence: number): number {
    this.#checkOpen()
    assert(this.#tables.entry(entryLsn) !== undefined, 'an identity is bound to an unsettled entry')
    const lsn = this.#composer.bind(entryLsn, producerId, epoch, baseSequence)
    this.#appended()
    return lsn
  }

  settle(stream: number, from: number, to: number, outcome: Outcome, baseOffset: number): number {
    const changed = this.#composer.settle(stream, from, to, outcome, baseOffset)
    this.#gauges.settled[OUTCOMES[outcome]] += changed
    if (this.#progress.failure === null) this.#engine.line.settled()
    return this.#composer.settlements
  }

  flush(): void {
    if (this.#progress.failure === null) this.#engine.line.flush()
  }

  accepted(lsn: number): Promise<void> {
    const { acceptedLsn, failure } = this.#progress
    if (lsn <= acceptedLsn) return ACCEPTED
    if (failure !== null) return Promise.reject(failure)
    assert(lsn <= this.#composer.lastLsn, 'only what was appended is waited for')
    return this.#engine.line.groupOf(lsn).accepted
  }

  read(lsn: number): Promise<Uint8Array> {
    this.#composer.endRun()
    return this.#reader.read(lsn)
  }

  async sync(): Promise<void> {
    if (this.#progress.failure !== null) throw this.#progress.failure
    const { composer } = { composer: this.#composer }
    if (composer.isEmpty && composer.acks.size === 0 && this.#progress.durableLsn >= composer.lastLsn) return
    await this.#durable(0)
  }

  measures(): WalMeasures {
    return measuresOf({
      gauges: this.#gauges,
      progress: this.#progress,
      shelf: this.#shelf,
      tables: this.#tables,
      segmentBytes: this.#limits.segmentBytes,
      pendingBytes: this.#engine.line.pendingBytes,
      nowMs: this.#parts.clock.now(),
    })
  }

  /** Twice gives the same promise. @throws MQError WAL_FAILED: something of it did not reach the disk */
  close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs ?? CLOSE_TIMEOUT_MS)
    return this.#closing
  }

  // --- appending ---

  #admit(bytes: number): void {
    this.#checkOpen()
    if (bytes > this.maxBodyBytes) {
      throw walError(
        'WAL_FRAME_TOO_LARGE',
        `A batch of ${bytes} B does not fit into a frame of ${this.#limits.maxFrameBytes} B: raise wal.segmentBytes, or split it`,
        { bytes, maxBytes: this.maxBodyBytes },
      )
    }
    if (this.admits(bytes)) return
    this.#gauges.rejected++
    const { maxBytes, pendingMaxBytes, unsyncedMaxBytes, dir } = this.#options
    throw walError(
      'WAL_FULL',
      `${dir} takes no ${bytes} B now: ${this.#engine.line.pendingBytes} B are unwritten (wal.pendingMaxBytes ${pendingMaxBytes}), ${this.#progress.unsyncedBytes} B unsynced (wal.unsyncedMaxBytes ${unsyncedMaxBytes}), ${this.#shelf.readyCount} segments ready (wal.maxBytes ${maxBytes}): wait for room`,
      { bytes, path: dir, maxBytes },
    )
  }

  #beginRun(stream: number, length: number): void {
    this.#admit(length)
    if (this.#composer.openBytes >= this.#limits.groupCloseBytes) this.#closeOpen()
    const needed = length + ENTRY_OVERHEAD_BYTES + ITEM_MORE_BYTES
    this.#composer.beginRun(stream, length, Math.max(needed, this.#room(Number.POSITIVE_INFINITY)))
    this.#engine.line.appended()
  }

  #appended(): void {
    if (this.#composer.openBytes >= this.#limits.groupCloseBytes) this.#closeOpen()
    else this.#engine.line.appended()
  }

  #closeOpen(): void {
    this.#engine.line.closeOpen()
    this.#engine.line.pump()
  }

  /** Bytes admitted; what was known serves as long as it suffices for `needed`. */
  #room(needed: number): number {
    const { openBytes } = this.#composer
    const { changes } = this.#engine.line
    const rest = this.#knownRoom - (openBytes - this.#knownOpenBytes)
    if (this.#knownChanges === changes && needed <= rest) return rest
    this.#knownChanges = changes
    this.#knownRoom = this.#engine.roomBytes()
    this.#knownOpenBytes = openBytes
    return this.#knownRoom
  }

  #relocate(entry: Entry, content: Uint8Array): boolean {
    if (!this.#isOpen || this.#progress.failure !== null) return false
    const bytes = content.length + ENTRY_OVERHEAD_BYTES + ITEM_MORE_BYTES
    if (this.#engine.line.pendingBytes + bytes > this.#options.pendingMaxBytes) return false
    if (this.#shelf.readyCount === 0 && this.#engine.roomBytes() < bytes) return false
    this.#composer.relocate(entry, content)
    this.#appended()
    return true
  }

  async #durable(lsn: number): Promise<void> {
    const { line, waits } = this.#engine
    line.syncAll()
    await waits.until(Math.max(lsn, this.#composer.lastLsn))
  }

  #checkOpen(): void {
    if (this.#progress.failure !== null) throw this.#progress.failure
    if (!this.#isOpen)
      throw walError('WAL_FAILED', `The log ${this.#options.dir} is closed`, { path: this.#options.dir })
  }

  // --- the end ---

  async #close(timeoutMs: number): Promise<void> {
    this.#isOpen = false
    this.#composer.endRun()
    const { clock } = this.#parts
    let timer: TimerHandle | null = null
    const late = new Promise<never>((_resolve, reject) => {
      timer = clock.setTimer(() => reject(this.#late(timeoutMs)), timeoutMs)
    })
    try {
      await Promise.race([this.#ended(), late])
    } catch (error) {
      this.#engine.fail(error)
      throw error
    } finally {
      ;(timer as TimerHandle | null)?.cancel()
    }
  }

  async #ended(): Promise<void> {
    const engine = this.#engine
    try {
      if (this.#progress.failure !== null) throw this.#progress.failure
      engine.relocator?.stop()
      engine.isUnreserved = true
      engine.reclaimer.isStopped = true
      // CLOSE vouches for what is before it, so that must be synced when CLOSE is written, and not together with it.
      await this.sync()
      const body = new Uint8Array(CLOSE_BYTES)
      const lastLsn = Math.min(this.#composer.lastLsn, this.#progress.durableLsn)
      encodeClose(body, viewOf(body), 0, { lastLsn, unsettledRecords: this.#tables.unsettledRecords })
      const lsn = this.#composer.frame(FrameType.close, 0, body)
      await this.#durable(lsn)
      engine.line.stop(walError('WAL_FAILED', `The log ${this.#options.dir} is closed`))
    } finally {
      await engine.shut()
      this.#reader.close()
    }
  }

  #late(timeoutMs: number): MQError {
    const { dir } = this.#options
    const text = `The disk did not take all of ${dir} within ${timeoutMs} ms: what was not accepted may be lost`
    return walError('WAL_FAILED', text, { path: dir, timeoutMs, pendingBytes: this.#engine.line.pendingBytes })
  }
}

const ACCEPTED: Promise<void> = Promise.resolve()

/** What CHECKPOINT frames repeat of this opening: its own frame may be recycled before the next crash. */
function openingOf({ first }: WriterStart): OpenBody | null {
  const body = first.find(({ type }) => type === FrameType.open)?.body
  if (body === undefined) return null
  return decodeOpen(body, new DataView(body.buffer, body.byteOffset, body.byteLength), 0, body.length)
}
