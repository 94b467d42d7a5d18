/** wal.md 2.2: one owner per directory, by each method this machine has, between processes and within one. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hostFacts, type LockMethod, nodeWalFs, type Release } from '../../../lib/wal/index.js'

const CHILD = fileURLToPath(new URL('./lock-child.ts', import.meta.url))
const hasSqlite = process.getBuiltinModule?.('node:sqlite' as 'node:fs') !== undefined
const HERE: readonly LockMethod[] = hasSqlite ? ['flock', 'sqlite', 'pidfile'] : ['flock', 'pidfile']

let dir = ''
let path = ''
const children: ChildProcess[] = []

beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), 'wal-locks-'))
  path = join(dir, 'LOCK')
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  fs.rmSync(dir, { recursive: true, force: true })
})

/** The release, or the system's word for why not. */
function lock(method: LockMethod, at = path): Promise<Release | string> {
  return new Promise((resolve) => {
    nodeWalFs.lock(at, method, (error, release) => resolve(error === null ? (release as Release) : String(error.code)))
  })
}

/** What this process has open there, by /proc. */
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

async function mustLock(method: LockMethod): Promise<Release> {
  const outcome = await lock(method)
  if (typeof outcome === 'string') throw new Error(`the lock was refused: ${outcome}`)
  return outcome
}

async function childWith(method: LockMethod): Promise<{ child: ChildProcess; outcome: string }> {
  const child = fork(CHILD, [path, method], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  children.push(child)
  const [outcome] = (await once(child, 'message')) as [string]
  return { child, outcome }
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

describe.each(HERE)('the lock by %s', (method) => {
  it('2.2: is taken once in a process and free after its release', async () => {
    const release = await mustLock(method)
    expect(await lock(method)).toBe('EWOULDBLOCK')
    release()
    release()
    const again = await mustLock(method)
    again()
  })

  it('2.2: the same directory under another path is the same', async () => {
    const release = await mustLock(method)
    fs.symlinkSync(dir, `${dir}-alias`)
    expect(await lock(method, `${dir}-alias/LOCK`)).toBe('EWOULDBLOCK')
    fs.rmSync(`${dir}-alias`)
    release()
  })

  it('2.2, G: a second process is refused in under 100 ms, and has it at once when the owner is killed', async () => {
    const { child, outcome } = await childWith(method)
    expect(outcome).toBe('locked')
    const from = performance.now()
    expect(await lock(method)).toBe('EWOULDBLOCK')
    expect(performance.now() - from).toBeLessThan(100)
    await killed(child)
    const release = await mustLock(method)
    release()
  })

  it('2.2, G: a stopped owner still has it', async () => {
    const { child } = await childWith(method)
    child.kill('SIGSTOP')
    expect(await lock(method)).toBe('EWOULDBLOCK')
    child.kill('SIGCONT')
    const released = once(child, 'message')
    child.send('release')
    await released
    const release = await mustLock(method)
    release()
  })

  it('2.1: leaves no descriptor and no right for others behind', async () => {
    const release = await mustLock(method)
    expect(descriptorsBelow(dir).length > 0).toBe(method !== 'pidfile')
    for (const name of fs.readdirSync(dir)) expect(fs.statSync(join(dir, name)).mode & 0o077).toBe(0)
    await lock(method)
    release()
    expect(descriptorsBelow(dir)).toEqual([])
  })
})

describe('locks', () => {
  it('2.2, G: LOCK deleted under its owner: another process is refused all the same by flock', async () => {
    const { outcome } = await childWith('flock')
    expect(outcome).toBe('locked')
    fs.unlinkSync(path)
    expect(await lock('flock')).toBe('EWOULDBLOCK')
  })

  it('2.2, G: LOCK deleted by this process under its own lock is refused by the registry', async () => {
    const release = await mustLock('flock')
    fs.unlinkSync(path)
    expect(await lock('flock')).toBe('EWOULDBLOCK')
    expect(await lock('pidfile')).toBe('EWOULDBLOCK')
    release()
  })

  it('2.2: a helper that is not there is not a refusal: ENOTSUP, and so is the pipe of another system', async () => {
    const { PATH } = process.env
    process.env.PATH = dir
    try {
      expect(await lock('flock')).toBe('ENOTSUP')
    } finally {
      process.env.PATH = PATH
    }
    expect(await lock('pipe')).toBe(process.platform === 'win32' ? 'EWOULDBLOCK' : 'ENOTSUP')
    if (!hasSqlite) expect(await lock('sqlite')).toBe('ENOTSUP')
    const release = await mustLock('flock')
    release()
  })

  it('2.2: a LOCK that is a symbolic link is not followed', async () => {
    fs.symlinkSync(join(dir, 'elsewhere'), path)
    expect(await lock('flock')).toBe('ELOOP')
    expect(fs.existsSync(join(dir, 'elsewhere'))).toBe(false)
  })
})

describe('the pid file', () => {
  const namespace = process.platform === 'linux' ? fs.readlinkSync('/proc/self/ns/pid') : ''
  const { bootId } = hostFacts()
  const owner = { pid: 1, host: hostname(), bootId, namespace, startedAt: '1' }
  const write = (number: number, value: unknown) =>
    fs.writeFileSync(join(dir, `LOCK.${number}.pid`), typeof value === 'string' ? value : JSON.stringify(value))
  const pidFiles = () => fs.readdirSync(dir).filter((name) => name.endsWith('.pid'))

  it('2.2: is taken over from another boot of the machine, and the old file goes', async () => {
    write(7, { ...owner, pid: process.pid, bootId: 'an earlier boot' })
    const release = await mustLock('pidfile')
    expect(pidFiles()).toEqual(['LOCK.8.pid'])
    release()
    expect(pidFiles()).toEqual([])
  })

  it('2.2: is taken over when the pid was started at another time, or does not exist', async () => {
    write(1, { ...owner, pid: process.pid, startedAt: '1' })
    ;(await mustLock('pidfile'))()
    write(1, { ...owner, pid: 2 ** 22 + 1 })
    ;(await mustLock('pidfile'))()
  })

  it.each([
    ['a living process whose start is unknown', { ...owner, pid: process.pid, startedAt: '' }],
    ['another set of process numbers', { ...owner, pid: 2 ** 22 + 1, namespace: 'pid:[1]' }],
    ['a text of somebody else', 'no JSON'],
    ['an empty file', ''],
  ])('2.2: is never taken over from %s', async (_what, value) => {
    write(3, value)
    expect(await lock('pidfile')).toBe('EWOULDBLOCK')
    expect(pidFiles()).toEqual(['LOCK.3.pid'])
  })

  it('2.2: of many that take over at once exactly one has it', async () => {
    write(1, { ...owner, bootId: 'an earlier boot' })
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => childWith('pidfile')))
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual([
      'EWOULDBLOCK',
      'EWOULDBLOCK',
      'EWOULDBLOCK',
      'locked',
    ])
    expect(pidFiles()).toEqual(['LOCK.2.pid'])
  })
})
