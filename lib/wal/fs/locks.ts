/**
 * One owner per directory: the registry of this process first, then the method of the directory.
 * Every method but the pid file is released by the kernel when its owner dies, however it dies; no method asks a clock.
 * Source: wal.md 2.2.
 */
import { lstat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { LockMethod, Release } from '../fs.js'
import { register, unregister } from '../lock/registry.js'
import { lockByFlock } from './flock.js'
import { lockByPidfile } from './pidfile.js'
import { lockByPipe } from './pipe.js'
import { lockBySqlite } from './sqlite.js'
import { refused } from './system-errors.js'

const METHODS: Readonly<Record<LockMethod, (path: string) => Promise<Release>>> = {
  flock: lockByFlock,
  sqlite: lockBySqlite,
  pipe: lockByPipe,
  pidfile: lockByPidfile,
}

/** Rejects with EWOULDBLOCK when somebody has it, with ENOTSUP when the method does not exist here. */
export async function lockFile(path: string, method: LockMethod): Promise<Release> {
  const directory = await lstat(`${dirname(path)}/.`)
  if (!register(directory.dev, directory.ino)) throw refused(path)
  try {
    const release = await METHODS[method](path)
    return once(() => {
      release()
      unregister(directory.dev, directory.ino)
    })
  } catch (error) {
    unregister(directory.dev, directory.ino)
    throw error
  }
}

function once(task: () => void): Release {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    task()
  }
}
