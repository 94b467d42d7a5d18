/**
 * wal.md 6.2, suite H: faults that the system itself makes, in processes of their own.
 * A scene that this machine does not permit is skipped by name with the reason, and counted as skipped.
 */
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { WalOptions } from '../../../lib/wal/index.js'
import { runScene, SceneProcess, sceneCommand, works } from './support/process.js'

const hasMounts = works('unshare', '-Urm', 'mount', '-t', 'tmpfs', 'none', '/mnt')
const hasStrace = works('strace', '-f', '-qq', '-e', 'trace=fdatasync', 'true')
const hasSetpriv =
  process.getuid?.() === 0 && works('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'true')
const without = (isThere: boolean, what: string) => (isThere ? '' : ` [skipped: ${what} is not permitted here]`)
const MOUNTS = without(hasMounts, 'unshare with mount')
const STRACE = without(hasStrace, 'strace')
const SETPRIV = without(hasSetpriv, 'setpriv as root')

/** Processes under a tracer, on a machine that has other things to do. */
vi.setConfig({ testTimeout: 120_000 })

let root = ''
let dir = ''

beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'wal-faults-'))
  dir = join(root, 'wal')
})
afterEach(() => {
  fs.rmSync(root, { recursive: true, force: true })
})

/** Words for `sh -c`. */
function quoted(command: readonly string[]): string {
  return command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
}

const scene = (name: string, options: Partial<WalOptions> = {}) => quoted(sceneCommand(name, dir, options))
const shell = (script: string) => runScene(['sh', '-ec', script])
/** A file system of its own of that size at `root`, gone with the process. */
const onTmpfs = (size: string, script: string) =>
  runScene(['unshare', '-Urm', 'sh', '-ec', `mount -t tmpfs -o size=${size},mode=0700 none ${root}; ${script}`])

/** One thread in the pool: strace counts calls per thread. */
const traced = (inject: string, name: string, options: Partial<WalOptions> = {}) =>
  runScene(
    [
      'strace',
      '-f',
      '-qq',
      '-o',
      '/dev/null',
      '-e',
      `trace=${inject.split(':')[0]}`,
      '-e',
      `inject=${inject}`,
      ...sceneCommand(name, dir, options),
    ],
    {
      UV_THREADPOOL_SIZE: '1',
    },
  )

/** Positions of items found in a log that is opened again, in order. */
async function itemsFound(): Promise<number[]> {
  const told = await shell(scene('read'))
  const opened = await told.line('opened')
  const items = told.lines.flatMap(({ crc }) => (Array.isArray(crc) ? (crc as string[]) : []))
  expect(items.length, told.errors).toBe(opened.recovered.records)
  return items.map((text) => Number(text.slice(5)))
}

describe('faults of the system (H)', () => {
  it.skipIf(!hasMounts)(
    `H, 3.8: a disk that fills up stops taking records, settles, and takes them again${MOUNTS}`,
    async () => {
      const told = await onTmpfs('1m', scene('fill', { maxBytes: 64 * 65_536 }))
      await told.line('opened')
      expect(
        told.lines.some(({ isFull }) => isFull === true),
        told.errors,
      ).toBe(true)
      expect(told.lines.filter(({ event }) => event === 'failed')).toEqual([])
      const afterSettling = told.lines.findIndex(({ settledThrough }) => settledThrough !== undefined)
      expect(told.lines.slice(afterSettling).filter(({ accepted }) => accepted !== undefined)).toHaveLength(3)
      expect((await told.line('closed')).closed).toBe(true)
    },
  )

  it.skipIf(!hasMounts)(`H, 3.8: on a full disk the log opens for draining only${MOUNTS}`, async () => {
    const told = await onTmpfs(
      '2m',
      `${scene('append', { spareSegments: 1 })}; rm -f ${dir}/spare-*; dd if=/dev/zero of=${root}/filler bs=4096 2>/dev/null || true; ${scene('drain', { spareSegments: 1 })}`,
    )
    const second = told.lines.findIndex(({ incarnation }) => incarnation === 2)
    expect(second, `${told.errors} ${JSON.stringify(told.lines.slice(-2))}`).toBeGreaterThan(0)
    expect(told.lines.slice(second).find(({ unsettled }) => unsettled !== undefined)?.unsettled).toBe(0)
    expect(told.lines.at(-1)?.closed).toBe(true)
  })

  it.skipIf(!hasMounts)(
    `H: a disk too small for a log is WAL_FULL naming the file, and leaves nothing${MOUNTS}`,
    async () => {
      const told = await onTmpfs('40k', `${scene('open')}; ls ${dir} >&2`)
      const { error } = await told.line('error')
      expect(error).toMatchObject({ code: 'POOL_EXHAUSTED', reason: 'WAL_FULL', errno: 'ENOSPC' })
      expect(error?.path).toContain('0000000000000001.wal.tmp')
      expect(told.errors.trim()).toBe('LOCK')
    },
  )

  it.skipIf(!hasMounts)(`H: a file system that is mounted read-only is WAL_PERMISSION${MOUNTS}`, async () => {
    const told = await onTmpfs('4m', `${scene('open')}; mount -o remount,ro ${root}; ${scene('open')}`)
    const { error } = await told.line('error')
    expect(error).toMatchObject({ reason: 'WAL_PERMISSION', errno: 'EROFS' })
    expect(error?.message).toContain('mounted read-only')
    const missing = await onTmpfs('4m', `mount -o remount,ro ${root}; ${scene('open')}`)
    expect((await missing.line('error')).error).toMatchObject({ reason: 'WAL_PERMISSION', errno: 'EROFS', path: dir })
  })

  it('H: a file-size limit below the segment is WAL_FULL with the limit to raise', async () => {
    const told = await shell(`ulimit -f 40; ${scene('open')}`)
    const { error } = await told.line('error')
    expect(error).toMatchObject({ reason: 'WAL_FULL', errno: 'EFBIG' })
    expect(error?.message).toContain('ulimit -f')
    expect(fs.readdirSync(dir)).toEqual(['LOCK'])
  })

  it('H: no descriptor left is WAL_FAILED with the limit to raise', async () => {
    const told = await shell(`ulimit -n 80; ${scene('descriptors')}`)
    const { error } = await told.line('error')
    expect(error).toMatchObject({ reason: 'WAL_FAILED', errno: 'EMFILE' })
    expect(error?.message).toContain('ulimit -n')
  })

  it.skipIf(!hasSetpriv)(
    `H: rights of a real user: no right to make, to write, to read, or not the owner${SETPRIV}`,
    async () => {
      const nobody = 'setpriv --reuid=65534 --regid=65534 --clear-groups'
      fs.chmodSync(root, 0o755)
      const asNobody = async () => (await (await shell(`${nobody} ${scene('open')}`)).line('error')).error
      expect(await asNobody()).toMatchObject({ reason: 'WAL_PERMISSION', errno: 'EACCES', path: dir })
      fs.mkdirSync(dir, { mode: 0o755 })
      expect((await asNobody())?.message).toContain('belongs to user 0, this process runs as 65534')
      fs.chownSync(dir, 65_534, 65_534)
      fs.chmodSync(dir, 0o500)
      expect((await asNobody())?.message).toContain('mode 0500')
      expect(fs.readdirSync(dir)).toEqual([])
      fs.chmodSync(dir, 0o700)
      expect((await (await shell(`${nobody} ${scene('open')}`)).line('closed')).closed).toBe(true)
      fs.chownSync(join(dir, 'MANIFEST'), 0, 0)
      expect(await asNobody()).toMatchObject({ reason: 'WAL_PERMISSION', errno: 'EACCES', path: join(dir, 'MANIFEST') })
    },
  )

  it.skipIf(!hasStrace).each([1, 2, 3, 5, 9])(
    `H, 3.7: the fdatasync number %i fails with EIO: no accepted record is lost${STRACE}`,
    async (number) => {
      const told = await traced(`fdatasync:error=EIO:when=${number}`, 'append')
      expect(told.lines.length, told.errors).toBeGreaterThan(0)
      const { error } = told.lines[0] as { error?: { reason?: string; errno?: string } }
      if (error !== undefined) expect(error.reason).toBe('WAL_FAILED')
      const accepted = told.accepted()
      expect((await itemsFound()).slice(0, accepted.length)).toEqual(accepted)
    },
  )

  it.skipIf(!hasStrace)(
    `H, 3.7: every fdatasync fails: nothing is accepted, the log says so and closes${STRACE}`,
    async () => {
      const made = await shell(scene('open'))
      expect((await made.line('closed')).closed).toBe(true)
      const told = await traced('fdatasync:error=EIO', 'append')
      expect(told.accepted()).toEqual([])
      expect((await told.line('error')).error?.reason).toBe('WAL_FAILED')
      expect(await itemsFound()).toEqual([])
    },
  )

  it.skipIf(!hasStrace).each([
    ['fdatasync', [1, 2, 3, 6, 14]],
    ['pwrite64', [1, 3, 8]],
    ['rename', [1, 2, 4]],
  ])(`H, 4.3: killed at a %s, the next opening has every accepted record${STRACE}`, async (call, numbers) => {
    for (const number of numbers) {
      fs.rmSync(dir, { recursive: true, force: true })
      const told = await traced(`${call}:signal=KILL:when=${number}`, 'append')
      const accepted = told.accepted()
      expect((await itemsFound()).slice(0, accepted.length), `killed at ${call} ${number}`).toEqual(accepted)
    }
  })

  it.skipIf(!hasStrace)(
    `H, 4.3: killed in recovery ten times in a row: the same records, no further segment${STRACE}`,
    async () => {
      const first = await traced('fdatasync:signal=KILL:when=30', 'append')
      const accepted = first.accepted()
      expect(accepted.length).toBeGreaterThan(3)
      const listing = () =>
        fs
          .readdirSync(dir)
          .filter((name) => name.endsWith('.wal'))
          .sort()
      const before = listing()
      for (let crash = 0; crash < 10; crash++) await traced('fdatasync:signal=KILL:when=1', 'open')
      expect(listing()).toEqual(before)
      expect((await itemsFound()).slice(0, accepted.length)).toEqual(accepted)
    },
  )

  it.skipIf(!hasStrace)(`H, 3.9: a slow disk is told of, and everything is accepted${STRACE}`, async () => {
    const told = await traced('fdatasync:delay_enter=1200000:when=12', 'append')
    expect(told.accepted(), told.errors).toHaveLength(60)
    expect(told.lines.filter(({ event }) => event === 'slowSync').length).toBeGreaterThan(0)
  })

  it.skipIf(!hasStrace)(
    `H, 3.9: a hanging disk: the event loop lives, close is bounded, the lock stays${STRACE}`,
    async () => {
      const told = new SceneProcess(
        [
          'strace',
          '-f',
          '-qq',
          '-o',
          '/dev/null',
          '-e',
          'trace=fdatasync',
          '-e',
          'inject=fdatasync:delay_enter=60000000:when=12',
          ...sceneCommand('hang', dir),
        ],
        { UV_THREADPOOL_SIZE: '1' },
      )
      try {
        const { closed, ms } = await told.line('closed')
        expect(closed).toBe(false)
        expect(ms).toBeLessThan(2_000)
        const { error } = await (await shell(scene('open'))).line('error')
        expect(error?.reason).toBe('WAL_LOCKED')
      } finally {
        const owner = told.lines.find(({ opened }) => opened !== undefined)?.opened
        if (owner !== undefined) process.kill(owner, 'SIGKILL')
        await told.kill()
      }
    },
  )

  it('H: a thread pool full of other work delays and loses nothing', async () => {
    const told = await runScene(sceneCommand('clogged', dir), { UV_THREADPOOL_SIZE: '2' })
    expect(told.accepted(), told.errors).toHaveLength(20)
    expect((await told.line('closed')).closed).toBe(true)
  })

  it('H: out of memory: what was accepted is there', async () => {
    const [node = '', ...words] = sceneCommand('out-of-memory', dir)
    const told = await runScene([node, '--max-old-space-size=40', ...words])
    expect(told.child.exitCode).not.toBe(0)
    expect(told.accepted()).toHaveLength(20)
    expect(await itemsFound()).toEqual(told.accepted())
  })
})
