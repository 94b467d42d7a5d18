/** Looking at a directory that somebody else works in, and on a disk that refuses now and then. wal.md 2.8, 4.1, 5. */
import { describe, expect, it } from 'vitest'
import type { Done } from '../../../lib/wal/fs.js'
import { readFrames } from '../../../lib/wal/read/frames.js'
import { survey } from '../../../lib/wal/read/survey.js'
import { BOOT, DIR, LogBuilder } from '../support/build-log.js'
import { MemoryFs } from '../support/memory-fs.js'

const OPTIONS = { bootId: BOOT, verifyBodies: true, indexMaxBytes: 64 << 20 }

const SEGMENT_BYTES = 16_384

/** Lets something happen right before one of its calls is answered. */
class BusyFs extends MemoryFs {
  onList: () => void = () => {}
  onOpen: (path: string) => void = () => {}
  /** Reads of segments that answer EIO, from now on. */
  refusals = 0
  #opened = ''

  override readdir(path: string, done: Done<string[]>): void {
    super.readdir(path, done)
    this.onList()
  }

  override open(path: string, mode: 'read' | 'write' | 'create', done: Done<number>): void {
    this.onOpen(path)
    this.#opened = path
    super.open(path, mode, done)
  }

  override read(fd: number, into: Uint8Array, position: number, done: Done<number>): void {
    if (this.refusals === 0 || !this.#opened.endsWith('.wal')) return super.read(fd, into, position, done)
    this.refusals--
    queueMicrotask(() => done(Object.assign(new Error('EIO'), { code: 'EIO' })))
  }
}

function busyLog(): { fs: BusyFs; log: LogBuilder } {
  const fs = new BusyFs()
  const log = new LogBuilder({}, fs).begin(1).open().stream(0).batch(0).ack(0, 0, 0).pad().sync().roll(2, 1)
  log.batch(0).pad().sync().roll(3, 2).batch(0).pad()
  return { fs, log }
}

describe('reading beside somebody who writes', () => {
  it('wal.md 5: a segment that is recycled between listing and opening is not missed: the directory is looked at again', async () => {
    const { fs, log } = busyLog()
    let times = 0
    fs.onList = () => {
      if (times++ === 0) fs.files.delete(log.path(1))
    }
    const found = await survey(fs, DIR, OPTIONS)
    expect(found.findings).toEqual([])
    expect(found.segments.map(({ number }) => number)).toEqual([2, 3])
    expect(times).toBe(2)
    expect(fs.openCount).toBe(0)
  })

  it('wal.md 5: when it happens again, WAL_SEGMENT_MISSING with its cause, and no descriptor stays open', async () => {
    const { fs, log } = busyLog()
    const bytes = log.bytes(1)
    fs.onOpen = (path) => {
      if (path !== log.path(1)) return
      fs.files.delete(path)
      queueMicrotask(() => void fs.files.set(path, bytes))
    }
    await expect(survey(fs, DIR, OPTIONS)).rejects.toMatchObject({
      context: { reason: 'WAL_SEGMENT_MISSING', file: '0000000000000001.wal', errno: 'ENOENT' },
      cause: { code: 'ENOENT' },
    })
    expect(fs.openCount).toBe(0)
  })

  it.each([1, 2])('wal.md 5: readFrames, gone at its open number %i: WAL_SEGMENT_MISSING', async (nth) => {
    const { fs, log } = busyLog()
    let opens = 0
    fs.onOpen = (path) => {
      if (++opens === nth) fs.files.delete(path)
    }
    await expect(readFrames(fs, DIR, 2, () => {})).rejects.toMatchObject({
      context: { reason: 'WAL_SEGMENT_MISSING', path: log.path(2) },
      cause: { code: 'ENOENT' },
    })
    expect(fs.openCount).toBe(0)
  })
})

describe('a disk that refuses a read once', () => {
  it('wal.md 2.8: what is read at the second attempt counts, and the refusal is told', async () => {
    const { fs } = busyLog()
    fs.refusals = 1
    const found = await survey(fs, DIR, OPTIONS)
    expect(found.tables.unsettledRecords).toBe(2)
    expect(found.findings).toHaveLength(1)
    expect(found.findings[0]).toMatchObject({ kind: 'refusedRead', segment: 1, fromByte: 0, toByte: SEGMENT_BYTES })
    expect(found.findings[0]?.text).toContain('EIO')
    expect(found.end).not.toBeNull()
  })
})
