/** wal.md 2.1: which directories may hold a log; on the simulated disk, where every fact can be set. */
import { describe, expect, it } from 'vitest'
import type { MQError } from '../../../lib/errors/index.js'
import type { WalOptions } from '../../../lib/wal/index.js'
import { checkedNames, prepareDirectory } from '../../../lib/wal/open/directory.js'
import { Disk } from '../../../lib/wal/open/disk.js'
import { type DiskOptions, failNth, SimDisk, simOptions, simParts } from '../../support/wal-sim/index.js'

function world(options: DiskOptions = {}): SimDisk {
  return new SimDisk({ isAutomatic: true, ...options })
}

async function prepare(disk: SimDisk, options: Partial<WalOptions> = {}): Promise<string[] | MQError> {
  const { host } = simParts(disk, 1)
  const { dir } = simOptions(options)
  const calls = new Disk(disk)
  return prepareDirectory(calls, simOptions(options), host)
    .then(() => checkedNames(calls, dir))
    .catch((error: MQError) => error)
}

async function refusal(disk: SimDisk, options: Partial<WalOptions> = {}): Promise<MQError> {
  const before = [...disk.names.cached.keys()]
  const outcome = await prepare(disk, options)
  if (Array.isArray(outcome)) throw new Error('the directory was taken')
  expect([...disk.names.cached.keys()], 'a refusal changes nothing').toEqual(before)
  return outcome
}

describe('the directory of a log', () => {
  it('2.1: is made when it is missing, with its parents', async () => {
    const disk = world()
    expect(await prepare(disk, { dir: '/var/lib/app/wal' })).toEqual([])
    expect(disk.names.get('/var/lib/app/wal')?.mode).toBe(0o700)
  })

  it('2.1: is refused when others may write to it, and taken with allowUnsafeDir', async () => {
    for (const mode of [0o720, 0o702, 0o777]) {
      const disk = world()
      disk.seed('/wal', 'directory', mode)
      const error = await refusal(disk)
      expect(error.context).toMatchObject({ reason: 'WAL_PERMISSION', path: '/wal' })
      expect(error.message).toContain(`mode 0${mode.toString(8)}`)
      expect(error.message).toContain('chmod 0700')
      expect(await prepare(disk, { allowUnsafeDir: true })).toEqual([])
    }
  })

  it('2.1: is refused when it belongs to somebody else, even to root', async () => {
    const disk = world({ userId: 1000 })
    disk.seed('/wal')
    const host = { ...simParts(disk, 1).host, userId: 0 }
    const prepared = prepareDirectory(new Disk(disk), simOptions(), host)
    await expect(prepared).rejects.toMatchObject({ context: { reason: 'WAL_PERMISSION' } })
    await expect(prepared).rejects.toThrow('belongs to user 1000, this process runs as 0')
  })

  it('2.1: a system without numbers of users asks for neither', async () => {
    const disk = world({ userId: 0 })
    disk.seed('/wal', 'directory', 0o777)
    const host = { ...simParts(disk, 1).host, userId: -1 }
    await expect(prepareDirectory(new Disk(disk), simOptions(), host)).resolves.toBeUndefined()
  })

  it('2.1: is refused when it is a symbolic link, a file or something else', async () => {
    for (const kind of ['symlink', 'file'] as const) {
      const disk = world()
      disk.seed('/wal', kind)
      const error = await refusal(disk)
      expect(error.context.reason).toBe('WAL_PERMISSION')
      expect(error.message).toContain(kind === 'symlink' ? 'symbolic link' : 'is a file, not a directory')
    }
  })

  it('2.1: is refused on a network or FUSE file system, and taken with allowUnsafeDir', async () => {
    const disk = world({ remote: 'nfs' })
    disk.seed('/wal')
    const error = await refusal(disk)
    expect(error.context).toMatchObject({ reason: 'WAL_NETWORK_FS', fileSystem: 'nfs', path: '/wal' })
    expect(error.message).toContain('use a local disk')
    expect(await prepare(disk, { allowUnsafeDir: true })).toEqual([])
  })

  it('2.1: is refused when its owner may not write to it', async () => {
    const disk = world()
    disk.seed('/wal', 'directory', 0o500)
    expect((await refusal(disk)).message).toContain('mode 0500, so that this process may not write')
  })

  it('2.1: is refused when a name of the log is a symbolic link or a directory; other names are nobody’s business', async () => {
    for (const name of ['MANIFEST', 'LOCK', '0000000000000001.wal', 'spare-0.seg']) {
      for (const kind of ['symlink', 'directory'] as const) {
        const disk = world()
        disk.seed('/wal')
        disk.seed(`/wal/${name}`, kind)
        const error = await refusal(disk, { allowUnsafeDir: true })
        expect(error.context).toMatchObject({ reason: 'WAL_PERMISSION', path: `/wal/${name}` })
      }
    }
    const disk = world()
    disk.seed('/wal')
    disk.seed('/wal/lost+found')
    disk.seed('/wal/notes', 'symlink')
    expect(await prepare(disk)).toEqual(expect.arrayContaining(['lost+found', 'notes']))
  })

  it.each([
    ['EACCES', 'WAL_PERMISSION', 'give this process the rights'],
    ['EROFS', 'WAL_PERMISSION', 'mount it writable'],
    ['ENOSPC', 'WAL_FULL', 'free space'],
    ['EDQUOT', 'WAL_FULL', 'quota'],
    ['EMFILE', 'WAL_FAILED', 'ulimit -n'],
    ['EIO', 'WAL_FAILED', 'look at the disk'],
  ])('2.1: %s while it is made becomes %s with the path and what to do', async (code, reason, advice) => {
    const disk = world()
    disk.inject = failNth('mkdir', 1, { code })
    const error = await refusal(disk)
    expect(error.context).toMatchObject({ reason, path: '/wal', errno: code })
    expect(error.message).toContain('/wal')
    expect(error.message).toContain(advice)
    expect((error.cause as NodeJS.ErrnoException).code).toBe(code)
  })
})
