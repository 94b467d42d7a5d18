/**
 * The line from closed groups to the disk: one positional write per group, syncs beside later writes, acceptance in
 * order. Hot path (per group); callbacks are bound once.
 *
 *   open ─> queue ─> writing ─> written (accepted: os, periodic, spill) ─> synced (accepted: immediate) ─> pool
 *
 * Invariants: at most one write and one sync are on their way; a sync covers only what was written before it began and
 * begins at a sector boundary behind a PAD, so no sector that holds durable frames is written again; acceptance goes in
 * LSN order; after an error the file's descriptor is never used again.
 * Longer than other files: writes, syncs and acceptance are one state machine, whose steps call each other.
 * Source: wal.md 2.4, 3.3, 3.4, 3.5, 3.7.
 */
import { assert, type Clock, Deque, type TimerHandle } from '../../util/index.js'
import { FRAME_HEADER_BYTES, FrameType } from '../format/constants.js'
import { frameBytes } from '../format/frame.js'
import type { WalFs } from '../fs.js'
import type { LogTables } from '../state/tables.js'
import type { WalOptions } from '../types.js'
import type { Composer } from './composer.js'
import {
  draftEnd,
  draftLsn,
  draftType,
  entryLsnOf,
  hasOwnLsn,
  holdsEntry,
  padBytes,
  putDraft,
  sealGroup,
} from './draft.js'
import { shortWrite } from './file-calls.js'
import type { Gauges } from './gauges.js'
import type { Group, GroupPool } from './group.js'
import type { Limits } from './limits.js'
import type { Progress } from './progress.js'
import type { SegmentFile } from './segment-file.js'
import { SlowSync } from './slow-sync.js'

/** Idle this long with a sync that no frame attests: an empty PAD is written. Milliseconds. */
const ATTEST_MS = 5

export interface LineParts {
  readonly fs: WalFs
  readonly clock: Clock
  readonly options: WalOptions
  readonly limits: Limits
  readonly tables: LogTables
  readonly composer: Composer
  readonly pool: GroupPool
  readonly gauges: Gauges
  readonly progress: Progress
  readonly incarnation: number
}

/** What the line asks of, and tells, the rest of the writer. */
export interface LineHooks {
  /** A unit that goes before the queue (the CHECKPOINT of a reclaim), or null. */
  urgent(): Group | null
  /** A group does not fit into the current segment: rotate, or wait for a file. */
  full(isUrgent: boolean): void
  /** Bytes of the current segment that this group may use up to. */
  usableEnd(group: Group): number
  /** A file cannot be trusted any more. The line stands still until `resume`. */
  broken(error: NodeJS.ErrnoException, file: SegmentFile, call: string): void
  /** The previous segment is durable to its end: its descriptor is not needed any more. */
  finished(file: SegmentFile): void
  /** A group is in its file; marks know it, nobody was told yet. */
  noted(group: Group): void
  /** After each write and each sync: marks moved. Last of all, so the owner may be called from here. */
  moved(hasAccepted: boolean): void
  slow(ms: number): void
}

interface SyncMark {
  file: SegmentFile
  lsn: number
  bodyCrc: number
  bytes: number
  isLast: boolean
  startedMs: number
}

export class CommitLine {
  readonly #parts: LineParts
  readonly #hooks: LineHooks
  readonly #isImmediate: boolean
  readonly #queue = new Deque<Group>()
  #queuedBytes = 0
  #writing: Group | null = null
  #writeStartedMs = 0
  #sync: SyncMark | null = null
  /** Written and not accepted, in order. */
  readonly #unaccepted: Group[] = []
  /** Written and not durable, in order; small ones put together. */
  #retained: Group[] = []
  /** The last retained group belongs to a sync that has begun: nothing is added to it. */
  #isRetainedCut = false
  current: SegmentFile
  previous: SegmentFile | null = null
  /** Why nothing is begun: a rotation, a rescue, the end. */
  isHeld = false
  isBroken = false
  wantsSync = false
  /** Rises with everything that moves room from one place to another: a group closed, a write begun or ended, a segment. */
  changes = 0
  #isDue = false
  #isFlushSet = false
  #isStopped = false
  #waitTimer: TimerHandle | null = null
  #ackTimer: TimerHandle | null = null
  #syncTimer: TimerHandle | null = null
  #syncDueMs = 0
  #attestTimer: TimerHandle | null = null
  readonly #slow: SlowSync
  /** Called once, when no call is on its way. */
  #onQuiet: (() => void) | null = null

  constructor(parts: LineParts, hooks: LineHooks, current: SegmentFile) {
    this.#parts = parts
    this.#hooks = hooks
    this.#isImmediate = parts.options.durability === 'immediate'
    this.current = current
    this.#slow = new SlowSync(parts.clock, (ms) => hooks.slow(ms))
  }

  /** Appended and not written. */
  get pendingBytes(): number {
    return this.#parts.composer.openBytes + this.#queuedBytes + (this.#writing?.length ?? 0)
  }
  get pendingGroups(): number {
    return this.#queue.size + 2
  }
  get isIdle(): boolean {
    const { composer } = this.#parts
    const hasWork = this.#queue.size > 0 || !composer.isEmpty || composer.acks.size > 0 || this.wantsSync
    return !hasWork && this.#writing === null && this.#sync === null && !this.isHeld
  }
  /** Nothing is written or synced right now. */
  get isQuiet(): boolean {
    return this.#writing === null && this.#sync === null
  }
  /** Groups with frames behind the last written LSN, in order. */
  get unwritten(): Group[] {
    return [...this.#queue, this.#parts.composer.group]
  }
  get retained(): readonly Group[] {
    return this.#retained
  }

  // --- what is asked from outside ---

  /** Something was appended: it is written at the end of this turn if the disk is idle, or when it is. */
  appended(): void {
    const { clock, options } = this.#parts
    if (options.groupMaxWaitMs > 0) {
      this.#waitTimer ??= clock.setTimer(this.#onWait, options.groupMaxWaitMs)
      return
    }
    if (this.#isFlushSet || this.#writing !== null) return
    this.flush()
  }

  /** Acknowledgements wait for a group to ride on, but not long. */
  settled(): void {
    if (this.#ackTimer !== null || this.#parts.composer.acks.size === 0) return
    this.#ackTimer = this.#parts.clock.setTimer(this.#onAckWait, this.#parts.options.ackFlushMs)
  }

  flush(): void {
    if (this.#isFlushSet || this.#isStopped) return
    this.#isFlushSet = true
    this.#parts.clock.defer(this.#onFlush)
  }

  /** The open group is large enough: it waits in the queue from here. */
  closeOpen(): void {
    const group = this.#parts.composer.close()
    this.#isDue = this.#parts.composer.acks.size > 0
    if (group === null) return
    this.#queue.pushBack(group)
    this.#queuedBytes += group.length
    this.changes++
  }

  /** Everything appended so far, acknowledgements too, is written and then synced. */
  syncAll(): void {
    const { composer } = this.#parts
    do this.closeOpen()
    while (composer.acks.size > 0)
    const last = this.#queue.peekBack() ?? this.#writing
    if (last === null) this.wantsSync = true
    else last.wantsSync = true
    this.flush()
  }

  /** The group whose promise answers for `lsn`, which is not accepted. */
  groupOf(lsn: number): Group {
    for (const group of this.#unaccepted) if (lsn <= group.lastLsn) return group
    if (this.#writing !== null && lsn <= this.#writing.lastLsn) return this.#writing
    for (const group of this.#queue) if (lsn <= group.lastLsn) return group
    return this.#parts.composer.group
  }

  /** Everything that is in memory, newest frames last: what is not written, and what is not known to be durable. */
  get inMemory(): Group[] {
    const writing = this.#writing === null ? [] : [this.#writing]
    return [...this.#retained, ...writing, ...this.unwritten]
  }

  // --- the pump ---

  /** Begins whatever may begin now. */
  pump(): void {
    if (this.#writing !== null || this.isHeld || this.#isStopped) return
    this.#trySync()
    if (this.#isImmediate && this.#sync !== null && this.#sync.file === this.current) return
    const urgent = this.#hooks.urgent()
    if (urgent !== null) {
      this.#place(urgent, true)
      return
    }
    if (this.#queue.size === 0 && this.#isDue) this.closeOpen()
    const group = this.#queue.peekFront()
    if (group !== undefined) this.#place(group, false)
    else if (this.wantsSync && this.#sync === null) this.#writePad()
    else this.#attestLater()
  }

  #place(group: Group, isUrgent: boolean): void {
    const { limits, progress } = this.#parts
    const file = this.current
    const isFree = this.#sync === null
    const pad = this.#isImmediate || group.wantsSync || (this.wantsSync && isFree)
    const size = group.length + (pad ? padBytes(file.at + group.length, limits.sectorBytes) : 0)
    if (file.at + size > this.#hooks.usableEnd(group)) {
      this.#hooks.full(isUrgent)
      return
    }
    if (progress.unsyncedBytes > 0 && progress.unsyncedBytes + size > limits.unsyncedMaxBytes) {
      // What is unsynced must fit into one segment, should it have to be written again.
      this.wantsSync = true
      this.#trySync()
      if (this.#sync === null) this.#writePad()
      return
    }
    if (!isUrgent) {
      this.#queue.popFront()
      this.#queuedBytes -= group.length
    }
    if (pad) this.#putPad(group, size - group.length)
    this.#write(group)
  }

  #write(group: Group): void {
    const { clock, fs, incarnation, progress } = this.#parts
    const file = this.current
    this.#attestTimer?.cancel()
    this.#attestTimer = null
    sealGroup(group, file.saltCrc, incarnation, progress.attestableLsn)
    group.attests = progress.attestableLsn
    group.segment = file.number
    group.at = file.at
    assert(group.at + group.length <= this.#parts.limits.segmentBytes, 'a group never crosses the end of a segment')
    file.at += group.length
    this.#writing = group
    this.changes++
    this.#writeStartedMs = clock.monotonicMs()
    fs.write(file.fd, group.bytes.subarray(0, group.length), group.at, this.#onWritten)
  }

  #onWritten = (error: NodeJS.ErrnoException | null, written?: number): void => {
    const { clock, gauges, options, progress } = this.#parts
    const group = this.#writing
    assert(group !== null, 'a write ends once')
    this.#writing = null
    if (this.#isStopped) {
      this.#quiet()
      return
    }
    gauges.writeSeconds.observe((clock.monotonicMs() - this.#writeStartedMs) / 1000)
    if (error === null && written !== group.length) error = shortWrite(written ?? 0, group.length, group.at)
    if (error !== null || this.isBroken) {
      this.#unaccepted.push(group)
      this.#retained.push(group)
      if (error !== null) this.breakDown(error, this.current, 'write')
      this.#quiet()
      return
    }
    this.#note(group)
    const { isAttest, wantsSync } = group
    let hasAccepted = false
    if (this.#isImmediate && !isAttest) this.#unaccepted.push(group)
    else hasAccepted = this.#accept(group)
    if (isAttest) this.#parts.pool.give(group)
    else this.#retain(group)
    if (this.#isImmediate && !isAttest) this.wantsSync = true
    else if (options.durability === 'periodic') this.#armSync()
    else if (progress.unsyncedBytes >= this.#parts.limits.unsyncedMaxBytes / 2) this.wantsSync = true
    if (wantsSync) this.wantsSync = true
    this.#next(hasAccepted)
  }

  /** Marks and tables know that the group is in its file. */
  #note(group: Group): void {
    const { gauges, progress } = this.#parts
    assert(group.lastLsn >= progress.writtenLsn, 'groups are written in LSN order')
    progress.attestedLsn = Math.max(progress.attestedLsn, group.attests)
    if (group.isAttest) return
    gauges.groups++
    progress.writtenBytes += group.length
    progress.writtenLsn = group.lastLsn
    progress.writtenSettlements = Math.max(progress.writtenSettlements, group.settlements)
    if (group.sealedLsn > 0) progress.writtenBodyCrc = group.lastBodyCrc
    this.#relocate(group)
    this.#hooks.noted(group)
  }

  #relocate(group: Group): void {
    const { tables } = this.#parts
    const { bytes, view, length } = group
    for (let at = 0; at < length; at = draftEnd(view, at)) {
      if (holdsEntry(draftType(bytes, at))) {
        tables.relocated(entryLsnOf(bytes, view, at), group.segment, group.at + at)
      }
    }
  }

  /** True when a mark that the owner watches moved. */
  #accept(group: Group): boolean {
    const { clock, gauges, progress } = this.#parts
    if (group.isAttest) return false
    assert(group.lastLsn >= progress.acceptedLsn, 'acceptance goes in LSN order')
    const hasMoved = group.lastLsn > progress.acceptedLsn || group.settlements > progress.acceptedSettlements
    progress.acceptedLsn = group.lastLsn
    progress.acceptedSettlements = Math.max(progress.acceptedSettlements, group.settlements)
    if (group.records > 0) {
      gauges.groupRecords.observe(group.records)
      gauges.acceptSeconds.observe((clock.monotonicMs() - group.openedMs) / 1000, group.records)
    }
    group.accept()
    return hasMoved
  }

  #retain(group: Group): void {
    const last = this.#retained[this.#retained.length - 1]
    if (!this.#isImmediate && !this.#isRetainedCut && last?.absorb(group)) {
      this.#parts.pool.give(group)
      return
    }
    this.#retained.push(group)
    this.#isRetainedCut = false
  }

  // --- syncs ---

  /** The old segment's last sync goes first: what is behind it is not durable without it. */
  #trySync(): void {
    if (this.#sync !== null || this.#writing !== null || this.isHeld) return
    if (this.previous !== null) this.#startSync(this.previous, true)
    else if (!this.wantsSync) return
    else if (this.#parts.progress.unsyncedBytes === 0) this.wantsSync = false
    else if (this.current.at % this.#parts.limits.sectorBytes === 0) this.#startSync(this.current, false)
  }

  /** Fills the sector, so that a sync may begin. */
  #writePad(): void {
    const group = this.#control()
    this.#putPad(group, padBytes(this.current.at, this.#parts.limits.sectorBytes))
    this.#write(group)
  }

  #startSync(file: SegmentFile, isLast: boolean): void {
    const { clock, fs, gauges, progress } = this.#parts
    assert(!file.isPoisoned, 'a poisoned descriptor is never synced again')
    const startedMs = clock.monotonicMs()
    this.#sync = isLast
      ? { file, lsn: file.endLsn, bodyCrc: file.endBodyCrc, bytes: file.endBytes, isLast, startedMs }
      : {
          file,
          lsn: progress.writtenLsn,
          bodyCrc: progress.writtenBodyCrc,
          bytes: progress.writtenBytes,
          isLast,
          startedMs,
        }
    if (!isLast) this.wantsSync = false
    this.#isRetainedCut = true
    this.#syncTimer?.cancel()
    this.#syncTimer = null
    gauges.fdatasyncs++
    this.#slow.began(startedMs)
    fs.fdatasync(file.fd, this.#onSynced)
  }

  #onSynced = (error: NodeJS.ErrnoException | null): void => {
    const { clock, gauges, progress } = this.#parts
    const mark = this.#sync
    assert(mark !== null, 'a sync ends once')
    this.#sync = null
    this.#slow.ended()
    if (this.#isStopped) {
      this.#quiet()
      return
    }
    gauges.fdatasyncSeconds.observe((clock.monotonicMs() - mark.startedMs) / 1000)
    if (error !== null || this.isBroken) {
      if (error !== null) this.breakDown(error, mark.file, 'fdatasync')
      this.#quiet()
      return
    }
    if (mark.lsn >= progress.durableLsn && mark.bytes >= progress.syncedBytes) {
      progress.durable(mark.lsn, mark.bodyCrc, mark.bytes)
    }
    if (mark.isLast) {
      this.previous = null
      this.#hooks.finished(mark.file)
    }
    const hasAccepted = this.#acceptDurable()
    this.#release()
    this.#next(hasAccepted)
  }

  #acceptDurable(): boolean {
    const { progress } = this.#parts
    let count = 0
    let hasMoved = false
    for (const group of this.#unaccepted) {
      if (group.lastLsn > progress.durableLsn) break
      hasMoved = this.#accept(group) || hasMoved
      count++
    }
    this.#unaccepted.splice(0, count)
    return hasMoved
  }

  /** Buffers of what is durable return to the pool. */
  #release(): void {
    const { pool, progress } = this.#parts
    let count = 0
    for (const group of this.#retained) {
      if (group.lastLsn > progress.durableLsn) break
      pool.give(group)
      count++
    }
    this.#retained.splice(0, count)
  }

  /** After every write and sync. The owner is told last: what it does then meets a line that is at rest or at work. */
  #next(hasAccepted: boolean): void {
    this.changes++
    const { composer, options } = this.#parts
    if (options.groupMaxWaitMs === 0 && !composer.isEmpty) this.#isDue = true
    this.#trySync()
    this.pump()
    this.#hooks.moved(hasAccepted)
    this.#quiet()
  }

  #armSync(): void {
    if (this.#syncTimer !== null || this.wantsSync) return
    const { clock, options } = this.#parts
    const nowMs = clock.monotonicMs()
    // From one beat to the next while records come; a beat that was missed is not made up for.
    const nextMs = this.#syncDueMs + options.syncIntervalMs
    this.#syncDueMs = nextMs > nowMs ? nextMs : nowMs + options.syncIntervalMs
    this.#syncTimer = clock.setTimer(this.#onSyncDue, this.#syncDueMs - nowMs)
  }

  #onSyncDue = (): void => {
    this.#syncTimer = null
    if (this.#isStopped || this.#parts.progress.unsyncedBytes === 0) return
    this.wantsSync = true
    if (!this.#parts.composer.isEmpty) this.#isDue = true
    this.pump()
  }

  // --- small things ---

  #onFlush = (): void => {
    this.#isFlushSet = false
    if (this.#isStopped) return
    this.#isDue = true
    this.pump()
  }
  #onWait = (): void => {
    this.#waitTimer = null
    this.#isDue = true
    this.pump()
  }
  #onAckWait = (): void => {
    this.#ackTimer = null
    if (this.#parts.composer.acks.size === 0) return
    this.#isDue = true
    this.pump()
  }

  #attestLater(): void {
    const { clock, progress } = this.#parts
    if (progress.attestableLsn <= progress.attestedLsn || this.#attestTimer !== null || this.#sync !== null) return
    this.#attestTimer = clock.setTimer(this.#onAttest, ATTEST_MS)
  }

  #onAttest = (): void => {
    this.#attestTimer = null
    const { composer, limits, progress } = this.#parts
    const isBusy = this.#writing !== null || this.#sync !== null || this.isHeld || this.#queue.size > 0
    if (isBusy || !composer.isEmpty || this.#isStopped || progress.attestableLsn <= progress.attestedLsn) return
    if (this.current.at + FRAME_HEADER_BYTES + limits.tailBytes > limits.segmentBytes) return
    const group = this.#control()
    group.isAttest = true
    this.#putPad(group, FRAME_HEADER_BYTES)
    this.#write(group)
  }

  /** A group without frames of its own LSN. */
  #control(): Group {
    const group = this.#parts.pool.take()
    group.lastLsn = this.#parts.progress.writtenLsn
    group.settlements = this.#parts.progress.writtenSettlements
    return group
  }

  #putPad(group: Group, bytes: number): void {
    if (bytes === 0) return
    assert(
      bytes >= FRAME_HEADER_BYTES && frameBytes(bytes - FRAME_HEADER_BYTES) === bytes,
      'a PAD ends where it should',
    )
    group.reserve(bytes)
    group.bytes.fill(0, group.length, group.length + bytes)
    group.length = putDraft(
      group.bytes,
      group.view,
      group.length,
      bytes - FRAME_HEADER_BYTES,
      FrameType.pad,
      0,
      group.lastLsn,
    )
  }

  // --- errors ---

  /** `file` cannot be trusted any more. */
  breakDown(error: NodeJS.ErrnoException, file: SegmentFile, call: string): void {
    this.#parts.gauges.countError(error.code ?? 'UNKNOWN')
    file.isPoisoned = true
    this.isHeld = true
    if (this.isBroken || this.#isStopped) return
    this.isBroken = true
    this.#hooks.broken(error, file, call)
  }

  /** Resolves when no call is on its way. */
  quiet(): Promise<void> {
    return new Promise((resolve) => {
      this.#onQuiet = resolve
      this.#quiet()
    })
  }

  #quiet(): void {
    if (!this.isQuiet || this.#onQuiet === null) return
    const resolve = this.#onQuiet
    this.#onQuiet = null
    resolve()
  }

  /** What was not durable is durable in `file`, up to its `endLsn`: the line goes on there. */
  resume(file: SegmentFile): void {
    const { progress } = this.#parts
    const { endLsn, endBodyCrc } = file
    progress.writtenLsn = endLsn
    progress.writtenBodyCrc = endBodyCrc
    for (const group of this.#unaccepted) {
      progress.writtenSettlements = Math.max(progress.writtenSettlements, group.settlements)
    }
    progress.durable(endLsn, endBodyCrc, progress.writtenBytes)
    this.current = file
    this.previous = null
    this.isBroken = false
    this.isHeld = false
    this.wantsSync = false
    const hasAccepted = this.#acceptDurable()
    this.#release()
    this.#isRetainedCut = true
    this.#next(hasAccepted)
  }

  /** Nothing is begun any more; whoever waits for a group gets `error`. */
  stop(error: unknown): void {
    this.#isStopped = true
    for (const timer of [this.#waitTimer, this.#ackTimer, this.#syncTimer, this.#attestTimer]) timer?.cancel()
    this.#slow.stop()
    const waiting = [...this.#unaccepted, ...this.#queue, this.#parts.composer.group]
    if (this.#writing !== null) waiting.push(this.#writing)
    for (const group of waiting) group.refuse(error)
    this.#quiet()
  }

  /** Frames with an LSN of their own that are in memory and not durable: what a rescue writes again. */
  *undurableFrames(): Generator<{ readonly group: Group; readonly at: number; readonly end: number }> {
    const { durableLsn } = this.#parts.progress
    for (const group of this.#retained) {
      const { bytes, view, length } = group
      for (let at = 0; at < length; ) {
        const end = draftEnd(view, at)
        if (hasOwnLsn(draftType(bytes, at)) && draftLsn(view, at) > durableLsn) yield { group, at, end }
        at = end
      }
    }
  }
}
