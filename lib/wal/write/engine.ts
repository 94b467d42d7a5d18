/**
 * The moving parts of the writer wired together: line, shelf, rotation, rescue, reclaim; and the state they are in.
 *
 *   open <-> draining        no room for data: only settling goes on
 *   any  ->  degraded        a segment was given up, nothing was lost
 *   any  ->  failed          nothing is written any more
 *
 * Invariant: while a rotation or a rescue runs the line is held; a rescue waits for the rotation and for every call on
 * its way before it touches anything.
 * Source: wal.md 2.7, 3.7, 3.8, 5.
 */
import { MQError } from '../../errors/index.js'
import { runInBackground } from '../../util/index.js'
import type { FileFacts } from '../fs.js'
import type { LogTables } from '../state/tables.js'
import type { WalEvents, WalOptions, WalParts } from '../types.js'
import { admitted, placeable, type RoomFacts } from './admission.js'
import { CommitLine, type LineHooks } from './commit-line.js'
import type { Composer } from './composer.js'
import { DurableWaits } from './durable-waits.js'
import { diskFailure, type FileCalls } from './file-calls.js'
import type { Gauges } from './gauges.js'
import type { Group, GroupPool } from './group.js'
import type { Limits } from './limits.js'
import type { Progress } from './progress.js'
import { Reclaimer } from './reclaimer.js'
import type { Relocator } from './relocator.js'
import { rescue } from './rescue.js'
import { rotate } from './rotation.js'
import type { SegmentFile } from './segment-file.js'
import type { Shelf } from './shelf.js'

export interface EngineParts {
  readonly options: WalOptions
  readonly parts: WalParts
  readonly events: WalEvents
  readonly limits: Limits
  readonly tables: LogTables
  readonly gauges: Gauges
  readonly progress: Progress
  readonly pool: GroupPool
  readonly composer: Composer
  readonly shelf: Shelf
  readonly calls: FileCalls
  readonly incarnation: number
  /** LOCK when the log was opened; null: this method of locking has no such file. */
  readonly lock: FileFacts | null
}

export class Engine implements LineHooks {
  readonly #of: EngineParts
  readonly line: CommitLine
  readonly reclaimer: Reclaimer
  readonly waits = new DurableWaits()
  relocator: Relocator | null = null
  onAccepted: (() => void) | null = null
  onRoom: (() => void) | null = null
  /** Control frames may use everything: at the beginning and at the end. */
  isUnreserved = true
  /** Size of a checkpoint, about: of the last one, and what was defined since. */
  checkpointBytes = 512
  #isDegraded = false
  #rotation: Promise<void> | null = null
  readonly #openFiles = new Set<SegmentFile>()
  /** The smallest request that was refused; 0: none. */
  #refusedBytes = 0
  readonly #room: { -readonly [K in keyof RoomFacts]: RoomFacts[K] }

  constructor(parts: EngineParts, current: SegmentFile) {
    this.#of = parts
    const { options, limits, tables, gauges, progress, pool, composer, shelf, incarnation } = parts
    const { fs, clock } = parts.parts
    const line = { fs, clock, options, limits, tables, composer, pool, gauges, progress, incarnation }
    this.line = new CommitLine(line, this, current)
    this.reclaimer = new Reclaimer(tables, limits, progress, composer, shelf)
    this.#openFiles.add(current)
    composer.provisionalSegment = current.number
    shelf.onReady = () => this.#ready()
    this.#room = {
      pendingBytes: 0,
      unsyncedBytes: 0,
      pendingMaxBytes: options.pendingMaxBytes,
      unsyncedMaxBytes: options.unsyncedMaxBytes,
      at: 0,
      readyFiles: 0,
      canMakeFiles: false,
      groups: 0,
      checkpointBytes: 0,
      entries: 0,
    }
  }

  // --- room ---

  /** Bytes of frames that are admitted now. */
  roomBytes(): number {
    return admitted(this.#roomFacts(), this.#of.limits)
  }

  /** A request was turned away: its owner is told when there is room, and everybody when the log is full. */
  refused(bytes: number): void {
    if (this.#refusedBytes === 0 || bytes < this.#refusedBytes) this.#refusedBytes = bytes
    this.#lookWhetherFull()
  }

  /** Full is what stays full: not while something waits to be written, whose place is only estimated until then. */
  #lookWhetherFull(): void {
    const { limits, shelf } = this.#of
    if (shelf.canMakeFiles || this.line.pendingBytes > 0) return
    if (placeable(this.#roomFacts(), limits) >= this.#refusedBytes) return
    this.#isFull()
  }

  #isFull(): void {
    const { events, progress } = this.#of
    if (progress.state === 'draining' || progress.state === 'failed' || this.isUnreserved) return
    progress.state = 'draining'
    this.tell(() => events.full())
  }

  #lookForRoom(): void {
    if (this.#refusedBytes === 0) return
    if (this.roomBytes() < this.#refusedBytes) {
      this.#lookWhetherFull()
      return
    }
    this.#refusedBytes = 0
    const { events, progress } = this.#of
    if (progress.state === 'draining') {
      progress.state = this.#isDegraded ? 'degraded' : 'open'
      this.tell(() => events.room())
    }
    this.#call(this.onRoom)
  }

  #roomFacts(): RoomFacts {
    const { progress, shelf, tables } = this.#of
    const room = this.#room
    room.pendingBytes = this.line.pendingBytes
    room.unsyncedBytes = progress.unsyncedBytes
    room.at = this.line.current.at
    room.readyFiles = shelf.readyCount
    room.canMakeFiles = shelf.canMakeFiles
    room.groups = this.line.pendingGroups
    room.checkpointBytes = this.checkpointBytes
    room.entries = tables.entryCount
    return room
  }

  // --- hooks of the line ---

  urgent(): Group | null {
    return this.reclaimer.unit(this.line)
  }

  usableEnd(group: Group): number {
    const { limits, shelf } = this.#of
    const end = limits.segmentBytes - limits.tailBytes
    if (this.isUnreserved || shelf.readyCount > 0 || this.reclaimer.isUnit(group)) return end
    return end - this.checkpointBytes - limits.lastReserveBytes
  }

  full(isUrgent: boolean): void {
    const { shelf } = this.#of
    if (this.line.previous !== null) return
    if (shelf.next !== null) {
      this.#rotate()
      return
    }
    shelf.activate()
    if (shelf.readyCount > 0) return
    // No file at all: what can be freed is freed first, and frees the way.
    this.reclaimer.isStarved = true
    this.reclaimer.look(this.line)
    // A CHECKPOINT that finds no place either waits for a file: to try it again at once would never end.
    if (!isUrgent && this.reclaimer.isReady()) this.#of.parts.clock.defer(() => this.line.pump())
    if (shelf.canMakeFiles || shelf.isRecycling || this.reclaimer.isUnderWay) return
    // What waits has no place, and nothing is on its way that would make one: only what the owner settles does.
    if (this.#refusedBytes === 0) this.#refusedBytes = 1
    this.#isFull()
  }

  noted(group: Group): void {
    this.reclaimer.noted(group)
  }

  moved(hasAccepted: boolean): void {
    const { limits, progress, shelf } = this.#of
    this.reclaimer.synced()
    if (this.reclaimer.look(this.line)) this.line.flush()
    if (this.reclaimer.isReady()) this.line.pump()
    this.relocator?.look(progress.oldestSegment, shelf.live.size)
    this.waits.reached(progress.durableLsn)
    const { current } = this.line
    if (current.at > limits.segmentBytes / 2 && !this.line.isHeld) shelf.activate()
    if (hasAccepted) this.#call(this.onAccepted)
    this.#lookForRoom()
  }

  slow(ms: number): void {
    this.tell(() => this.#of.events.slowSync(ms))
  }

  finished(file: SegmentFile): void {
    this.#close(file)
  }

  broken(error: NodeJS.ErrnoException, file: SegmentFile, call: string): void {
    const { gauges, parts } = this.#of
    gauges.poisoned++
    const failure = diskFailure(call, file.path, error)
    parts.logger.error('a segment of the log is given up: what is not durable is written to another one', {
      path: file.path,
      cause: error,
    })
    this.#background('rescue', () => this.#rescue(failure))
  }

  // --- what they lead to ---

  #rotate(): void {
    const { line } = this
    line.isHeld = true
    this.#rotation = this.#rotated().finally(() => {
      this.#rotation = null
    })
    this.#background('rotate', async () => {
      await this.#rotation
      if (!line.isBroken && !this.isFailed) line.isHeld = false
      line.pump()
      this.#lookForRoom()
    })
  }

  async #rotated(): Promise<void> {
    const { calls, composer, incarnation, limits, lock, options, progress, shelf, tables } = this.#of
    const { line } = this
    const old = line.current
    const next = shelf.takeNext()
    this.#openFiles.add(next)
    const { oldestSegment } = this.reclaimer
    const base = { calls, dir: options.dir, limits, tables, progress, incarnation, lock }
    const parts = { ...base, oldestSegment, later: line.unwritten }
    const { failed, checkpointBytes } = await rotate(parts, old, next)
    if (failed !== null) {
      if (failed.file === null) throw failed.error
      line.breakDown(failed.error as NodeJS.ErrnoException, failed.file, failed.call)
      return
    }
    this.checkpointBytes = checkpointBytes
    line.previous = old
    line.current = next
    line.changes++
    composer.provisionalSegment = next.number
  }

  async #rescue(failure: MQError): Promise<void> {
    const { calls, composer, incarnation, limits, options, progress, shelf, tables, events } = this.#of
    const { line } = this
    try {
      await this.#rotation
      this.reclaimer.reset()
      const parts = { dir: options.dir, calls, tables, limits, progress, shelf, line, incarnation }
      const file = await rescue(parts)
      if (this.isFailed) return
      const given = [...this.#openFiles]
      this.#openFiles.add(file)
      composer.provisionalSegment = file.number
      this.#isDegraded = true
      if (progress.state === 'open') progress.state = 'degraded'
      for (const other of given) this.#close(other)
      this.tell(() => events.degraded(failure))
      line.resume(file)
      shelf.refill()
    } catch (error) {
      this.#of.parts.logger.error('what was not durable could not be written to another segment', { cause: error })
      throw failure
    }
  }

  get isFailed(): boolean {
    return this.#of.progress.state === 'failed'
  }

  /** The end of writing: everybody who waits is told why. */
  fail(cause: unknown): void {
    if (this.isFailed) return
    const { events, options, progress } = this.#of
    const error = cause instanceof MQError ? cause : diskFailure('the log', options.dir, cause)
    progress.state = 'failed'
    progress.failure = error
    this.line.stop(error)
    this.waits.refuse(error)
    this.relocator?.stop()
    this.tell(() => events.failed(error))
  }

  /** A file was made or freed. */
  #ready(): void {
    this.line.pump()
    this.#lookForRoom()
  }

  /** Ends everything; resolves when no call is on its way any more. */
  async shut(): Promise<void> {
    this.relocator?.stop()
    await this.line.quiet()
    await this.#of.shelf.stop()
    for (const file of [...this.#openFiles]) await this.#closed(file)
  }

  /** In a turn of its own; what a listener throws is its own affair, and is logged. */
  tell(event: () => void): void {
    this.#of.parts.clock.defer(() => this.#call(event))
  }

  #call(listener: (() => void) | null): void {
    try {
      listener?.()
    } catch (error) {
      this.#of.parts.logger.error('a listener of the log threw', { cause: error })
    }
  }

  #close(file: SegmentFile): void {
    void this.#closed(file)
  }

  /** An error of close is counted by the call: nothing depends on it, what counts was synced. */
  async #closed(file: SegmentFile): Promise<void> {
    if (!this.#openFiles.delete(file)) return
    try {
      await this.#of.calls.close(file.fd)
    } catch (error) {
      this.#of.parts.logger.warn('a segment could not be closed', { path: file.path, cause: error })
    }
  }

  #background(name: string, task: () => Promise<void>): void {
    runInBackground(name, task, (_name, error) => this.fail(error))
  }
}
