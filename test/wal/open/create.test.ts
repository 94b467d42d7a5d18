/** wal.md 2.1: making a log, and every way of being interrupted at it. */
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../lib/util/index.js'
import { decodeManifest } from '../../../lib/wal/format/manifest.js'
import { decodeSegmentHeader } from '../../../lib/wal/format/segment-header.js'
import { createLog } from '../../../lib/wal/open/create.js'
import { Disk } from '../../../lib/wal/open/disk.js'
import { CrashStates, SimDisk, simOptions, simParts } from '../../support/wal-sim/index.js'

const SEGMENT_BYTES = 16_384
const SEED = Number(process.env.SEED ?? 20_261)

async function make(disk: SimDisk): Promise<void> {
  const options = simOptions({ segmentBytes: SEGMENT_BYTES })
  const names = disk.names.children('/wal')
  await createLog(new Disk(disk), simParts(disk, SEED), options, 'flock', names)
}

function newDisk(): SimDisk {
  const disk = new SimDisk({ isAutomatic: true })
  disk.seed('/wal')
  return disk
}

async function bytesOf(disk: SimDisk, name: string): Promise<Uint8Array | null> {
  return new Disk(disk).readFile(`/wal/${name}`, SEGMENT_BYTES + 1)
}

/** What must be there when it is done, however often it was begun. */
async function expectMade(disk: SimDisk, story: string): Promise<void> {
  expect(disk.names.children('/wal').sort(), story).toEqual(['0000000000000001.wal', 'MANIFEST'])
  const manifest = decodeManifest((await bytesOf(disk, 'MANIFEST')) as Uint8Array)
  const segment = (await bytesOf(disk, '0000000000000001.wal')) as Uint8Array
  expect(segment.length, story).toBe(SEGMENT_BYTES)
  const decoded = decodeSegmentHeader(segment)
  expect(decoded?.badCopies, story).toBe(0)
  expect(Buffer.from(decoded?.header.walId ?? []).toString('hex'), story).toBe(manifest.walId)
}

/** A disk on which making the log died before the call of that number; null: it had fewer calls. */
async function diedAt(call: number): Promise<SimDisk | null> {
  const disk = newDisk()
  let hasDied = false
  const gone = new Promise<void>((resolve) => {
    disk.inject = ({ index }) => {
      if (index !== call) return null
      hasDied = true
      queueMicrotask(resolve)
      return { isHung: true }
    }
  })
  await Promise.race([make(disk), gone])
  return hasDied ? disk : null
}

describe('making a log', () => {
  it('2.1: segment 1 stands synced under its name before MANIFEST exists', async () => {
    const disk = newDisk()
    await make(disk)
    await expectMade(disk, 'made')
    const steps = disk.trace
      .filter(({ kind }) => ['fdatasync', 'rename', 'fsyncDir'].includes(kind))
      .map(({ kind, path }) => `${kind} ${path}`)
    expect(steps).toEqual([
      'fsyncDir /',
      'fdatasync /wal/0000000000000001.wal.tmp',
      'rename /wal/0000000000000001.wal.tmp',
      'fsyncDir /wal',
      'fdatasync /wal/MANIFEST.tmp',
      'rename /wal/MANIFEST.tmp',
      'fsyncDir /wal',
    ])
    expect(disk.open_.size).toBe(0)
    expect(disk.violations).toEqual([])
  })

  it('2.1, 4.3: killed before any call, it starts again and comes to the same end', async () => {
    let deaths = 0
    for (let call = 0; ; call++) {
      const dead = await diedAt(call)
      if (dead === null) break
      deaths++
      const disk = SimDisk.fromImage(dead.image(), { isAutomatic: true })
      if (disk.names.get('/wal/MANIFEST') === undefined) await make(disk)
      await expectMade(disk, `killed before call ${call}`)
    }
    expect(deaths).toBeGreaterThan(10)
  })

  it(`2.1, 4.3: after a power loss at any call, with any pages and names lost, too (seed ${SEED})`, async () => {
    let states = 0
    for (let call = 0; ; call++) {
      const dead = await diedAt(call)
      if (dead === null) break
      const images: Parameters<typeof SimDisk.fromImage>[0][] = []
      new CrashStates(dead, 'power').forEach(64, seededRandom(SEED + call), (state) => {
        if (!Number.isNaN(state.hash())) images.push(state.image())
      })
      for (const image of images) {
        const disk = SimDisk.fromImage(image, { isAutomatic: true })
        if (disk.names.get('/wal') === undefined) continue
        states++
        if (disk.names.get('/wal/MANIFEST') === undefined) await make(disk)
        await expectMade(disk, `power lost before call ${call}, state ${states}`)
      }
    }
    expect(states).toBeGreaterThan(100)
  })

  it('2.1: spares without a log are of no known size, and go', async () => {
    const disk = newDisk()
    disk.seed('/wal/spare-0.seg', 'file')
    disk.seed('/wal/spare-1.seg.tmp', 'file')
    await make(disk)
    await expectMade(disk, 'with spares')
  })

  it('2.1: segments with data and no MANIFEST are WAL_MANIFEST_MISSING, and nothing is changed', async () => {
    const made = newDisk()
    await make(made)
    const data = made.names.get('/wal/0000000000000001.wal')
    data?.write(Uint8Array.of(1), SEGMENT_BYTES - 1)
    made.names.unlink('/wal/MANIFEST')
    const before = made.image()
    await expect(make(made)).rejects.toMatchObject({
      context: { reason: 'WAL_MANIFEST_MISSING', segments: 1 },
      fatal: true,
    })
    expect(made.image()).toEqual(before)

    const second = newDisk()
    await make(second)
    second.names.rename('/wal/0000000000000001.wal', '/wal/0000000000000002.wal')
    second.names.unlink('/wal/MANIFEST')
    await expect(make(second)).rejects.toMatchObject({ context: { reason: 'WAL_MANIFEST_MISSING' } })

    const foreign = newDisk()
    foreign.seed('/wal/0000000000000001.wal', 'file').write(Buffer.from('of somebody else'), 0)
    await expect(make(foreign)).rejects.toMatchObject({ context: { reason: 'WAL_MANIFEST_MISSING' } })
  })

  it('2.1: an empty segment 1 without MANIFEST holds nothing: making starts again', async () => {
    const disk = newDisk()
    disk.seed('/wal/0000000000000001.wal', 'file')
    await make(disk)
    await expectMade(disk, 'from an empty file')
  })

  it('2.1: a short write goes on where it ended', async () => {
    const disk = newDisk()
    disk.inject = ({ kind, bytes }) => (kind === 'write' && bytes > 100 ? { written: Math.ceil(bytes / 2) } : null)
    await make(disk)
    await expectMade(disk, 'in pieces')
  })

  it('3.8: a full disk is WAL_FULL naming the file, and the draft goes', async () => {
    const disk = newDisk()
    disk.capacityBytes = 8_192
    await expect(make(disk)).rejects.toMatchObject({
      context: { reason: 'WAL_FULL', errno: 'ENOSPC', path: '/wal/0000000000000001.wal.tmp' },
    })
    expect(disk.names.children('/wal')).toEqual([])
    expect(disk.open_.size).toBe(0)
  })
})
