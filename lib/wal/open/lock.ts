/**
 * Taking the lock of a directory by the method it was made with, and saying who has it when somebody has.
 * Why no other method is tried then: two methods do not exclude each other, so a second one would always succeed.
 * Source: wal.md 2.2.
 */
import type { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import { LOCK_NAME } from '../format/manifest.js'
import type { LockMethod, Release, WalFs } from '../fs.js'
import { decodeLockOwner, encodeLockOwner, OWNER_TEXT_BYTES } from '../lock/owner-text.js'
import type { WalParts } from '../types.js'
import { type Disk, diskError, orNull } from './disk.js'

/** Tried in this order for a new directory. */
const METHODS: readonly LockMethod[] = ['flock', 'sqlite', 'pipe', 'pidfile']

export interface HeldLock {
  readonly method: LockMethod
  readonly release: Release
}

/**
 * @param recorded the method of MANIFEST, null for a new directory.
 * @throws MQError WAL_LOCKED naming the owner, WAL_LOCK_METHOD
 */
export async function acquireLock(
  disk: Disk,
  fs: WalFs,
  dir: string,
  recorded: LockMethod | null,
  wanted: LockMethod | undefined,
): Promise<HeldLock> {
  if (recorded !== null && wanted !== undefined && wanted !== recorded) throw otherMethod(dir, recorded, wanted)
  const only = recorded ?? wanted
  for (const method of only === undefined ? METHODS : [only]) {
    const release = await tryLock(disk, fs, dir, method)
    if (release !== null) return { method, release }
  }
  throw walError(
    'WAL_LOCK_METHOD',
    `${dir} needs the lock method ${only ?? METHODS.join(', ')}, which this machine does not have; another one would not exclude its owners: ${ADVICE[only ?? 'flock']}, or change the directory's method with "wal repair --relock"`,
    { path: dir, lock: only },
  )
}

const ADVICE: Readonly<Record<LockMethod, string>> = {
  flock: 'install flock (util-linux or busybox)',
  sqlite: 'run a Node.js release with node:sqlite (22.13 or later)',
  pipe: 'open it on Windows',
  pidfile: 'use a file system with hard links',
}

/** null: this machine does not have the method. */
function tryLock(disk: Disk, fs: WalFs, dir: string, method: LockMethod): Promise<Release | null> {
  const path = `${dir}/${LOCK_NAME}`
  return new Promise((resolve, reject) => {
    fs.lock(path, method, (error, release) => {
      if (error === null) resolve(release as Release)
      else if (error.code === 'ENOTSUP') resolve(null)
      else if (error.code !== 'EWOULDBLOCK') reject(diskError(`lock (${method})`, path, error))
      else refusal(disk, dir, error).then(reject, reject)
    })
  })
}

async function refusal(disk: Disk, dir: string, cause: Error): Promise<MQError> {
  const text = await disk.readFile(`${dir}/${LOCK_NAME}`, OWNER_TEXT_BYTES)
  const owner = text === null ? null : decodeLockOwner(text)
  const who = owner === null ? 'a process that has not given its name yet' : `process ${owner.pid} on ${owner.host}`
  return walError(
    'WAL_LOCKED',
    `${dir} is in use by ${who}: a log has one owner; stop it, or choose another wal.dir`,
    {
      path: dir,
      ...(owner === null ? {} : { ownerPid: owner.pid, ownerHost: owner.host, ownerIncarnation: owner.incarnation }),
    },
    cause,
  )
}

function otherMethod(dir: string, recorded: LockMethod, wanted: LockMethod): MQError {
  return walError(
    'WAL_LOCK_METHOD',
    `${dir} was made with the lock method ${recorded}, the option lockMethod says ${wanted}: remove the option, or change the directory's method with "wal repair --relock"`,
    { path: dir, lock: recorded, wanted },
  )
}

/** Our name into LOCK. It is information only: a disk that does not take it is told of and hinders nobody. */
export async function writeOwner(disk: Disk, parts: WalParts, dir: string, incarnation: number): Promise<void> {
  const path = `${dir}/${LOCK_NAME}`
  try {
    const fd = (await orNull(disk.open(path, 'write'), 'ENOENT')) ?? (await disk.open(path, 'create'))
    await disk.closing(fd, path, () => disk.write(fd, path, encodeLockOwner(parts.host, incarnation), 0))
  } catch (error) {
    parts.logger.warn('the owner of the log could not be written into LOCK', { path, error: String(error) })
  }
}
