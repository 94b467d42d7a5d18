/**
 * The file system of one opening: counts what is on its way, and lets nothing more through once the log is closed.
 * Why: closing is bounded, a hanging disk is not. A write that is still on its way when `close` gives up may land any
 * time later, so the lock stays until the last call has come back; and what the writer would do next must not reach a
 * directory that somebody else owns by then. Hot path (per group): call objects are reused.
 * Invariant: after `fence`, calls other than `close` fail with EBADF; when it says quiet, no call can land any more and
 * no descriptor of this opening is open, whoever forgot it.
 * Source: wal.md 2.2, 3.9.
 */
import type { Done, FileFacts, FsFacts, LockMethod, Release, WalFs } from '../fs.js'

export class FencedFs implements WalFs {
  readonly #fs: WalFs
  readonly #spare: Call[] = []
  readonly #lateError: (error: NodeJS.ErrnoException) => void
  readonly #open = new Set<number>()
  /** Calls on their way, by descriptor. */
  readonly #busy = new Map<number, number>()
  /** Closed by their user while a call was on its way: they go when it has come back. */
  readonly #leaving = new Set<number>()
  #inFlight = 0
  #isFenced = false
  #onQuiet: (() => void) | null = null

  /** `lateError`: a descriptor that was given up while a call was on its way did not close properly. */
  constructor(fs: WalFs, lateError: (error: NodeJS.ErrnoException) => void = () => {}) {
    this.#fs = fs
    this.#lateError = lateError
  }

  get isQuiet(): boolean {
    return this.#inFlight === 0
  }

  /** From here on nothing is begun; `onQuiet` runs once nothing is on its way and nothing open, at once if it is so. */
  fence(onQuiet: () => void): void {
    this.#isFenced = true
    this.#onQuiet = onQuiet
    if (this.#inFlight === 0) this.#quiet()
  }

  #quiet(): void {
    if (this.#onQuiet === null) return
    if (this.#open.size > 0) {
      for (const fd of [...this.#open]) this.close(fd, ignore)
      return
    }
    const onQuiet = this.#onQuiet
    this.#onQuiet = null
    onQuiet()
  }

  open(path: string, mode: 'read' | 'write' | 'create', done: Done<number>): void {
    if (!this.#admits(done)) return
    this.#fs.open(
      path,
      mode,
      this.#begin<number>((error, fd) => {
        if (fd !== undefined) this.#open.add(fd)
        done(error, fd)
      }),
    )
  }
  read(fd: number, into: Uint8Array, position: number, done: Done<number>): void {
    if (this.#admits(done, fd)) this.#fs.read(fd, into, position, this.#begin(done, fd))
  }
  write(fd: number, bytes: Uint8Array, position: number, done: Done<number>): void {
    if (this.#admits(done, fd)) this.#fs.write(fd, bytes, position, this.#begin(done, fd))
  }
  fdatasync(fd: number, done: Done<void>): void {
    if (this.#admits(done, fd)) this.#fs.fdatasync(fd, this.#begin(done, fd))
  }
  /** Always: closing changes nothing on the disk. Twice only before the fence: later its number may be another's. */
  close(fd: number, done: Done<void>): void {
    if (this.#open.has(fd) && this.#busy.has(fd)) {
      this.#open.delete(fd)
      this.#leaving.add(fd)
      queueMicrotask(() => done(null))
      return
    }
    const isOpen = this.#open.delete(fd)
    if (isOpen || !this.#isFenced) this.#fs.close(fd, this.#begin(done))
    else queueMicrotask(() => done(null))
  }
  fsyncDir(path: string, done: Done<void>): void {
    if (this.#admits(done)) this.#fs.fsyncDir(path, this.#begin(done))
  }
  mkdir(path: string, done: Done<void>): void {
    if (this.#admits(done)) this.#fs.mkdir(path, this.#begin(done))
  }
  rename(from: string, to: string, done: Done<void>): void {
    if (this.#admits(done)) this.#fs.rename(from, to, this.#begin(done))
  }
  unlink(path: string, done: Done<void>): void {
    if (this.#admits(done)) this.#fs.unlink(path, this.#begin(done))
  }
  stat(path: string, done: Done<FileFacts>): void {
    if (this.#admits(done)) this.#fs.stat(path, this.#begin(done))
  }
  readdir(path: string, done: Done<string[]>): void {
    if (this.#admits(done)) this.#fs.readdir(path, this.#begin(done))
  }
  statfs(path: string, done: Done<FsFacts>): void {
    if (this.#admits(done)) this.#fs.statfs(path, this.#begin(done))
  }
  lock(path: string, method: LockMethod, done: Done<Release>): void {
    if (this.#admits(done)) this.#fs.lock(path, method, this.#begin(done))
  }

  /** Nothing reaches a descriptor that was closed, by whomever: its number may be another file's by now. */
  #admits<T>(done: Done<T>, fd = -1): boolean {
    if (!this.#isFenced && (fd < 0 || this.#open.has(fd))) return true
    const error = Object.assign(new Error('EBADF: the log is closed'), { code: 'EBADF' })
    queueMicrotask(() => done(error))
    return false
  }

  #begin<T>(done: Done<T>, fd = -1): Done<T> {
    this.#inFlight++
    if (fd >= 0) this.#busy.set(fd, (this.#busy.get(fd) ?? 0) + 1)
    const call = this.#spare.pop() ?? new Call(this.#ended)
    call.fd = fd
    call.done = done as Done<unknown>
    return call.end as Done<T>
  }

  #cameBack(fd: number): void {
    const left = (this.#busy.get(fd) ?? 1) - 1
    if (left > 0) this.#busy.set(fd, left)
    else {
      this.#busy.delete(fd)
      if (this.#leaving.delete(fd)) {
        this.#fs.close(
          fd,
          this.#begin<void>((error) => (error === null ? undefined : this.#lateError(error))),
        )
      }
    }
  }

  readonly #ended = (call: Call): void => {
    this.#spare.push(call)
    if (call.fd >= 0) this.#cameBack(call.fd)
    this.#inFlight--
    if (this.#inFlight === 0) this.#quiet()
  }
}

/** Whoever opened it is gone, and a close that fails has given the descriptor up all the same. */
function ignore(): void {}

/** One call on its way; its callback is made once and used for many. */
class Call {
  done: Done<unknown> | null = null
  fd = -1
  readonly end: Done<unknown>

  constructor(ended: (call: Call) => void) {
    this.end = (error, value) => {
      const done = this.done
      this.done = null
      // The caller first: what it begins in its turn is on its way before this one counts as ended.
      try {
        done?.(error, value)
      } finally {
        ended(this)
      }
    }
  }
}
