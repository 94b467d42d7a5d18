/**
 * The calls of a file system as promises, for opening and closing, where a call more or less costs nothing.
 * Why errors are turned here: the system says "EACCES"; whoever reads the message needs the path, what was tried and
 * what to do. Invariant: whatever rejects is an MQError whose context has `path` and the system's `errno` name.
 */
import { type MQError, MQError as MQErrorClass } from '../../errors/index.js'
import { type WalReason, walError } from '../errors.js'
import type { Done, FileFacts, FsFacts, WalFs } from '../fs.js'

/** Reason and advice per system error; any other means that the disk failed. */
const VERDICTS: Readonly<Record<string, readonly [WalReason, string]>> = {
  EACCES: ['WAL_PERMISSION', 'give this process the rights, or choose another wal.dir'],
  EPERM: ['WAL_PERMISSION', 'give this process the rights, or choose another wal.dir'],
  EROFS: ['WAL_PERMISSION', 'the file system is mounted read-only: mount it writable, or choose another wal.dir'],
  ELOOP: ['WAL_PERMISSION', 'symbolic links are not followed: put the file itself there'],
  ENOTDIR: ['WAL_PERMISSION', 'a part of the path is not a directory: choose another wal.dir'],
  EISDIR: ['WAL_PERMISSION', 'a directory stands where a file belongs: move it away'],
  ENOSPC: ['WAL_FULL', 'the disk is full: free space, or choose another wal.dir'],
  EDQUOT: ['WAL_FULL', 'the disk quota is used up: raise it, or choose another wal.dir'],
  EFBIG: ['WAL_FULL', 'the largest file size of this process is smaller than a segment: raise it (ulimit -f)'],
  EMFILE: ['WAL_FAILED', 'this process has too many open files: raise its limit (ulimit -n)'],
  ENFILE: ['WAL_FAILED', 'the machine has too many open files: raise its limit'],
}

export class Disk {
  readonly #fs: WalFs
  constructor(fs: WalFs) {
    this.#fs = fs
  }

  open(path: string, mode: 'read' | 'write' | 'create'): Promise<number> {
    return call(`open (${mode})`, path, (done) => this.#fs.open(path, mode, done))
  }
  close(fd: number, path: string): Promise<void> {
    return call('close', path, (done) => this.#fs.close(fd, done))
  }
  fdatasync(fd: number, path: string): Promise<void> {
    return call('fdatasync', path, (done) => this.#fs.fdatasync(fd, done))
  }
  fsyncDir(path: string): Promise<void> {
    return call('sync the directory', path, (done) => this.#fs.fsyncDir(path, done))
  }
  mkdir(path: string): Promise<void> {
    return call('make the directory', path, (done) => this.#fs.mkdir(path, done))
  }
  rename(from: string, to: string): Promise<void> {
    return call(`rename to ${to}`, from, (done) => this.#fs.rename(from, to, done))
  }
  unlink(path: string): Promise<void> {
    return call('delete', path, (done) => this.#fs.unlink(path, done))
  }
  readdir(path: string): Promise<string[]> {
    return call('list', path, (done) => this.#fs.readdir(path, done))
  }
  stat(path: string): Promise<FileFacts> {
    return call('look at', path, (done) => this.#fs.stat(path, done))
  }
  statfs(path: string): Promise<FsFacts> {
    return call('ask for the file system of', path, (done) => this.#fs.statfs(path, done))
  }
  read(fd: number, path: string, into: Uint8Array, position: number): Promise<number> {
    return call('read', path, (done) => this.#fs.read(fd, into, position, done))
  }

  /** All of the bytes: a write that was cut short goes on where it ended. */
  async write(fd: number, path: string, bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const rest = at === 0 ? bytes : bytes.subarray(at)
      const written = await call<number>('write', path, (done) => this.#fs.write(fd, rest, position + at, done))
      // Neither progress nor an error: as full as a disk can say without words.
      if (written === 0)
        throw diskError('write', path, Object.assign(new Error('ENOSPC: 0 B written'), { code: 'ENOSPC' }))
      at += written
    }
  }

  /** The first `maxBytes` of a file, null when there is none. */
  async readFile(path: string, maxBytes: number): Promise<Uint8Array | null> {
    const fd = await orNull(this.open(path, 'read'), 'ENOENT')
    if (fd === null) return null
    return this.closing(fd, path, async () => {
      const bytes = new Uint8Array(maxBytes)
      return bytes.subarray(0, await this.read(fd, path, bytes, 0))
    })
  }

  /** A new file that is complete under its name after any crash, or not there: tmp, fdatasync, rename, fsyncDir. */
  async replaceFile(dir: string, name: string, fill: (fd: number, draft: string) => Promise<void>): Promise<void> {
    const draft = `${dir}/${name}.tmp`
    await orNull(this.unlink(draft), 'ENOENT')
    const fd = await this.open(draft, 'create')
    try {
      await this.closing(fd, draft, async () => {
        await fill(fd, draft)
        await this.fdatasync(fd, draft)
      })
    } catch (error) {
      // What it leaves is deleted at the next opening too; the first error is the one that counts.
      await this.unlink(draft).catch(() => {})
      throw error
    }
    await this.rename(draft, `${dir}/${name}`)
    await this.fsyncDir(dir)
  }

  /** Runs `task` and closes the descriptor whatever happens; the error of the task comes before that of the close. */
  async closing<T>(fd: number, path: string, task: () => Promise<T>): Promise<T> {
    let result: T
    try {
      result = await task()
    } catch (error) {
      await this.close(fd, path).catch(() => {})
      throw error
    }
    await this.close(fd, path)
    return result
  }
}

/** null instead of one expected system error. */
export async function orNull<T>(promise: Promise<T>, errno: string): Promise<T | null> {
  try {
    return await promise
  } catch (error) {
    if (errnoOf(error) === errno) return null
    throw error
  }
}

/** The system's name of what is behind an error, '' when it does not come from the system. */
export function errnoOf(error: unknown): string {
  if (error instanceof MQErrorClass) return typeof error.context.errno === 'string' ? error.context.errno : ''
  const code = (error as NodeJS.ErrnoException | null)?.code
  return typeof code === 'string' ? code : ''
}

export function diskError(what: string, path: string, cause: NodeJS.ErrnoException): MQError {
  const errno = cause.code ?? ''
  const [reason, advice] = VERDICTS[errno] ?? ['WAL_FAILED', 'look at the disk and at the log of the kernel']
  return walError(reason, `cannot ${what} ${path}: ${cause.message}; ${advice}`, { path, errno }, cause)
}

function call<T>(what: string, path: string, start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error === null || error === undefined) resolve(value as T)
      else reject(diskError(what, path, error))
    })
  })
}
