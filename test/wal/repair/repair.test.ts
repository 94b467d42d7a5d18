/** wal.md 5, `repair`: plans change nothing, copies come first, and what is made is what was there. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import { decodeManifest, encodeManifest, MANIFEST_NAME, type Manifest } from '../../../lib/wal/format/manifest.js'
import { decodeSegmentHeader } from '../../../lib/wal/format/segment-header.js'
import {
  type LockMethod,
  lockOwnerOf,
  planAcceptMissing,
  planRebuildManifest,
  planRelock,
  type WalParts,
} from '../../../lib/wal/index.js'
import { encodeLockOwner } from '../../../lib/wal/lock/owner-text.js'
import { createLog } from '../../../lib/wal/open/create.js'
import { Disk } from '../../../lib/wal/open/disk.js'
import { SimDisk, simOptions, simParts, WAL_DIR } from '../../support/wal-sim/index.js'

const SEGMENT_BYTES = 16_384
const SEED = 4_711
const SEGMENT_1 = '0000000000000001.wal'

interface Stage {
  readonly disk: SimDisk
  readonly files: Disk
  readonly parts: WalParts
  readonly manifest: Manifest
}

async function stage(owner: 'producer' | 'queue' = 'producer', lock: LockMethod = 'flock'): Promise<Stage> {
  const disk = new SimDisk({ isAutomatic: true })
  disk.seed(WAL_DIR)
  const parts = simParts(disk, SEED)
  const files = new Disk(disk)
  await createLog(files, parts, simOptions({ segmentBytes: SEGMENT_BYTES, owner }), lock, [])
  return { disk, files, parts, manifest: await manifestOf(files) }
}

async function manifestOf(files: Disk): Promise<Manifest> {
  return decodeManifest((await files.readFile(`${WAL_DIR}/${MANIFEST_NAME}`, 16_384)) as Uint8Array)
}

async function put(files: Disk, name: string, bytes: Uint8Array): Promise<void> {
  await files.replaceFile(WAL_DIR, name, (fd, draft) => files.write(fd, draft, bytes, 0))
}

async function reasonOf(task: Promise<unknown>): Promise<unknown> {
  const error = await task.then(
    () => null,
    (raised: unknown) => raised,
  )
  expect(error).toBeInstanceOf(MQError)
  return (error as MQError).context.reason
}

const children = (disk: SimDisk, path = WAL_DIR) => disk.names.children(path).sort()
const changes = (disk: SimDisk) =>
  disk.trace.filter(({ kind }) => ['write', 'rename', 'unlink', 'mkdir'].includes(kind)).length

describe('repair --rebuild-manifest', () => {
  it('wal.md 5: makes the MANIFEST that was there, from the segments alone', async () => {
    const { disk, files, parts, manifest } = await stage()
    await files.unlink(`${WAL_DIR}/${MANIFEST_NAME}`)
    const plan = await planRebuildManifest(parts, WAL_DIR, { owner: 'producer' })
    expect(plan.steps).toEqual([expect.stringContaining(manifest.walId)])
    expect(plan.copies).toEqual([])
    expect(children(disk)).not.toContain(MANIFEST_NAME)
    const { copies } = await plan.apply()
    expect(await manifestOf(files)).toEqual(manifest)
    expect(copies).toEqual([expect.stringMatching(/quarantine\/rebuild-manifest-\d{8}T\d+Z\.json$/)])
  })

  it('wal.md 5: a damaged MANIFEST is copied before it is replaced', async () => {
    const { disk, files, parts, manifest } = await stage()
    const damaged = Buffer.from(encodeManifest(manifest))
    damaged[10] = 0x58
    await put(files, MANIFEST_NAME, damaged)
    const plan = await planRebuildManifest(parts, WAL_DIR, { owner: 'producer' })
    expect(plan.copies).toEqual([MANIFEST_NAME])
    const before = disk.trace.length
    const { copies } = await plan.apply()
    const [copy = ''] = copies
    expect(await files.readFile(copy, 16_384)).toEqual(new Uint8Array(damaged))
    const calls = disk.trace.slice(before)
    const synced = calls.findIndex(({ kind, path }) => kind === 'fdatasync' && path === copy)
    const replaced = calls.findIndex(({ kind, path }) => kind === 'rename' && path.includes(MANIFEST_NAME))
    expect(synced).toBeGreaterThan(-1)
    expect(replaced).toBeGreaterThan(synced)
    expect(await manifestOf(files)).toEqual(manifest)
  })

  it('wal.md 5: an undamaged MANIFEST stays, and nothing is written', async () => {
    const { disk, parts } = await stage()
    const before = changes(disk)
    const plan = await planRebuildManifest(parts, WAL_DIR)
    expect(plan.steps).toEqual([])
    expect(await plan.apply()).toEqual({ copies: [] })
    expect(changes(disk)).toBe(before)
  })

  it('wal.md 5: where no frame names a stream the operator must say whose log it is', async () => {
    const { files, parts } = await stage()
    await files.unlink(`${WAL_DIR}/${MANIFEST_NAME}`)
    expect(await reasonOf(planRebuildManifest(parts, WAL_DIR))).toBe('WAL_MANIFEST_MISSING')
  })

  it('wal.md 5: no segment, or segments of two logs, are refused', async () => {
    const one = await stage()
    const other = new SimDisk({ isAutomatic: true })
    other.seed(WAL_DIR)
    const foreign = new Disk(other)
    await createLog(foreign, simParts(other, SEED + 1), simOptions({ segmentBytes: SEGMENT_BYTES }), 'flock', [])
    const bytes = (await foreign.readFile(`${WAL_DIR}/${SEGMENT_1}`, SEGMENT_BYTES)) as Uint8Array
    await put(one.files, '0000000000000002.wal', bytes)
    await one.files.unlink(`${WAL_DIR}/${MANIFEST_NAME}`)
    const owner = { owner: 'producer' } as const
    expect(await reasonOf(planRebuildManifest(one.parts, WAL_DIR, owner))).toBe('WAL_CORRUPT')
    await one.files.unlink(`${WAL_DIR}/0000000000000002.wal`)
    await one.files.unlink(`${WAL_DIR}/${SEGMENT_1}`)
    expect(await reasonOf(planRebuildManifest(one.parts, WAL_DIR, owner))).toBe('WAL_SEGMENT_MISSING')
  })

  it('wal.md 2.2: the lock method is told by what it left behind', async () => {
    const { files, parts } = await stage('producer', 'sqlite')
    await put(files, 'LOCK.db', new Uint8Array(1))
    await files.unlink(`${WAL_DIR}/${MANIFEST_NAME}`)
    const plan = await planRebuildManifest(parts, WAL_DIR, { owner: 'producer' })
    expect(plan.warnings).toEqual([])
    await plan.apply()
    expect((await manifestOf(files)).lock).toBe('sqlite')
  })

  it('wal.md 2.2: with somebody at work it is refused', async () => {
    const { disk, files, parts } = await stage()
    await files.unlink(`${WAL_DIR}/${MANIFEST_NAME}`)
    const plan = await planRebuildManifest(parts, WAL_DIR, { owner: 'producer' })
    const release = await held(disk)
    expect(await reasonOf(plan.apply())).toBe('WAL_LOCKED')
    expect(children(disk)).not.toContain(MANIFEST_NAME)
    release()
  })
})

function held(disk: SimDisk, method: LockMethod = 'flock'): Promise<() => void> {
  return new Promise((resolve, reject) => {
    disk.lock(`${WAL_DIR}/LOCK`, method, (error, release) => {
      if (error === null) resolve(release as () => void)
      else reject(error)
    })
  })
}

describe('repair --relock', () => {
  it('wal.md 2.2: nothing to do where the method works and nobody has the log', async () => {
    const { parts, manifest, files } = await stage()
    const plan = await planRelock(parts, WAL_DIR)
    expect([plan.steps, plan.warnings]).toEqual([[], [expect.stringContaining('flock works here')]])
    await plan.apply()
    expect(await manifestOf(files)).toEqual(manifest)
  })

  it('wal.md 2.2: a method that does not exist here is replaced by the first that does', async () => {
    const { disk, files, parts, manifest } = await stage('producer', 'pipe')
    disk.lockMethods = ['sqlite', 'pidfile']
    const plan = await planRelock(parts, WAL_DIR)
    expect(plan.steps).toEqual(['write MANIFEST with the lock method sqlite instead of pipe'])
    expect(plan.warnings).toEqual([expect.stringContaining('nobody can tell from here')])
    const { copies } = await plan.apply()
    expect(await manifestOf(files)).toEqual({ ...manifest, lock: 'sqlite' })
    expect(copies[0]).toMatch(/relock-.*-MANIFEST$/)
  })

  it('wal.md 2.2: a wanted method is taken over while the old lock is held', async () => {
    const { disk, files, parts, manifest } = await stage()
    const plan = await planRelock(parts, WAL_DIR, 'pidfile')
    await plan.apply()
    expect(await manifestOf(files)).toEqual({ ...manifest, lock: 'pidfile' })
    expect(disk.locks.size).toBe(0)
  })

  it('wal.md 2.2: a lock that is held is not taken away', async () => {
    const { disk, parts } = await stage()
    const release = await held(disk)
    expect(await reasonOf(planRelock(parts, WAL_DIR, 'pidfile'))).toBe('WAL_LOCKED')
    release()
  })

  it('wal.md 2.2: a pid file of this boot of this host is a living owner; one of elsewhere may be taken away', async () => {
    const { disk, files, parts } = await stage('producer', 'pidfile')
    const text = (host: string, bootId: string) =>
      Buffer.from(`${JSON.stringify({ pid: 5, host, bootId, namespace: '', startedAt: '' })}\n`)
    const release = await held(disk, 'pidfile')
    await put(files, 'LOCK.1.pid', text(parts.host.host, parts.host.bootId))
    expect(await reasonOf(planRelock(parts, WAL_DIR))).toBe('WAL_LOCKED')
    await put(files, 'LOCK.1.pid', text('elsewhere', 'another-boot'))
    const plan = await planRelock(parts, WAL_DIR)
    expect(plan.steps).toEqual(['take LOCK.1.pid away'])
    expect(plan.warnings).toEqual([expect.stringContaining('process 5 on elsewhere')])
    release()
    const { copies } = await plan.apply()
    expect(children(disk)).not.toContain('LOCK.1.pid')
    expect(copies[0]).toMatch(/relock-.*-LOCK\.1\.pid$/)
  })

  it('wal.md 2.2: without MANIFEST, or with a method nobody has, it is refused', async () => {
    const { disk, files, parts } = await stage()
    disk.lockMethods = ['flock']
    expect(await reasonOf(planRelock(parts, WAL_DIR, 'sqlite').then((plan) => plan.apply()))).toBe('WAL_LOCK_METHOD')
    expect((await manifestOf(files)).lock).toBe('flock')
    await files.unlink(`${WAL_DIR}/${MANIFEST_NAME}`)
    expect(await reasonOf(planRelock(parts, WAL_DIR))).toBe('WAL_MANIFEST_MISSING')
  })
})

describe('repair --accept-missing', () => {
  it('wal.md 5: an empty segment with a good header takes the place, whole or not at all', async () => {
    const { files, parts, manifest } = await stage()
    const plan = await planAcceptMissing(parts, WAL_DIR, 2)
    expect(plan.steps).toEqual(['make an empty 0000000000000002.wal in the place of segment 2'])
    expect(plan.warnings).toEqual([expect.stringContaining('cannot be told')])
    await plan.apply()
    const bytes = (await files.readFile(`${WAL_DIR}/0000000000000002.wal`, SEGMENT_BYTES + 1)) as Uint8Array
    expect(bytes.length).toBe(SEGMENT_BYTES)
    const header = decodeSegmentHeader(bytes)?.header
    expect([header?.segment, Buffer.from(header?.walId ?? []).toString('hex')]).toEqual([2, manifest.walId])
    expect(bytes.subarray(4_096).every((byte) => byte === 0)).toBe(true)
  })

  it('wal.md 5: a segment that is there, one that never was, and a log at work are refused', async () => {
    const { disk, parts, files } = await stage()
    expect((await planAcceptMissing(parts, WAL_DIR, 1)).steps).toEqual([])
    expect(await reasonOf(planAcceptMissing(parts, WAL_DIR, 3))).toBe('WAL_SEGMENT_MISSING')
    const plan = await planAcceptMissing(parts, WAL_DIR, 2)
    const release = await held(disk)
    expect(await reasonOf(plan.apply())).toBe('WAL_LOCKED')
    expect(children(disk)).not.toContain('0000000000000002.wal')
    release()
    await files.unlink(`${WAL_DIR}/${MANIFEST_NAME}`)
    expect(await reasonOf(planAcceptMissing(parts, WAL_DIR, 2))).toBe('WAL_MANIFEST_MISSING')
  })
})

describe('the owner in LOCK', () => {
  it('wal.md 2.1: is told; null where nobody has written his name', async () => {
    const { files, parts } = await stage()
    expect(await lockOwnerOf(parts, WAL_DIR)).toBeNull()
    await put(files, 'LOCK', encodeLockOwner(parts.host, 7))
    expect(await lockOwnerOf(parts, WAL_DIR)).toMatchObject({ pid: parts.host.pid, incarnation: 7 })
  })
})
