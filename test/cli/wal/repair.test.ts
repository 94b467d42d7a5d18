/** `wal repair` (WA-6, wal.md 5): the plan first, copies before changes, and a log that opens afterwards. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cliStage, jsonLines } from '../stage.js'
import {
  append,
  batchesOf,
  contentOf,
  crashed,
  flip,
  makeLog,
  newDirectory,
  openWal,
  segmentsOf,
  tear,
} from './logs.js'

const stage = cliStage()
const run = (...words: string[]) => stage.run(null, ['wal', ...words])
const repair = (dir: string, ...words: string[]) => run('repair', '--dir', dir, ...words)
const codeOf = async (dir: string) => (await run('verify', '--dir', dir)).code

function withoutLock(content: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(content).filter(([path]) => !/\/LOCK(\..*)?$/.test(path)))
}

/** The second batch (positions 2 and 3) is damaged; it was promised. */
async function damaged(): Promise<string> {
  const dir = newDirectory()
  await makeLog(dir)
  const [, second] = await batchesOf(dir, 1)
  flip(dir, segmentsOf(dir)[0] as string, (second?.at ?? 0) + 200)
  return dir
}

describe('wal repair', () => {
  it('wal.md 5: without a repair named it advises, and changes nothing', async () => {
    const clean = newDirectory()
    await makeLog(clean)
    expect(await repair(clean)).toMatchObject({ code: 0, stdout: 'nothing needs a repair\n' })
    const dir = await damaged()
    const before = contentOf(dir)
    expect(await repair(dir)).toMatchObject({ code: 2, stdout: expect.stringContaining('--quarantine') })
    expect(contentOf(dir)).toEqual(before)
    rmSync(join(dir, 'MANIFEST'))
    expect(await repair(dir)).toMatchObject({ code: 3, stdout: expect.stringContaining('--rebuild-manifest') })
    const [told] = jsonLines((await repair(dir, '--json')).stdout)
    expect(told).toMatchObject({ error: { context: { reason: 'WAL_MANIFEST_MISSING' } } })
  })

  it('wal.md 5: a torn tail needs none', async () => {
    const dir = newDirectory()
    const wal = await makeLog(dir, { isOpen: true, size: 10 })
    const torn = crashed(dir)
    await wal.close()
    await tear(torn)
    expect(await repair(torn)).toMatchObject({ code: 1, stdout: expect.stringContaining('nothing needs a repair') })
    expect(await repair(torn, '--quarantine', '--apply')).toMatchObject({ code: 0 })
  })

  it('wal.md 5: --quarantine tells what would be lost; with --apply it is copied, recorded, and the log opens', async () => {
    const dir = await damaged()
    const before = contentOf(dir)
    const plan = await repair(dir, '--quarantine')
    expect(plan.code).toBe(2)
    expect(plan.stdout).toMatch(/^quarantine: this would be done\n {2}give up corrupt: 0000000000000001\.wal bytes /)
    expect(plan.stdout).toContain('2 records would be lost at most: orders:0 positions 2..3')
    expect(plan.stdout).toContain('give --apply to do it')
    expect(contentOf(dir)).toEqual(before)
    const done = await repair(dir, '--quarantine', '--apply', '--json')
    expect(done.code).toBe(0)
    const [{ isDone, copies } = {}] = jsonLines(done.stdout)
    expect(isDone).toBe(true)
    expect((copies as string[]).length).toBeGreaterThanOrEqual(2)
    for (const path of copies as string[]) expect(readFileSync(path).length).toBeGreaterThan(0)
    expect(await codeOf(dir)).toBe(0)
    const [picture] = jsonLines((await run('inspect', '--dir', dir, '--json')).stdout)
    expect(picture).toMatchObject({
      unsettledRecords: 16,
      holes: [{ verdict: 'corrupt', ranges: [{ from: 2, to: 3 }] }],
    })
    expect((await run('inspect', '--dir', dir)).stdout).toContain('holes: losses that were told and accepted')
    expect(await repair(dir, '--quarantine', '--apply')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('nothing to do'),
    })
  })

  it('wal.md 5: --rebuild-manifest makes the one that was there', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    const manifest = readFileSync(join(dir, 'MANIFEST'), 'utf8')
    rmSync(join(dir, 'MANIFEST'))
    const plan = await repair(dir, '--rebuild-manifest')
    expect([plan.code, readdirSync(dir).includes('MANIFEST')]).toEqual([3, false])
    const done = await repair(dir, '--rebuild-manifest', '--apply')
    expect([done.code, done.stdout]).toEqual([0, expect.stringContaining('rebuild-manifest: done\n')])
    expect(readFileSync(join(dir, 'MANIFEST'), 'utf8')).toBe(manifest)
    expect(await codeOf(dir)).toBe(0)
  })

  it('wal.md 5: a damaged MANIFEST is kept in quarantine/; that of a queue says so', async () => {
    const dir = newDirectory()
    const wal = await openWal(dir, { owner: 'queue' })
    const stream = wal.streamOf('', '', 0)
    wal.appendItem(stream, Buffer.from('x'), 1)
    await wal.sync()
    await wal.close()
    const manifest = readFileSync(join(dir, 'MANIFEST'), 'utf8')
    flip(dir, 'MANIFEST', 30)
    expect((await repair(dir, '--rebuild-manifest', '--apply')).code).toBe(0)
    expect(readFileSync(join(dir, 'MANIFEST'), 'utf8')).toBe(manifest)
    expect(readdirSync(join(dir, 'quarantine')).filter((name) => name.endsWith('-MANIFEST'))).toHaveLength(1)
  })

  it('wal.md 5: --accept-missing goes on without a segment, and tells what it cost', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    const names = segmentsOf(dir)
    expect(names.length).toBeGreaterThan(2)
    const lost = await batchesOf(dir, 2)
    expect(lost.length).toBeGreaterThan(0)
    rmSync(join(dir, names[1] as string))
    expect((await repair(dir)).code).toBe(3)
    const plan = await repair(dir, '--accept-missing', '2')
    expect([plan.code, plan.stdout]).toEqual([3, expect.stringContaining('make an empty 0000000000000002.wal')])
    expect(segmentsOf(dir)).not.toContain(names[1])
    const done = await repair(dir, '--accept-missing', '2', '--apply')
    expect([done.code, done.stdout]).toEqual([0, expect.stringContaining('accept-missing: done')])
    const [picture] = jsonLines((await run('inspect', '--dir', dir, '--json')).stdout)
    expect(picture?.holes).toMatchObject([{ verdict: 'corrupt', fromLsn: expect.any(Number) }])
    const holes = picture?.holes as { fromLsn: number; toLsn: number; ranges: { from: number; to: number }[] }[]
    expect(holes.flatMap(({ ranges }) => ranges.map(({ from, to }) => to - from + 1))).toEqual([2 * lost.length])
    const wal = await openWal(dir)
    await append(wal, ['and on it goes'])
    await wal.close()
    expect(await codeOf(dir)).toBe(0)
  })

  it.each([
    ['the first', 0, 'the opening that follows tells which'],
    ['the last with frames', 2, 'without a count'],
  ])('wal.md 5: --accept-missing of %s segment opens a log that takes records again', async (_which, at, note) => {
    const dir = newDirectory()
    await makeLog(dir)
    const name = segmentsOf(dir)[at] as string
    rmSync(join(dir, name))
    const done = await repair(dir, '--accept-missing', String(at + 1), '--apply')
    expect([done.code, done.stdout]).toEqual([0, expect.stringContaining(note)])
    const before = jsonLines((await run('inspect', '--dir', dir, '--json')).stdout)[0]?.unsettledRecords as number
    expect(before).toBeGreaterThan(0)
    const wal = await openWal(dir)
    await append(wal, ['and on it goes'])
    await wal.close()
    const [after] = jsonLines((await run('inspect', '--dir', dir, '--json')).stdout)
    expect(after).toMatchObject({ unsettledRecords: before + 1 })
    expect(await codeOf(dir)).toBe(0)
  })

  it('wal.md 5: --relock changes the method, keeping the old MANIFEST', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    expect(await repair(dir, '--relock')).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing to do') })
    const plan = await repair(dir, '--relock', 'pidfile')
    expect(plan).toMatchObject({ code: 0, stdout: expect.stringContaining('lock method pidfile instead of flock') })
    expect((await repair(dir, '--relock', 'pidfile', '--apply')).code).toBe(0)
    expect((await run('inspect', '--dir', dir)).stdout).toContain('lock pidfile')
    const wal = await openWal(dir)
    expect((await repair(dir, '--relock', 'flock', '--apply')).code).toBe(4)
    await wal.close()
    expect((await repair(dir, '--relock', 'flock', '--apply')).code).toBe(0)
    expect(readdirSync(join(dir, 'quarantine')).filter((name) => name.endsWith('-MANIFEST'))).toHaveLength(2)
  })

  it('wal.md 5: with its producer at work nothing is applied: 4', async () => {
    const dir = await damaged()
    const copy = crashed(dir)
    const wal = await openWal(newDirectory())
    await wal.close()
    const held = await holding(copy)
    const before = withoutLock(contentOf(copy))
    expect((await repair(copy, '--quarantine', '--apply')).code).toBe(4)
    rmSync(join(copy, segmentsOf(copy)[1] as string))
    const second = withoutLock(contentOf(copy))
    expect((await repair(copy, '--accept-missing', '2', '--apply')).code).toBe(4)
    expect(withoutLock(contentOf(copy))).toEqual(second)
    expect(Object.keys(before).length).toBe(Object.keys(second).length + 1)
    held()
  })

  it('wal.md 5: wrong words are 5', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    const before = contentOf(dir)
    const wrong = [
      ['--apply'],
      ['--quarantine', '--rebuild-manifest'],
      ['--accept-missing', 'two'],
      ['--accept-missing', '0'],
      ['--accept-missing'],
      ['--relock', 'hope'],
      ['--owner', 'producer'],
      ['--rebuild-manifest', '--owner', 'me'],
      ['-b', 'localhost:9092'],
    ]
    for (const words of wrong) expect([words, (await repair(dir, ...words)).code]).toEqual([words, 5])
    expect(contentOf(dir)).toEqual(before)
    writeFileSync(join(dir, 'notes.txt'), 'not ours')
    expect((await repair(dir)).code).toBe(0)
  })
})

/** Holds the lock of a directory whose log does not open. */
async function holding(dir: string): Promise<() => void> {
  const { nodeWalFs } = await import('../../../lib/wal/index.js')
  return new Promise((resolve, reject) => {
    nodeWalFs.lock(join(dir, 'LOCK'), 'flock', (error, release) => {
      if (error === null) resolve(release as () => void)
      else reject(error)
    })
  })
}
