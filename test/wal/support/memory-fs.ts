/**
 * A file system of byte arrays for readers: nothing is ever lost here, but any range may be unreadable.
 * Answers come in a microtask, as `WalFs` promises: never before the call returned.
 */
import type { Done, FileFacts, FsFacts, Release, WalFs } from '../../../lib/wal/fs.js'

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code })
}

export class MemoryFs implements WalFs {
  readonly files = new Map<string, Uint8Array>()
  /** Ranges of paths that answer EIO. */
  readonly unreadable: { readonly path: string; readonly from: number; readonly to: number }[] = []
  /** Calls so far, by name. */
  readonly calls = new Map<string, number>()
  #open: (string | null)[] = []

  /** Descriptors that nobody closed. */
  get openCount(): number {
    return this.#open.filter((path) => path !== null).length
  }

  clone(): MemoryFs {
    const copy = new MemoryFs()
    for (const [path, bytes] of this.files) copy.files.set(path, bytes.slice())
    return copy
  }

  file(path: string): Uint8Array {
    const bytes = this.files.get(path)
    if (bytes === undefined) throw failure('ENOENT')
    return bytes
  }

  open(path: string, mode: 'read' | 'write' | 'create', done: Done<number>): void {
    this.#count('open')
    if (mode === 'create' && !this.files.has(path)) this.files.set(path, new Uint8Array(0))
    if (!this.files.has(path)) return this.#fail(done, 'ENOENT')
    this.#open.push(path)
    const fd = this.#open.length - 1
    queueMicrotask(() => done(null, fd))
  }

  read(fd: number, into: Uint8Array, position: number, done: Done<number>): void {
    this.#count('read')
    const path = this.#open[fd] ?? ''
    const bytes = this.file(path)
    const to = Math.min(position + into.length, bytes.length)
    for (const bad of this.unreadable) {
      if (bad.path === path && bad.from < to && bad.to > position) return this.#fail(done, 'EIO')
    }
    into.set(bytes.subarray(position, to))
    queueMicrotask(() => done(null, Math.max(0, to - position)))
  }

  write(fd: number, bytes: Uint8Array, position: number, done: Done<number>): void {
    const path = this.#open[fd] ?? ''
    const old = this.file(path)
    const file = old.length >= position + bytes.length ? old : new Uint8Array(position + bytes.length)
    if (file !== old) file.set(old)
    file.set(bytes, position)
    this.files.set(path, file)
    queueMicrotask(() => done(null, bytes.length))
  }

  close(fd: number, done: Done<void>): void {
    this.#open[fd] = null
    queueMicrotask(() => done(null))
  }

  readdir(path: string, done: Done<string[]>): void {
    const names = [...this.files.keys()].filter((name) => name.startsWith(`${path}/`))
    queueMicrotask(() =>
      done(
        null,
        names.map((name) => name.slice(path.length + 1)),
      ),
    )
  }

  rename(from: string, to: string, done: Done<void>): void {
    this.files.set(to, this.file(from))
    this.files.delete(from)
    queueMicrotask(() => done(null))
  }

  unlink(path: string, done: Done<void>): void {
    this.files.delete(path)
    queueMicrotask(() => done(null))
  }

  fdatasync(_fd: number, done: Done<void>): void {
    queueMicrotask(() => done(null))
  }

  fsyncDir(_path: string, done: Done<void>): void {
    queueMicrotask(() => done(null))
  }

  mkdir(_path: string, done: Done<void>): void {
    queueMicrotask(() => done(null))
  }

  stat(path: string, done: Done<FileFacts>): void {
    const bytes = this.files.get(path)
    if (bytes === undefined) return this.#fail(done, 'ENOENT')
    const facts = { kind: 'file', bytes: bytes.length, device: 1, inode: 1, mode: 0o600, userId: 0 } as const
    queueMicrotask(() => done(null, facts))
  }

  statfs(_path: string, done: Done<FsFacts>): void {
    queueMicrotask(() => done(null, { freeBytes: 2 ** 40, remote: null }))
  }

  lock(_path: string, _method: unknown, done: Done<Release>): void {
    queueMicrotask(() => done(null, () => {}))
  }

  #count(call: string): void {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1)
  }

  #fail<T>(done: Done<T>, code: string): void {
    queueMicrotask(() => done(failure(code)))
  }
}
