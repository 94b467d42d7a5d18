/** wal.md 2.2: which method is taken, and what who is refused is told; on the simulated disk. */
import { describe, expect, it } from 'vitest'
import type { LockMethod } from '../../../lib/wal/index.js'
import { Disk } from '../../../lib/wal/open/disk.js'
import { acquireLock, writeOwner } from '../../../lib/wal/open/lock.js'
import { type DiskOptions, failNth, listLogger, SimDisk, simParts } from '../../support/wal-sim/index.js'

function world(options: DiskOptions = {}): SimDisk {
  const disk = new SimDisk({ isAutomatic: true, ...options })
  disk.seed('/wal')
  return disk
}

const acquire = (disk: SimDisk, recorded: LockMethod | null = null, wanted?: LockMethod) =>
  acquireLock(new Disk(disk), disk, '/wal', recorded, wanted)

describe('the lock of a directory', () => {
  it('2.2: a new directory takes the first method that works here', async () => {
    for (const [lockMethods, method] of [
      [['flock', 'sqlite', 'pidfile'], 'flock'],
      [['sqlite', 'pidfile'], 'sqlite'],
      [['pipe', 'pidfile'], 'pipe'],
      [['pidfile'], 'pidfile'],
    ] as const) {
      const lock = await acquire(world({ lockMethods }))
      expect(lock.method).toBe(method)
      lock.release()
    }
  })

  it('2.2, G: an opener that lacks the recorded method fails, although another one would succeed', async () => {
    const disk = world({ lockMethods: ['sqlite', 'pidfile'] })
    await expect(acquire(disk, 'flock')).rejects.toMatchObject({
      context: { reason: 'WAL_LOCK_METHOD', lock: 'flock' },
    })
    await expect(acquire(disk, 'flock')).rejects.toThrow('install flock')
    await expect(acquire(disk, 'pipe')).rejects.toThrow('open it on Windows')
    await expect(acquire(world({ lockMethods: [] }))).rejects.toThrow('flock, sqlite, pipe, pidfile')
  })

  it('2.2: an option that contradicts the directory is refused, naming both', async () => {
    await expect(acquire(world(), 'flock', 'pidfile')).rejects.toThrow(
      'made with the lock method flock, the option lockMethod says pidfile',
    )
    expect((await acquire(world(), 'pidfile', 'pidfile')).method).toBe('pidfile')
    expect((await acquire(world(), null, 'sqlite')).method).toBe('sqlite')
  })

  it('2.2, G: a refusal names pid, host and incarnation of the owner', async () => {
    const disk = world()
    const parts = simParts(disk, 1, { pid: 4711 })
    await acquire(disk)
    await expect(acquire(disk)).rejects.toThrow('a process that has not given its name yet')
    await writeOwner(new Disk(disk), parts, '/wal', 3)
    await expect(acquire(disk)).rejects.toThrow('in use by process 4711 on simulated')
    await expect(acquire(disk)).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      context: { reason: 'WAL_LOCKED', path: '/wal', ownerPid: 4711, ownerHost: 'simulated', ownerIncarnation: 3 },
    })
  })

  it('2.2: a disk that does not take the name of the owner is told of and hinders nobody', async () => {
    const disk = world()
    const lines: string[] = []
    await acquire(disk)
    disk.inject = failNth('write', 1, { code: 'ENOSPC' })
    await writeOwner(new Disk(disk), simParts(disk, 1, { logger: listLogger(lines) }), '/wal', 1)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('/wal/LOCK')
    expect(disk.open_.size).toBe(0)
  })

  it('2.2: an error of the disk is neither a refusal nor a missing method', async () => {
    const disk = world()
    disk.inject = failNth('lock', 1, { code: 'EMFILE' })
    await expect(acquire(disk)).rejects.toMatchObject({
      context: { reason: 'WAL_FAILED', errno: 'EMFILE', path: '/wal/LOCK' },
    })
  })
})
