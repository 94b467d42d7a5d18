/**
 * A disk that a test owns: `WalFs` with every freedom a real one has.
 * Calls take effect when they come to their end, not when they are made; which one ends next, the test says
 * (`complete`), or they end in the order of the calls in microtasks (`isAutomatic`). Until then a crash may have done
 * them, not done them, or, for a write, done a part of them. Faults are one function of the call.
 * Invariant: a callback runs exactly once and never before its method returned; the bytes of a write belong to the
 * disk until its callback, and are compared then (`violations`).
 * Source: wal.md 6.1.
 */

import { type RandomSource, randomInt } from '../../../lib/util/index.js'
import type { Done, FileFacts, FsFacts, LockMethod, Release, WalFs } from '../../../lib/wal/index.js'
import { fault, type Inject } from './faults.js'
import { type FileKind, type ImageFile, SimFile } from './file.js'
import { Names, parentOf } from './names.js'

export type CallKind =
  | 'open'
  | 'read'
  | 'write'
  | 'fdatasync'
  | 'close'
  | 'fsyncDir'
  | 'mkdir'
  | 'rename'
  | 'unlink'
  | 'stat'
  | 'readdir'
  | 'statfs'
  | 'lock'

/** One call, as the trace keeps it and as faults see it. */
export interface Call {
  /** Running number, from 0. */
  readonly index: number
  readonly kind: CallKind
  readonly path: string
  readonly position: number
  readonly bytes: number
  /** Of the descriptor: 'read', 'write', 'create'; '' without one. */
  readonly mode: string
}

/** A call on its way. */
export interface Flight {
  readonly call: Call
  readonly file: SimFile | null
  /** Of a write: borrowed from the caller until it ends. */
  readonly bytes: Uint8Array | null
  /** Of a rename. */
  readonly to: string
  /** Does it and tells the caller. */
  readonly land: () => void
  isHung: boolean
}

/** Everything a machine finds when it starts again. */
export interface Image {
  readonly files: ReadonlyMap<string, ImageFile>
  readonly sectorBytes: number
}

export interface DiskOptions {
  /** What is written whole or torn. Default 512. */
  readonly sectorBytes?: number
  readonly isAutomatic?: boolean
  /** Default 1 GiB. */
  readonly capacityBytes?: number
  readonly freeBytes?: number
  readonly userId?: number
  readonly remote?: string | null
  readonly lockMethods?: readonly LockMethod[]
  /** Default true: calls and writes are remembered. Off for the many short-lived disks of the enumeration. */
  readonly keepsTrace?: boolean
}

let devices = 0

export class SimDisk implements WalFs {
  names = new Names()
  readonly trace: Call[] = []
  /** Calls that have not ended, in the order they were made. */
  readonly flights: Flight[] = []
  /** What no real disk would have told: misuse of the interface. */
  readonly violations: string[] = []
  readonly sectorBytes: number
  /** A number of its own for each disk: a registry of open directories by device and inode sees different ones. */
  readonly device = ++devices
  inject: Inject | null = null
  capacityBytes: number
  isAutomatic: boolean
  remote: string | null
  lockMethods: readonly LockMethod[]
  readonly userId: number
  readonly locks = new Set<string>()
  readonly open_ = new Map<number, { readonly file: SimFile; readonly mode: string; readonly path: string }>()
  calls = 0
  readonly #keepsTrace: boolean
  #nextFd = 3
  #nextFile = 1
  #isDead = false

  constructor(options: DiskOptions = {}) {
    this.sectorBytes = options.sectorBytes ?? 512
    this.isAutomatic = options.isAutomatic ?? false
    this.capacityBytes = options.capacityBytes ?? 2 ** 30
    this.userId = options.userId ?? 1000
    this.remote = options.remote ?? null
    this.lockMethods = options.lockMethods ?? ['flock', 'sqlite', 'pipe', 'pidfile']
    this.#keepsTrace = options.keepsTrace ?? true
    this.names.seed('/', SimFile.empty(0, 'directory', 0o755, 0, this.sectorBytes))
  }

  /** A machine that starts on what a crash left. Nothing is copied until it is written to. */
  static fromImage(image: Image, options: DiskOptions = {}): SimDisk {
    const disk = new SimDisk({ ...options, sectorBytes: image.sectorBytes })
    for (const [path, file] of image.files) {
      if (path !== '/') disk.names.seed(path, new SimFile(file, image.sectorBytes))
      if (file.id >= disk.#nextFile) disk.#nextFile = file.id + 1
    }
    return disk
  }

  /**
   * The same machine with the next process: what was written is in its page cache, what was synced on its platter.
   * Calls on their way are done or not done, writes in part, as `random` says.
   */
  static afterKill(dead: SimDisk, random: RandomSource): SimDisk {
    for (const flight of [...dead.flights]) {
      if (flight.file !== null && flight.bytes !== null) {
        const sectors = Math.ceil(flight.bytes.length / dead.sectorBytes)
        const done = Math.min(flight.bytes.length, randomInt(random, sectors + 1) * dead.sectorBytes)
        if (done > 0) flight.file.write(flight.bytes.subarray(0, done), flight.call.position)
      } else if (random.next() < 0.5) {
        if (flight.call.kind === 'rename') dead.names.rename(flight.call.path, flight.to)
        if (flight.call.kind === 'unlink') dead.names.unlink(flight.call.path)
      }
    }
    dead.die()
    const { sectorBytes, capacityBytes, userId, remote, lockMethods, isAutomatic } = dead
    const disk = new SimDisk({ sectorBytes, capacityBytes, userId, remote, lockMethods, isAutomatic })
    disk.names = dead.names
    disk.#nextFile = dead.#nextFile
    return disk
  }

  /** The machine as it is when only the process dies. */
  image(): Image {
    const files = new Map<string, ImageFile>()
    for (const [path, file] of this.names.cached) files.set(path, file.image())
    return { files, sectorBytes: this.sectorBytes }
  }

  /** Puts something there that was always there. */
  seed(path: string, kind: FileKind = 'directory', mode = kind === 'directory' ? 0o700 : 0o600): SimFile {
    const file = SimFile.empty(this.#nextFile++, kind, mode, this.userId, this.sectorBytes)
    this.names.seed(path, file)
    return file
  }

  /** The process is gone: nothing is answered any more. */
  die(): void {
    this.#isDead = true
    this.flights.length = 0
  }

  /** Ends the call at that place of `flights`. */
  complete(at = 0): void {
    const [flight] = this.flights.splice(at, 1)
    flight?.land()
  }

  get usedBytes(): number {
    const seen = new Set<SimFile>([...this.names.cached.values(), ...[...this.open_.values()].map((it) => it.file)])
    let bytes = 0
    for (const file of seen) bytes += file.cachedBytes
    return bytes
  }

  open(path: string, mode: 'read' | 'write' | 'create', done: Done<number>): void {
    this.#call(
      'open',
      path,
      done,
      () => {
        const present = this.names.get(path)
        if (mode === 'create') {
          if (present !== undefined) throw fault('EEXIST', 'open', path)
          if (this.names.get(parentOf(path))?.kind !== 'directory') throw fault('ENOENT', 'open', path)
          this.names.link(path, SimFile.empty(this.#nextFile++, 'file', 0o600, this.userId, this.sectorBytes))
        }
        const file = this.names.get(path)
        if (file === undefined) throw fault('ENOENT', 'open', path)
        if (file.kind === 'symlink') throw fault('ELOOP', 'open', path)
        if (file.kind === 'directory' && mode !== 'read') throw fault('EISDIR', 'open', path)
        const fd = this.#nextFd++
        this.open_.set(fd, { file, mode, path })
        return fd
      },
      { mode },
    )
  }

  read(fd: number, into: Uint8Array, position: number, done: Done<number>): void {
    const opened = this.open_.get(fd)
    this.#call('read', opened?.path ?? '', done, () => this.#fileOf(fd, 'read').file.read(into, position), {
      position,
      bytes: into.length,
    })
  }

  write(fd: number, bytes: Uint8Array, position: number, done: Done<number>): void {
    const opened = this.open_.get(fd)
    const asIssued = Uint8Array.from(bytes)
    const path = opened?.path ?? ''
    const perform = (limit: number) => {
      if (Buffer.compare(asIssued, bytes) !== 0) this.violations.push(`${path}: bytes changed while being written`)
      const file = this.#fileOf(fd, 'write')
      if (file.mode === 'read') throw fault('EBADF', 'write', path)
      const room = this.capacityBytes - this.usedBytes
      const growth = position + limit - file.file.cachedBytes
      const take = growth > room ? limit - (growth - Math.max(0, room)) : limit
      if (take <= 0 && limit > 0) throw fault('ENOSPC', 'write', path)
      file.file.write(asIssued.subarray(0, take), position)
      return take
    }
    this.#call('write', path, done, () => perform(bytes.length), {
      position,
      bytes: bytes.length,
      asIssued,
      perform,
      fd,
    })
  }

  fdatasync(fd: number, done: Done<void>): void {
    const opened = this.open_.get(fd)
    const mark = opened?.file.mark
    this.#call('fdatasync', opened?.path ?? '', done, () => this.#fileOf(fd, 'fdatasync').file.synced(mark!), {
      fd,
      drop: () => opened?.file.dropped(mark!),
    })
  }

  close(fd: number, done: Done<void>): void {
    const opened = this.open_.get(fd)
    const perform = () => {
      this.#fileOf(fd, 'close')
      this.open_.delete(fd)
    }
    this.#call('close', opened?.path ?? '', done, perform, { mode: opened?.mode ?? '' })
  }

  fsyncDir(path: string, done: Done<void>): void {
    const mark = this.names.mark
    this.#call('fsyncDir', path, done, () => {
      if (this.names.get(path)?.kind !== 'directory') throw fault('ENOENT', 'fsyncDir', path)
      this.names.synced(path, mark)
    })
  }

  mkdir(path: string, done: Done<void>): void {
    this.#call('mkdir', path, done, () => {
      for (const each of ancestors(path)) {
        const present = this.names.get(each)
        if (present !== undefined && present.kind !== 'directory') throw fault('ENOTDIR', 'mkdir', path)
        if (present === undefined)
          this.names.link(each, SimFile.empty(this.#nextFile++, 'directory', 0o700, this.userId, this.sectorBytes))
      }
    })
  }

  rename(from: string, to: string, done: Done<void>): void {
    const perform = () => {
      if (this.names.get(from) === undefined) throw fault('ENOENT', 'rename', from)
      if (this.names.get(parentOf(to))?.kind !== 'directory') throw fault('ENOENT', 'rename', to)
      this.names.rename(from, to)
    }
    this.#call('rename', from, done, perform, { to })
  }

  unlink(path: string, done: Done<void>): void {
    this.#call('unlink', path, done, () => {
      if (this.names.get(path) === undefined) throw fault('ENOENT', 'unlink', path)
      this.names.unlink(path)
    })
  }

  stat(path: string, done: Done<FileFacts>): void {
    this.#call('stat', path, done, () => {
      const file = this.names.get(path)
      if (file === undefined) throw fault('ENOENT', 'stat', path)
      return {
        kind: file.kind,
        bytes: file.cachedBytes,
        device: this.device,
        inode: file.id,
        mode: file.mode,
        userId: file.userId,
      }
    })
  }

  readdir(path: string, done: Done<string[]>): void {
    this.#call('readdir', path, done, () => {
      if (this.names.get(path)?.kind !== 'directory') throw fault('ENOENT', 'readdir', path)
      return this.names.children(path)
    })
  }

  statfs(path: string, done: Done<FsFacts>): void {
    this.#call('statfs', path, done, () => ({
      freeBytes: Math.max(0, this.capacityBytes - this.usedBytes),
      remote: this.remote,
    }))
  }

  lock(path: string, method: LockMethod, done: Done<Release>): void {
    this.#call('lock', path, done, () => {
      if (!this.lockMethods.includes(method)) throw fault('ENOTSUP', 'lock', path)
      if (this.names.get(path) === undefined)
        this.names.link(path, SimFile.empty(this.#nextFile++, 'file', 0o600, this.userId, this.sectorBytes))
      const inode = `${this.names.get(path)?.id}`
      if (this.locks.has(inode)) throw fault('EWOULDBLOCK', 'lock', path)
      this.locks.add(inode)
      return () => {
        this.locks.delete(inode)
      }
    })
  }

  #fileOf(fd: number, kind: string) {
    const opened = this.open_.get(fd)
    if (opened === undefined) {
      this.violations.push(`${kind} of descriptor ${fd}, which is not open`)
      throw fault('EBADF', kind, String(fd))
    }
    return opened
  }

  #call<T>(kind: CallKind, path: string, done: Done<T>, perform: () => T, more: More = {}): void {
    if (this.#isDead) return
    const call: Call = {
      index: this.calls++,
      kind,
      path,
      position: more.position ?? -1,
      bytes: more.bytes ?? 0,
      mode: more.mode ?? '',
    }
    if (this.#keepsTrace) this.trace.push(call)
    const answer = this.inject?.(call, this) ?? null
    let isAnswered = false
    const land = () => {
      if (isAnswered) throw new Error(`call ${call.index} answered twice`)
      isAnswered = true
      let value: T
      try {
        if (answer?.code !== undefined) {
          if (answer.written !== undefined) more.perform?.(answer.written)
          if (answer.dropsPages === true) more.drop?.()
          throw fault(answer.code, kind, path)
        }
        if (answer?.isLie === true) {
          done(null)
          return
        }
        value = answer?.written !== undefined ? (more.perform?.(answer.written) as T) : perform()
      } catch (error) {
        if (!isSystemError(error)) throw error
        done(error)
        return
      }
      done(null, value)
    }
    const flight: Flight = {
      call,
      file: more.fd === undefined ? null : (this.open_.get(more.fd)?.file ?? null),
      bytes: more.asIssued ?? null,
      to: more.to ?? '',
      land,
      isHung: answer?.isHung === true,
    }
    if (this.isAutomatic && !flight.isHung) {
      queueMicrotask(() => {
        if (!this.#isDead) land()
      })
    } else this.flights.push(flight)
  }
}

interface More {
  readonly position?: number
  readonly bytes?: number
  readonly mode?: string
  readonly asIssued?: Uint8Array
  readonly perform?: (limit: number) => unknown
  readonly drop?: () => void
  readonly fd?: number
  readonly to?: string
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string' && 'syscall' in error
}

function ancestors(path: string): string[] {
  const all: string[] = []
  for (let at = path; at !== '/'; at = parentOf(at)) all.unshift(at)
  return all
}
