/** wal.md 2.1, 6.1: the real file system keeps what the interface promises. */
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger, systemClock } from '../../../lib/util/index.js'
import { remoteNameOf } from '../../../lib/wal/fs/remote.js'
import { type Done, type FileFacts, type FsFacts, hostFacts, nodeWalFs, walParts } from '../../../lib/wal/index.js'

let dir = ''
let umask = 0

beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), 'wal-node-fs-'))
  umask = process.umask()
})
afterEach(() => {
  process.umask(umask)
  fs.rmSync(dir, { recursive: true, force: true })
})

/** A call as a promise; it fails when `done` came before the method returned, or twice. */
function call<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let hasReturned = false
    let calls = 0
    start((error, value) => {
      calls++
      if (!hasReturned) reject(new Error('done was called before the method returned'))
      else if (calls > 1) reject(new Error('done was called twice'))
      else if (error) reject(error)
      else resolve(value as T)
    })
    hasReturned = true
  })
}

const open = (path: string, mode: 'read' | 'write' | 'create') =>
  call<number>((done) => nodeWalFs.open(path, mode, done))
const close = (fd: number) => call<void>((done) => nodeWalFs.close(fd, done))
const errnoOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: NodeJS.ErrnoException) => error.code,
  )

describe('the real file system of a log', () => {
  it('2.1: makes files 0600 and directories 0700, whatever the umask says', async () => {
    for (const mask of [0o000, 0o777]) {
      process.umask(mask)
      const file = join(dir, `file-${mask}`)
      await close(await open(file, 'create'))
      const nested = join(dir, `dir-${mask}`)
      await call<void>((done) => nodeWalFs.mkdir(nested, done))
      expect(fs.statSync(file).mode & 0o777).toBe(0o600)
      expect(fs.statSync(nested).mode & 0o777).toBe(0o700)
    }
  })

  it('2.1: makes parents too, each 0700, and leaves a directory that is there as it is', async () => {
    const nested = join(dir, 'a/b/c')
    await call<void>((done) => nodeWalFs.mkdir(nested, done))
    for (const path of ['a', 'a/b', 'a/b/c']) expect(fs.statSync(join(dir, path)).mode & 0o777).toBe(0o700)
    fs.chmodSync(nested, 0o750)
    await call<void>((done) => nodeWalFs.mkdir(nested, done))
    expect(fs.statSync(nested).mode & 0o777).toBe(0o750)
    fs.writeFileSync(join(dir, 'file'), '')
    fs.symlinkSync(nested, join(dir, 'link'))
    const make = (name: string) => errnoOf(call<void>((done) => nodeWalFs.mkdir(join(dir, name), done)))
    expect(await make('file')).toBe('EEXIST')
    expect(await make('link')).toBe('EEXIST')
    expect(await make('file/below')).toBe('ENOTDIR')
    expect(await make('link/below')).toBe('no error')
    fs.symlinkSync(join(dir, 'nowhere'), join(dir, 'dangling'))
    expect(await make('dangling/below')).toBe('EEXIST')
  })

  it('6.1: create is exclusive, and no mode follows a symbolic link', async () => {
    const file = join(dir, 'file')
    const link = join(dir, 'link')
    await close(await open(file, 'create'))
    fs.symlinkSync(file, link)
    expect(await errnoOf(open(file, 'create'))).toBe('EEXIST')
    expect(await errnoOf(open(link, 'create'))).toBe('EEXIST')
    expect(await errnoOf(open(link, 'read'))).toBe('ELOOP')
    expect(await errnoOf(open(link, 'write'))).toBe('ELOOP')
    expect(await errnoOf(open(join(dir, 'absent'), 'write'))).toBe('ENOENT')
    const facts = await call<FileFacts>((done) => nodeWalFs.stat(link, done))
    expect(facts.kind).toBe('symlink')
  })

  it('6.1: writes and reads at positions; fewer bytes only at the end of the file', async () => {
    const file = join(dir, 'file')
    const fd = await open(file, 'create')
    expect(await call<number>((done) => nodeWalFs.write(fd, Buffer.from('hello'), 3, done))).toBe(5)
    await call<void>((done) => nodeWalFs.fdatasync(fd, done))
    const into = new Uint8Array(16)
    expect(await call<number>((done) => nodeWalFs.read(fd, into, 1, done))).toBe(7)
    expect(Buffer.from(into.subarray(0, 7)).toString('latin1')).toBe('\0\0hello')
    expect(await call<number>((done) => nodeWalFs.read(fd, into, 8, done))).toBe(0)
    await close(fd)
    const facts = await call<FileFacts>((done) => nodeWalFs.stat(file, done))
    expect(facts).toMatchObject({ kind: 'file', bytes: 8, mode: 0o600, userId: process.getuid?.() })
    expect(facts.inode).toBe(fs.statSync(file).ino)
  })

  it('6.1: renames over, lists, deletes, syncs directories, and tells what is missing', async () => {
    await close(await open(join(dir, 'a'), 'create'))
    await close(await open(join(dir, 'b'), 'create'))
    await call<void>((done) => nodeWalFs.rename(join(dir, 'a'), join(dir, 'b'), done))
    await call<void>((done) => nodeWalFs.fsyncDir(dir, done))
    expect(await call<string[]>((done) => nodeWalFs.readdir(dir, done))).toEqual(['b'])
    await call<void>((done) => nodeWalFs.unlink(join(dir, 'b'), done))
    expect(await call<string[]>((done) => nodeWalFs.readdir(dir, done))).toEqual([])
    expect(await errnoOf(call<void>((done) => nodeWalFs.unlink(join(dir, 'b'), done)))).toBe('ENOENT')
    expect(await errnoOf(call<void>((done) => nodeWalFs.fsyncDir(join(dir, 'b'), done)))).toBe('ENOENT')
    expect(await errnoOf(call<FileFacts>((done) => nodeWalFs.stat(join(dir, 'b'), done)))).toBe('ENOENT')
  })

  it('2.1: tells free bytes and that a temporary directory is local', async () => {
    const facts = await call<FsFacts>((done) => nodeWalFs.statfs(dir, done))
    expect(facts.freeBytes).toBeGreaterThan(0)
    expect(facts.remote).toBeNull()
  })

  it('2.1: knows network and FUSE file systems by number, and Windows shares by path', () => {
    expect(remoteNameOf('linux', 0x6969, '/x')).toBe('nfs')
    expect(remoteNameOf('linux', 0x65735546, '/x')).toBe('fuse')
    expect(remoteNameOf('linux', 0x01021997, '/x')).toBe('9p')
    expect(remoteNameOf('linux', 0xff534d42 | 0, '/x')).toBe('cifs') // As a 32-bit system gives it: negative.
    expect(remoteNameOf('linux', 0xef53, '/x')).toBeNull() // ext4
    expect(remoteNameOf('linux', 0x01021994, '/x')).toBeNull() // tmpfs
    expect(remoteNameOf('darwin', 0x6969, '/x')).toBeNull()
    expect(remoteNameOf('win32', 0, '\\\\server\\share\\x')).toBe('smb')
    expect(remoteNameOf('win32', 0, '\\\\?\\C:\\x')).toBeNull()
    expect(remoteNameOf('win32', 0, 'C:\\x')).toBeNull()
  })

  it('2.2: host facts name this process, this boot and this user', () => {
    const facts = hostFacts()
    expect(facts).toMatchObject({ pid: process.pid, userId: process.getuid?.() })
    expect(facts.version).toMatch(/^\d+\.\d+\.\d+/)
    if (process.platform === 'linux') expect(facts.bootId).toMatch(/^[0-9a-f-]{36}$/)
    const { randomBytes } = walParts(systemClock, silentLogger)
    const [one, two] = [new Uint8Array(16), new Uint8Array(16)]
    randomBytes(one)
    randomBytes(two)
    expect(one).not.toEqual(two)
  })
})
