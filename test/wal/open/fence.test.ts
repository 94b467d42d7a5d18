/** wal.md 2.2, 3.9: nothing reaches the disk once the log is closed, and the lock waits for what is on its way. */
import { describe, expect, it } from 'vitest'
import type { WalFs } from '../../../lib/wal/index.js'
import { FencedFs } from '../../../lib/wal/open/fence.js'
import { SimDisk } from '../../support/wal-sim/index.js'

function world() {
  const disk = new SimDisk()
  disk.seed('/wal')
  const told: string[] = []
  const note = (word: string) => (error: NodeJS.ErrnoException | null) => {
    told.push(error === null ? word : `${word} ${error.code}`)
  }
  return { disk, fenced: new FencedFs(disk), told, note }
}

describe('the fence of an opening', () => {
  it('2.2: waits for every call on its way, then says so once', () => {
    const { disk, fenced, told, note } = world()
    fenced.open('/wal/a', 'create', note('open'))
    fenced.stat('/wal', note('stat'))
    fenced.fence(() => told.push('quiet'))
    expect(fenced.isQuiet).toBe(false)
    disk.complete()
    expect(told).toEqual(['open'])
    disk.complete()
    expect(told).toEqual(['open', 'stat'])
    disk.complete()
    expect(told).toEqual(['open', 'stat', 'quiet'])
    expect(fenced.isQuiet).toBe(true)
  })

  it('3.1: closes what its opening left open, each once, whoever closes it later', async () => {
    const { disk, fenced, told, note } = world()
    let fd = -1
    fenced.open('/wal/a', 'create', (_error, value) => {
      fd = value as number
    })
    disk.complete()
    expect(disk.open_.size).toBe(1)
    fenced.fence(() => told.push('quiet'))
    fenced.close(fd, note('late close'))
    await Promise.resolve()
    expect(told).toEqual(['late close'])
    disk.complete()
    expect(told).toEqual(['late close', 'quiet'])
    expect(disk.open_.size).toBe(0)
    expect(disk.violations).toEqual([])
  })

  it('2.2: says so at once when nothing is on its way', () => {
    const { fenced, told } = world()
    fenced.fence(() => told.push('quiet'))
    expect(told).toEqual(['quiet'])
  })

  it('2.2: afterwards no call but close reaches the disk, and each is answered after its method returned', async () => {
    const { disk, fenced, told, note } = world()
    fenced.fence(() => {})
    const calls: ((fs: WalFs) => void)[] = [
      (fs) => fs.open('/wal/a', 'create', note('open')),
      (fs) => fs.read(3, new Uint8Array(1), 0, note('read')),
      (fs) => fs.write(3, new Uint8Array(1), 0, note('write')),
      (fs) => fs.fdatasync(3, note('fdatasync')),
      (fs) => fs.fsyncDir('/wal', note('fsyncDir')),
      (fs) => fs.mkdir('/wal/b', note('mkdir')),
      (fs) => fs.rename('/wal/a', '/wal/b', note('rename')),
      (fs) => fs.unlink('/wal/a', note('unlink')),
      (fs) => fs.stat('/wal', note('stat')),
      (fs) => fs.readdir('/wal', note('readdir')),
      (fs) => fs.statfs('/wal', note('statfs')),
      (fs) => fs.lock('/wal/LOCK', 'flock', note('lock')),
    ]
    for (const call of calls) call(fenced)
    expect(told).toEqual([])
    await Promise.resolve()
    expect(told).toHaveLength(calls.length)
    expect(told.every((line) => line.endsWith(' EBADF'))).toBe(true)
    expect(disk.calls).toBe(0)
    expect(told).toHaveLength(calls.length)
  })

  it('2.2: a call that its predecessor begins in its callback counts before that one ends', () => {
    const { disk, fenced, told, note } = world()
    fenced.open('/wal/a', 'create', (_error, fd) => {
      told.push('first')
      fenced.close(fd as number, note('close'))
    })
    fenced.fence(() => told.push('quiet'))
    disk.complete()
    expect(told).toEqual(['first'])
    disk.complete()
    expect(told).toEqual(['first', 'close', 'quiet'])
  })

  it('2.2: a callback that throws still counts as an end', () => {
    const { disk, fenced, told } = world()
    fenced.stat('/wal', () => {
      throw new Error('of the caller')
    })
    fenced.fence(() => told.push('quiet'))
    expect(() => disk.complete()).toThrow('of the caller')
    expect(told).toEqual(['quiet'])
  })
})
