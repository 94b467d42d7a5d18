/**
 * flock(2) without native code: a helper process locks the descriptor it inherited, and we keep that descriptor.
 * Why it works: such a lock belongs to the open file description, which parent and helper share. It stays when the
 * helper ends and goes when our last descriptor closes, by us or by the kernel (Node opens with O_CLOEXEC, so no other
 * child of this process keeps it alive).
 * Two locks are taken: of the directory, which nobody can delete under a running owner, and of LOCK, which is the
 * target every release of this library agrees on. Source: wal.md 2.2; flock(1) of util-linux and busybox.
 */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import type { Release } from '../fs.js'
import { notHere, refused, systemError } from './system-errors.js'

const open = promisify(fs.open)
const fchmod = promisify(fs.fchmod)
const fstat = promisify(fs.fstat)
const lstat = promisify(fs.lstat)

const LOCK_FLAGS = fs.constants.O_RDWR | fs.constants.O_CREAT | (fs.constants.O_NOFOLLOW ?? 0)
const LOCK_MODE = 0o600
/** What flock(1) ends with when somebody else has the lock. */
const CONFLICT = 1
/** How often a LOCK that was replaced between opening and locking is tried again. */
const ATTEMPTS = 3

export async function lockByFlock(path: string): Promise<Release> {
  if (process.platform === 'win32') throw notHere('flock', 'Windows has none')
  const directory = await locked(await open(dirname(path), 'r'), path)
  const file = await closingOnError(directory, () => lockCurrentFile(path))
  return () => {
    fs.closeSync(file)
    fs.closeSync(directory)
  }
}

/** The file that has the name after it was locked: one that was deleted meanwhile protects nothing. */
async function lockCurrentFile(path: string): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const fd = await locked(await open(path, LOCK_FLAGS, LOCK_MODE), path)
    if (await closingOnError(fd, () => isStillAt(fd, path))) return fd
    fs.closeSync(fd)
  }
  throw systemError('EIO', `${path} is replaced again and again by somebody`)
}

async function isStillAt(fd: number, path: string): Promise<boolean> {
  await fchmod(fd, LOCK_MODE)
  const ours = await fstat(fd)
  try {
    const named = await lstat(path)
    return named.ino === ours.ino && named.dev === ours.dev
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** The same descriptor, locked; closed when that fails. */
function locked(fd: number, path: string): Promise<number> {
  return closingOnError(fd, async () => {
    const { code, words } = await runHelper(fd)
    if (code === 0) return fd
    if (code === CONFLICT) throw refused(path)
    throw systemError('EIO', `flock(1) ended with ${code} for ${path}: ${words}`)
  })
}

async function closingOnError<T>(fd: number, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    fs.closeSync(fd)
    throw error
  }
}

/** `flock -xn 3`: exclusive, without waiting, of the descriptor that stands fourth in `stdio`. */
function runHelper(fd: number): Promise<{ code: number | null; words: string }> {
  return new Promise((resolve, reject) => {
    const helper = spawn('flock', ['-xn', '3'], { stdio: ['ignore', 'ignore', 'pipe', fd], windowsHide: true })
    let words = ''
    helper.stderr?.setEncoding('utf8').on('data', (text: string) => {
      words += text
    })
    helper.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ENOENT' ? notHere('flock', 'no program of this name in PATH') : error),
    )
    helper.once('close', (code) => resolve({ code, words: words.trim() }))
  })
}
