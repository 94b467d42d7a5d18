/**
 * The file system as promises, for everything off the hot path, and the words for what it answers.
 * Invariant: a short write is an error (ENOSPC by nature), never a smaller success.
 * Source: wal.md 3.8, 6.1.
 */
import type { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import type { Done, FileFacts, FsFacts, WalFs } from '../fs.js'

/** Zero-filling and copying go in pieces of this size, so that nothing else waits long for the disk. */
const PIECE_BYTES = 1024 * 1024

/** Answers of a disk that has no room; whoever meets one goes on without a new file. */
export const NO_ROOM_CODES: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG']

export class FileCalls {
  readonly #fs: WalFs
  /** Every error of a call passes here once: it is counted by its code. */
  readonly #count: (code: string) => void

  constructor(fs: WalFs, count: (code: string) => void) {
    this.#fs = fs
    this.#count = count
  }

  open(path: string, mode: 'read' | 'write' | 'create'): Promise<number> {
    return this.#call((done) => this.#fs.open(path, mode, done))
  }
  close(fd: number): Promise<void> {
    return this.#call((done) => this.#fs.close(fd, done))
  }
  fdatasync(fd: number): Promise<void> {
    return this.#call((done) => this.#fs.fdatasync(fd, done))
  }
  fsyncDir(path: string): Promise<void> {
    return this.#call((done) => this.#fs.fsyncDir(path, done))
  }
  rename(from: string, to: string): Promise<void> {
    return this.#call((done) => this.#fs.rename(from, to, done))
  }
  unlink(path: string): Promise<void> {
    return this.#call((done) => this.#fs.unlink(path, done))
  }
  stat(path: string): Promise<FileFacts> {
    return this.#call((done) => this.#fs.stat(path, done))
  }
  statfs(path: string): Promise<FsFacts> {
    return this.#call((done) => this.#fs.statfs(path, done))
  }
  read(fd: number, into: Uint8Array, position: number): Promise<number> {
    return this.#call((done) => this.#fs.read(fd, into, position, done))
  }

  /** All of `bytes`, in pieces. */
  async writeAll(fd: number, bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, Math.min(bytes.length, at + PIECE_BYTES))
      const written = await this.#call<number>((done) => this.#fs.write(fd, piece, position + at, done))
      if (written !== piece.length) throw this.counted(shortWrite(written, piece.length, position + at))
    }
  }

  /** Zeroes from `position` to `end`. */
  async fillZero(fd: number, position: number, end: number): Promise<void> {
    const zeros = new Uint8Array(Math.min(PIECE_BYTES, end - position))
    for (let at = position; at < end; at += zeros.length) {
      await this.writeAll(fd, end - at < zeros.length ? zeros.subarray(0, end - at) : zeros, at)
    }
  }

  counted<E extends NodeJS.ErrnoException>(error: E): E {
    this.#count(error.code ?? 'UNKNOWN')
    return error
  }

  #call<T>(start: (done: Done<T>) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      start((error, value) => {
        if (error === null) resolve(value as T)
        else reject(this.counted(error))
      })
    })
  }
}

export function shortWrite(written: number, wanted: number, position: number): NodeJS.ErrnoException {
  const text = `the disk took ${written} of ${wanted} bytes at position ${position}`
  return Object.assign(new Error(text), { code: 'ENOSPC' })
}

export function codeOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code
  return typeof code === 'string' ? code : 'UNKNOWN'
}

/** What an error of the disk means for whoever runs the process. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the device: free space there',
  EDQUOT: 'the disk quota of the user is used up: raise it or free space',
  EFBIG: 'the file-size limit of the process is below wal.segmentBytes: raise it (ulimit -f)',
  EROFS: 'the file system became read-only: see the system log, it often follows an I/O error',
  EACCES: 'permission was refused: the directory must belong to the user of the process',
  EPERM: 'permission was refused: the directory must belong to the user of the process',
  EMFILE: 'the process has no descriptor left: raise its open-file limit (ulimit -n)',
  ENFILE: 'the system has no descriptor left: raise fs.file-max',
  EIO: 'the device reported an I/O error: check it, what was not synced may be lost on it',
  ENOENT: 'the file or its directory is gone: somebody else removed it',
}

/** The log's failure with the cause, the file and what to do. */
export function diskFailure(what: string, path: string, cause: unknown): MQError {
  const code = codeOf(cause)
  const advice = ADVICE[code] ?? 'see the cause'
  return walError('WAL_FAILED', `${what} ${path} failed with ${code}: ${advice}`, { file: path, errno: code }, cause)
}
