/**
 * Files waiting to become segments, the one that is next, and those that are freed: all work with files off the hot
 * path.
 *
 *   made (zero-filled) ─┐
 *   freed (renamed) ────┴─> spare ── header, sync, rename, sync of the directory ─> next ── rotation ─> current
 *
 * Invariants: segments + next + spares + what is being made <= `maxFiles` at every moment; a file becomes a spare only
 * when its new name is durable, so that no segment a crash may bring back is overwritten.
 * Source: wal.md 2.7, 3.8, 5.
 */
import { join } from 'node:path'
import { assert, type Clock, type Logger, runInBackground, type TimerHandle } from '../../util/index.js'
import { FORMAT_MAJOR, FORMAT_MINOR, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { type Manifest, segmentName, spareName } from '../format/manifest.js'
import { encodeSegmentHeader } from '../format/segment-header.js'
import { codeOf, type FileCalls, NO_ROOM_CODES } from './file-calls.js'
import type { Limits } from './limits.js'
import { SegmentFile } from './segment-file.js'

/** After an error of the disk: how long until the same is tried again. Milliseconds. */
const RETRY_MS = 1000

export interface ShelfParts {
  readonly dir: string
  readonly manifest: Manifest
  readonly limits: Limits
  readonly calls: FileCalls
  readonly clock: Clock
  readonly logger: Logger
  readonly randomBytes: (into: Uint8Array) => void
  readonly incarnation: number
  readonly minFreeBytes: number
  readonly scrub: boolean
}

export class Shelf {
  readonly #parts: ShelfParts
  /** Segments on the disk with anything that may be needed: number -> salt. The current one is among them. */
  readonly live = new Map<number, Uint8Array>()
  /** Names of files ready to be used. */
  readonly #spares: string[] = []
  /** Names that are taken, ready or not. */
  readonly #names = new Set<string>()
  /** Freed segments whose renaming has not succeeded yet. */
  readonly #freed: number[] = []
  next: SegmentFile | null = null
  #isActivating = false
  #isMaking = false
  #isRecycling = false
  #isStopped = false
  #retry: TimerHandle | null = null
  /** Attempts in a row that came to nothing. */
  #refusals = 0
  readonly #jobs = new Set<Promise<void>>()
  /** A file became ready, or the next segment did. */
  onReady: () => void = () => {}
  /** There is no file, and the disk refused one twice in a row. `null`: it has too little room. */
  onRefused: (error: unknown) => void = () => {}
  /** A segment's file is about to be given another use. */
  onFreed: (segment: number) => void = () => {}

  constructor(parts: ShelfParts) {
    this.#parts = parts
  }

  get incarnation(): number {
    return this.#parts.incarnation
  }

  get spareCount(): number {
    return this.#spares.length
  }

  /** Files that a rotation can have: the next segment and every spare. */
  get readyCount(): number {
    return (this.next === null ? 0 : 1) + (this.#isActivating ? 1 : 0) + this.#spares.length
  }

  /** As far as is known, another file can be made, or is being made. */
  get canMakeFiles(): boolean {
    return this.#isMaking || (this.#retry === null && this.fileCount < this.#parts.limits.maxFiles)
  }

  /** A freed segment is about to become a spare. */
  get isRecycling(): boolean {
    return this.#isRecycling
  }

  /** All files that count against `maxBytes`. */
  get fileCount(): number {
    return this.live.size + this.#names.size + this.#freed.length + (this.next === null ? 0 : 1)
  }

  /** Spares found in the directory; those of another size are of no use. */
  async adopt(names: readonly string[]): Promise<void> {
    const { dir, calls, limits } = this.#parts
    for (const name of names) {
      const facts = await calls.stat(join(dir, name))
      if (facts.kind === 'file' && facts.bytes === limits.segmentBytes && this.fileCount < limits.maxFiles) {
        this.#names.add(name)
        this.#spares.push(name)
      } else await calls.unlink(join(dir, name))
    }
  }

  /** Makes spares, in the background, until there are enough or there is no room. */
  refill(): void {
    if (this.#isMaking || this.#isStopped || !this.#wantsMore()) return
    this.#isMaking = true
    this.#inBackground('make a spare', async () => {
      try {
        while (this.#wantsMore() && !this.#isStopped) if (!(await this.make())) break
      } finally {
        this.#isMaking = false
      }
    })
  }

  /**
   * The next segment counts: in steady use the one before the current is freed by the time another spare is taken, and
   * filling a new file with zeros beside that would double what the disk has to do.
   */
  #wantsMore(): boolean {
    const { spares, maxFiles } = this.#parts.limits
    const ready = this.#spares.length + (this.next === null ? 0 : 1)
    return ready < spares && this.fileCount < maxFiles
  }

  /** One zero-filled spare; false: the file system has too little room. */
  async make(): Promise<boolean> {
    const { calls, dir, limits, minFreeBytes } = this.#parts
    const { freeBytes } = await calls.statfs(dir)
    if (freeBytes - limits.segmentBytes < minFreeBytes) {
      this.#retryLater()
      this.#refused(null)
      return false
    }
    const name = this.#freeName()
    this.#names.add(name)
    const temporary = join(dir, `${name}.tmp`)
    let fd = -1
    try {
      fd = await calls.open(temporary, 'create')
      await calls.fillZero(fd, 0, limits.segmentBytes)
      await calls.fdatasync(fd)
      // Gone whatever it answers: a number that is closed twice may be somebody else's by then.
      const filled = fd
      fd = -1
      await calls.close(filled)
      await calls.rename(temporary, join(dir, name))
      await calls.fsyncDir(dir)
    } catch (error) {
      await this.#remove(fd, temporary)
      await this.#remove(-1, join(dir, name))
      this.#names.delete(name)
      throw error
    }
    this.#spares.push(name)
    this.#refusals = 0
    this.onReady()
    return true
  }

  /** The number of the segment behind all that there are. */
  get nextNumber(): number {
    return Math.max(...this.live.keys()) + 1
  }

  /** Begins to turn a spare into the next segment, unless that is under way or done. */
  activate(): void {
    if (this.next !== null || this.#isActivating || this.#isStopped) return
    const name = this.take()
    if (name === null) {
      this.refill()
      return
    }
    this.#isActivating = true
    this.#inBackground('activate a segment', async () => {
      try {
        this.next = await this.#activated(this.nextNumber, name)
        this.#refusals = 0
      } finally {
        this.#names.delete(name)
        this.#isActivating = false
      }
      this.refill()
      this.onReady()
    })
  }

  /** Takes a spare off the shelf. Its name stays taken until `named` or `dropped`. */
  take(): string | null {
    return this.#spares.pop() ?? null
  }
  /** A file that was taken and is not needed after all. */
  giveBack(name: string): void {
    this.#spares.push(name)
  }
  /** A spare that was taken has a segment's name now. */
  named(name: string): void {
    this.#names.delete(name)
  }

  /**
   * A file for a segment that is written whole before it gets its name: the next segment, turned back into a spare, or
   * a spare, or a new file; null: there is none.
   */
  async takeForRescue(): Promise<string | null> {
    while (this.#isActivating || this.#isMaking) await Promise.race(this.#jobs)
    const { calls, dir } = this.#parts
    const file = this.next
    if (file === null) return this.take() ?? ((await this.make()) ? this.take() : null)
    this.next = null
    await calls.close(file.fd)
    const name = this.#freeName()
    this.#names.add(name)
    await calls.rename(file.path, join(dir, name))
    await calls.fsyncDir(dir)
    return name
  }

  /** The next segment becomes the current one. */
  takeNext(): SegmentFile {
    const file = this.next
    assert(file !== null, 'a rotation takes the next segment when it is there')
    this.next = null
    assert(!this.live.has(file.number), 'a number is given to one segment')
    this.live.set(file.number, file.salt)
    return file
  }

  headerOf(number: number, salt: Uint8Array): Uint8Array {
    const { manifest, incarnation, clock } = this.#parts
    const header = new Uint8Array(SEGMENT_HEADER_BYTES)
    const walId = new Uint8Array(Buffer.from(manifest.walId, 'hex'))
    const { segmentBytes, sectorBytes } = manifest
    const createdAtMs = clock.now()
    const major = FORMAT_MAJOR
    const minor = FORMAT_MINOR
    const sizes = { segmentBytes, sectorBytes, incarnation, createdAtMs, features: 0 }
    encodeSegmentHeader({ major, minor, walId, segment: number, salt, ...sizes }, header)
    return header
  }

  newSalt(): Uint8Array {
    const salt = new Uint8Array(8)
    this.#parts.randomBytes(salt)
    return salt
  }

  async #activated(number: number, name: string): Promise<SegmentFile> {
    const { calls, dir } = this.#parts
    const spare = join(dir, name)
    const path = join(dir, segmentName(number))
    const salt = this.newSalt()
    let fd = -1
    try {
      fd = await calls.open(spare, 'write')
      await calls.writeAll(fd, this.headerOf(number, salt), 0)
      await calls.fdatasync(fd)
      await calls.rename(spare, path)
      await calls.fsyncDir(dir)
      const facts = await calls.stat(path)
      return new SegmentFile(number, path, fd, salt, SEGMENT_HEADER_BYTES, facts)
    } catch (error) {
      await this.#remove(fd, spare)
      await this.#remove(-1, path)
      throw error
    }
  }

  /** Segments below `oldest` are not needed any more, durably so: they become spares, or are removed. */
  free(oldest: number): void {
    for (const number of this.live.keys()) {
      if (number >= oldest) continue
      this.live.delete(number)
      this.#freed.push(number)
    }
    this.#recycle()
  }

  #recycle(): void {
    if (this.#isRecycling || this.#isStopped || this.#freed.length === 0) return
    this.#isRecycling = true
    this.#inBackground('recycle a segment', async () => {
      try {
        while (this.#freed.length > 0 && !this.#isStopped) await this.#recycleAll()
      } finally {
        this.#isRecycling = false
      }
      this.refill()
    })
  }

  async #recycleAll(): Promise<void> {
    const { calls, dir, limits, scrub } = this.#parts
    const renamed: string[] = []
    let failure: unknown = null
    for (let number = this.#freed[0]; number !== undefined && failure === null; number = this.#freed[0]) {
      this.onFreed(number)
      const path = join(dir, segmentName(number))
      try {
        // More than enough by one is kept: it takes the place of the next one that is taken.
        if (this.#names.size > limits.spares) await calls.unlink(path)
        else renamed.push(await this.#renamed(path))
        this.#freed.shift()
      } catch (error) {
        failure = error
      }
    }
    try {
      await calls.fsyncDir(dir)
      if (scrub) for (const name of renamed) await this.#scrub(join(dir, name))
    } catch (error) {
      // Whether the new names last is not known: these files are of no use until the next opening.
      for (const name of renamed) {
        await this.#remove(-1, join(dir, name))
        this.#names.delete(name)
      }
      throw error
    }
    this.#spares.push(...renamed)
    this.onReady()
    if (failure !== null) throw failure
  }

  /** The name is taken before the call: another file may be on its way to become a spare at the same time. */
  async #renamed(path: string): Promise<string> {
    const { calls, dir } = this.#parts
    const name = this.#freeName()
    this.#names.add(name)
    try {
      await calls.rename(path, join(dir, name))
      return name
    } catch (error) {
      this.#names.delete(name)
      throw error
    }
  }

  async #scrub(path: string): Promise<void> {
    const { calls, limits } = this.#parts
    const fd = await calls.open(path, 'write')
    try {
      await calls.fillZero(fd, 0, limits.segmentBytes)
      await calls.fdatasync(fd)
    } finally {
      await calls.close(fd)
    }
  }

  #freeName(): string {
    for (let index = 0; ; index++) if (!this.#names.has(spareName(index))) return spareName(index)
  }

  /** Puts away a file that came to nothing. What fails here is counted by the call and changes nothing. */
  async #remove(fd: number, path: string): Promise<void> {
    const { calls, logger } = this.#parts
    try {
      if (fd >= 0) await calls.close(fd)
      await calls.unlink(path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') logger.warn('a file of the log could not be removed', { path, cause: error })
    }
  }

  #inBackground(name: string, task: () => Promise<void>): void {
    const job = new Promise<void>((resolve) => {
      runInBackground(
        name,
        () => task().finally(resolve),
        (_name, error) => this.#failed(name, error),
      )
    })
    this.#jobs.add(job)
    void job.then(() => this.#jobs.delete(job))
  }

  #failed(name: string, error: unknown): void {
    const { logger, dir } = this.#parts
    const isFull = NO_ROOM_CODES.includes(codeOf(error))
    const text = isFull
      ? 'no room for another segment: the log drains until there is'
      : `could not ${name}: tried again`
    logger.warn(text, { dir, cause: error })
    this.#retryLater()
    this.#refused(error)
  }

  #refused(error: unknown): void {
    this.#refusals++
    if (this.#refusals > 1 && this.readyCount === 0) this.onRefused(error)
  }

  #retryLater(): void {
    if (this.#isStopped || this.#retry !== null) return
    this.#retry = this.#parts.clock.setTimer(() => {
      this.#retry = null
      this.#recycle()
      this.refill()
      this.onReady()
    }, RETRY_MS)
  }

  /** Begins nothing more; resolves when what runs has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#retry?.cancel()
    this.#retry = null
    await Promise.all(this.#jobs)
    const { next } = this
    this.next = null
    if (next === null) return
    try {
      await this.#parts.calls.close(next.fd)
    } catch (error) {
      // Nothing was written to it: closing the log has done what it promised all the same.
      this.#parts.logger.warn('the next segment was not closed properly', { path: next.path, cause: error })
    }
  }
}
