/**
 * The real file system of a log: node:fs with nothing left to defaults.
 * Why so bare: rights are set explicitly (a umask may not widen or narrow them), no call follows a symbolic link (who
 * can plant one in the directory could have us write elsewhere), and every write names its position.
 * Invariant: `done` is called exactly once, never before the method returned. Source: wal.md 2.1, 6.1.
 */
import fs from 'node:fs'
import { dirname } from 'node:path'
import type { Done, FileFacts, FsFacts, LockMethod, Release, WalFs } from '../fs.js'
import { lockFile } from './locks.js'
import { remoteNameOf } from './remote.js'

const FILE_MODE = 0o600
const DIR_MODE = 0o700
/** Undefined where the system has none (Windows). */
const NO_FOLLOW = fs.constants.O_NOFOLLOW ?? 0
const DIRECTORY_ONLY = fs.constants.O_DIRECTORY ?? 0

const OPEN_FLAGS = {
  read: fs.constants.O_RDONLY | NO_FOLLOW,
  write: fs.constants.O_RDWR | NO_FOLLOW,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL | NO_FOLLOW,
} as const

export const nodeWalFs: WalFs = {
  open(path, mode, done) {
    fs.open(path, OPEN_FLAGS[mode], FILE_MODE, (error, fd) => {
      if (error !== null || mode !== 'create') done(error, fd)
      else setFileMode(fd, done)
    })
  },
  read(fd, into, position, done) {
    readAll(fd, into, 0, position, done)
  },
  write(fd, bytes, position, done) {
    fs.write(fd, bytes, 0, bytes.length, position, done)
  },
  fdatasync(fd, done) {
    fs.fdatasync(fd, done)
  },
  close(fd, done) {
    fs.close(fd, done)
  },
  fsyncDir(path, done) {
    // Windows opens no directory; its metadata journal keeps names in order by itself.
    if (process.platform === 'win32') setImmediate(done, null)
    else syncDirectory(path, done)
  },
  mkdir(path, done) {
    makeDirectory(path, true, done)
  },
  rename(from, to, done) {
    fs.rename(from, to, done)
  },
  unlink(path, done) {
    fs.unlink(path, done)
  },
  stat(path, done) {
    fs.lstat(path, (error, stats) => done(error, error === null ? factsOf(stats) : undefined))
  },
  readdir(path, done) {
    fs.readdir(path, done)
  },
  statfs(path, done) {
    fs.statfs(path, (error, stats) => done(error, error === null ? fsFactsOf(path, stats) : undefined))
  },
  lock(path: string, method: LockMethod, done: Done<Release>) {
    lockFile(path, method).then(
      (release) => done(null, release),
      (error: NodeJS.ErrnoException) => done(error),
    )
  },
}

function setFileMode(fd: number, done: Done<number>): void {
  fs.fchmod(fd, FILE_MODE, (error) => {
    if (error === null) done(null, fd)
    else fs.close(fd, () => done(error))
  })
}

/** Up to the end of the file: a system may give less than was asked for at any point. */
function readAll(fd: number, into: Uint8Array, have: number, position: number, done: Done<number>): void {
  fs.read(fd, into, have, into.length - have, position + have, (error, bytes) => {
    if (error !== null) done(error)
    else if (bytes === 0 || have + bytes === into.length) done(null, have + bytes)
    else readAll(fd, into, have + bytes, position, done)
  })
}

function syncDirectory(path: string, done: Done<void>): void {
  fs.open(path, fs.constants.O_RDONLY | DIRECTORY_ONLY, (error, fd) => {
    if (error !== null) done(error)
    else fs.fsync(fd, (failed) => fs.close(fd, (unclosed) => done(failed ?? unclosed)))
  })
}

/**
 * Level by level, each with its own rights and its name synced. Not by `recursive`, which follows a umask and, on a
 * file system that is mounted read-only, says ENOENT.
 */
function makeDirectory(path: string, mayMakeParent: boolean, done: Done<void>): void {
  fs.mkdir(path, DIR_MODE, (error) => {
    const parent = dirname(path)
    if (error === null) finishDirectory(path, done)
    else if (error.code === 'EEXIST') checkDirectory(path, error, done)
    else if (error.code !== 'ENOENT' || !mayMakeParent || parent === path) done(error)
    else {
      makeDirectory(parent, true, (failed) => {
        if (failed !== null) done(failed)
        else makeDirectory(path, false, done)
      })
    }
  })
}

function finishDirectory(path: string, done: Done<void>): void {
  fs.chmod(path, DIR_MODE, (error) => {
    if (error !== null) done(error)
    else syncParent(dirname(path), done)
  })
}

/** A parent that we may write to and not read cannot be synced: it is not ours to refuse that. */
function syncParent(parent: string, done: Done<void>): void {
  nodeWalFs.fsyncDir(parent, (error) => done(error?.code === 'EACCES' ? null : error))
}

/** What is there already is fine when it is a directory and no link to one. */
function checkDirectory(path: string, exists: NodeJS.ErrnoException, done: Done<void>): void {
  fs.lstat(path, (error, stats) => done(error ?? (stats.isDirectory() ? null : exists)))
}

function factsOf(stats: fs.Stats): FileFacts {
  return {
    kind: kindOf(stats),
    bytes: stats.size,
    device: stats.dev,
    inode: stats.ino,
    mode: stats.mode & 0o777,
    userId: stats.uid,
  }
}

function kindOf(stats: fs.Stats): FileFacts['kind'] {
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isDirectory()) return 'directory'
  return stats.isFile() ? 'file' : 'other'
}

function fsFactsOf(path: string, stats: fs.StatsFs): FsFacts {
  return { freeBytes: stats.bavail * stats.bsize, remote: remoteNameOf(process.platform, stats.type, path) }
}
