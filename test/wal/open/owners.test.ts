/** wal.md 6.2, suite G: one owner per directory, on the real disk, between real processes and threads. */
import { once } from 'node:events'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { silentLogger, systemClock } from '../../../lib/util/index.js'
import { decodeManifest, encodeManifest } from '../../../lib/wal/format/manifest.js'
import { type WalOptions, WriteAheadLog, walParts } from '../../../lib/wal/index.js'
import { listEvents, simOptions } from '../../support/wal-sim/index.js'
import { SceneProcess, sceneCommand } from './support/process.js'

const THREAD = new URL('./support/thread.ts', import.meta.url).href
/** A thread takes no loader on its command line. */
const LOADER = `import('tsx/esm/api').then(({ tsImport }) => tsImport('${THREAD}', '${THREAD}'))`

/** Processes that start, on a machine that has other things to do. */
vi.setConfig({ testTimeout: 60_000 })

let root = ''
let dir = ''
const processes: SceneProcess[] = []

beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'wal-owners-'))
  dir = join(root, 'wal')
})
afterEach(async () => {
  for (const process of processes.splice(0)) await process.kill()
  fs.rmSync(root, { recursive: true, force: true })
})

/** As the scenes have them. */
function options(more: Partial<WalOptions> = {}): WalOptions {
  return simOptions({ dir, owner: 'queue', segmentBytes: 65_536, maxBytes: 16 * 65_536, ...more })
}

const open = (more: Partial<WalOptions> = {}) =>
  WriteAheadLog.open(options(more), walParts(systemClock, silentLogger), listEvents([]))

function start(at = dir, more: Partial<WalOptions> = {}): SceneProcess {
  const process = new SceneProcess(sceneCommand('stay', at, more))
  processes.push(process)
  return process
}

async function owner(at = dir, more: Partial<WalOptions> = {}): Promise<SceneProcess> {
  const process = start(at, more)
  await process.line('opened')
  return process
}

async function append(process: SceneProcess, count: number): Promise<void> {
  const from = process.lines.length
  process.say(`append ${count}`)
  for (let seen = 0; seen < count; seen++) {
    const line = await process.line('accepted', from + seen)
    expect(line.accepted).toBeGreaterThanOrEqual(0)
  }
}

describe('one owner per directory (G)', () => {
  it('G: a second process is refused in under 100 ms, naming pid and host; the first goes on', async () => {
    const first = await owner()
    await append(first, 3)
    const second = start()
    const { error, ms, context } = await second.line('error')
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', reason: 'WAL_LOCKED', path: dir })
    expect(error?.message).toContain(`process ${first.child.pid} on `)
    expect(context).toMatchObject({ ownerPid: first.child.pid, ownerIncarnation: 1 })
    expect(ms).toBeLessThan(100)
    await append(first, 3)
    first.say('close')
    expect((await first.line('closed')).closed).toBe(true)
  })

  it('G: a second opening in the same process is refused, and nothing of it stays', async () => {
    const log = await open()
    await expect(open()).rejects.toMatchObject({ context: { reason: 'WAL_LOCKED', ownerPid: process.pid } })
    await log.close()
    const again = await open()
    expect(again.incarnation).toBe(2)
    await again.close()
    expect(descriptorsBelow(dir)).toEqual([])
  })

  it('G: of two worker threads one has it, and the other after it is closed', async () => {
    const workers = [1, 2].map(() => new Worker(LOADER, { eval: true, workerData: options() }))
    const told = await Promise.all(workers.map((worker) => once(worker, 'message').then(([word]) => word as string)))
    expect([...told].sort()).toEqual(['WAL_LOCKED', 'opened'])
    const winner = workers[told.indexOf('opened')]!
    winner.postMessage('close')
    expect(await once(winner, 'message')).toEqual(['closed'])
    const log = await open()
    await log.close()
    await Promise.all(workers.map((worker) => worker.terminate()))
  })

  it('G: an owner is killed: the next one has it at once, with everything accepted', async () => {
    const first = await owner()
    await append(first, 20)
    await first.kill()
    const from = performance.now()
    const log = await open()
    expect(performance.now() - from).toBeLessThan(1_000)
    expect(log.recovered).toMatchObject({ isNew: false, isClean: false, records: 20 })
    expect(log.recovered.previous).toMatchObject({ pid: first.child.pid, mayHaveLostPower: false, isOtherHost: false })
    expect(log.incarnation).toBe(2)
    await log.close()
  })

  it('G: an owner that is stopped keeps it, and goes on when it is continued', async () => {
    const first = await owner()
    await append(first, 2)
    first.child.kill('SIGSTOP')
    for (let turn = 0; turn < 10; turn++) {
      await expect(open()).rejects.toMatchObject({ context: { reason: 'WAL_LOCKED', ownerPid: first.child.pid } })
    }
    first.child.kill('SIGCONT')
    await append(first, 2)
    first.say('close')
    expect((await first.line('closed')).closed).toBe(true)
    const log = await open()
    expect(log.recovered).toMatchObject({ isClean: true, records: 4 })
    await log.close()
  })

  it('G: LOCK is deleted under its owner: others are refused all the same, and the owner fails at its next rotation', async () => {
    const first = await owner()
    await append(first, 2)
    fs.unlinkSync(join(dir, 'LOCK'))
    await expect(open()).rejects.toMatchObject({ context: { reason: 'WAL_LOCKED' } })
    first.say('append 100000')
    const { event } = await first.line('event')
    expect(event).toBe('failed')
  })

  it('G: a copied directory opens beside its original, says so, and never shares an opening with it', async () => {
    const first = await owner()
    await append(first, 5)
    const copy = join(root, 'copy')
    fs.cpSync(dir, copy, { recursive: true })
    fs.chmodSync(copy, 0o700)
    const clone = await owner(copy)
    await first.kill()
    const again = await owner()
    const [ofClone, ofOriginal] = [await clone.line('opened'), await again.line('opened')]
    expect(ofClone.walId).toBe(ofOriginal.walId)
    expect(ofClone.incarnation).toBe(ofOriginal.incarnation)
    expect(ofClone.incarnationId).not.toBe(ofOriginal.incarnationId)
    for (const { recovered } of [ofClone, ofOriginal]) {
      expect(recovered.records).toBe(5)
      expect(recovered.previous.incarnationId).toBe((await first.line('opened')).incarnationId)
      expect(recovered.previous.openedAtMs).toBeGreaterThan(0)
    }
  })

  it('G: the method of the directory is kept; an opener without it, or told another one, is refused', async () => {
    const log = await open({ lockMethod: 'pidfile' })
    await log.close()
    await expect(open({ lockMethod: 'flock' })).rejects.toMatchObject({
      context: { reason: 'WAL_LOCK_METHOD', lock: 'pidfile' },
    })
    const again = await open()
    expect(fs.readdirSync(dir)).toContain('LOCK.1.pid')
    await again.close()
    expect(fs.readdirSync(dir)).not.toContain('LOCK.1.pid')
    const path = join(dir, 'MANIFEST')
    const manifest = decodeManifest(fs.readFileSync(path))
    fs.writeFileSync(path, encodeManifest({ ...manifest, lock: 'pipe' }))
    await expect(open()).rejects.toMatchObject({ context: { reason: 'WAL_LOCK_METHOD', lock: 'pipe' } })
  })
})

function descriptorsBelow(folder: string): string[] {
  const targets = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // The descriptor of the listing itself.
    }
  })
  return targets.filter((target) => target.startsWith(folder))
}
