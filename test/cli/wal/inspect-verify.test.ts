/** `wal inspect` and `wal verify` (WA-6, wal.md 5): what they say, by which code they end, and that they change nothing. */
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
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
const inspect = (dir: string, ...words: string[]) => run('inspect', '--dir', dir, ...words)
const verify = (dir: string, ...words: string[]) => run('verify', '--dir', dir, ...words)

describe('wal inspect', () => {
  it('WA-6: tells segments, streams, identities, what is unsettled and in doubt', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    const before = contentOf(dir)
    const { code, stdout, stderr } = await inspect(dir, '--json')
    expect([code, stderr]).toEqual([0, ''])
    const [picture] = jsonLines(stdout)
    expect(picture).toMatchObject({
      dir,
      owner: 'producer',
      clusterId: 'cluster-a',
      isClosed: true,
      isMoving: false,
      unsettledRecords: 18,
      unsettledBatches: 9,
      identities: [{ producerId: '7', epoch: 0, clusterId: 'cluster-a' }],
      holes: [],
      findings: [],
      lastOpen: { incarnation: 1, durability: 'immediate', pid: process.pid },
    })
    expect(picture?.streams).toMatchObject([
      {
        topic: 'orders',
        partition: 0,
        nextPosition: 20,
        settledThrough: 2,
        lastAckedOffset: 101,
        unsettled: { batches: 9, records: 18, from: 2, to: 19 },
        inDoubt: { batches: 7, records: 14, from: 2, to: 15, identities: ['7/0'] },
        isHeld: false,
      },
    ])
    const segments = picture?.segments as { file: string; unsettledRecords: number; state: string }[]
    expect(segments.map(({ file }) => file)).toEqual(segmentsOf(dir))
    expect(segments.length).toBeGreaterThan(1)
    expect(segments.reduce((sum, { unsettledRecords }) => sum + unsettledRecords, 0)).toBe(18)
    expect(contentOf(dir)).toEqual(before)
  })

  it('WA-6: shows the same to people', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    const { code, stdout } = await inspect(dir)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^.*: log [0-9a-f]{32} of a producer, format 1\.0, lock flock\n/)
    expect(stdout).toContain('  state      closed\n')
    expect(stdout).toContain('  unsettled  18 records in 9 batches, 7 of them in doubt\n')
    expect(stdout).toMatch(/^ {2}orders:0 +20 +2 +18 \(positions 2\.\.19\) +14 \(positions 2\.\.15\) +101$/m)
    expect(stdout).toMatch(/^ {2}7 +0 +cluster-a$/m)
  })

  it('WA-6: what an earlier incarnation left in doubt is held, or being resolved', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    await (await openWal(dir)).close()
    const [picture] = jsonLines((await inspect(dir, '--json')).stdout)
    expect(picture?.streams).toMatchObject([{ isHeld: true }])
    expect((await inspect(dir)).stdout).toContain('held, or being resolved')
  })

  it('WA-6: works while its owner writes, takes no lock, and does not call the end torn', async () => {
    const dir = newDirectory()
    const wal = await openWal(dir)
    await wal.defineIdentity(7n, 0, 'cluster-a')
    let isDone = false
    let written = 0
    const writing = (async () => {
      while (!isDone) {
        await append(wal, [`v${written}`], { size: 500 })
        const stream = wal.streamOf('orders', '', 0)
        if (written >= 4) wal.settle(stream, written - 4, written - 4, 0, written)
        written++
      }
    })()
    for (let looks = 0; looks < 6 || written < 300; looks++) {
      const { code, stderr, stdout } = await (looks % 2 === 0 ? inspect : verify)(dir, '--json')
      expect([code, stdout.includes('"finding"')]).toEqual([0, false])
      expect(stderr).toMatch(/^(segment \d+ was freed by the producer meanwhile\n)*$/)
    }
    isDone = true
    await writing
    expect(segmentsOf(dir).at(-1)).not.toBe('0000000000000001.wal')
    await append(wal, ['and it still writes'])
    await wal.close()
  }, 60_000)

  it('WA-6: says who has it while it is open', async () => {
    const dir = newDirectory()
    const wal = await makeLog(dir, { isOpen: true })
    const { code, stdout } = await inspect(dir)
    expect([code, stdout]).toEqual([0, expect.stringContaining(`not closed: in use by process ${process.pid} on `)])
    const [picture] = jsonLines((await inspect(dir, '--json')).stdout)
    expect(picture).toMatchObject({ isClosed: false, lockOwner: { pid: process.pid, incarnation: 1 } })
    await wal.close()
  })
})

describe('wal verify', () => {
  it('wal.md 5: clean is 0, with what was read', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    const before = contentOf(dir)
    const { code, stdout } = await verify(dir, '--json')
    expect(code).toBe(0)
    expect(jsonLines(stdout)).toEqual([
      { summary: expect.objectContaining({ exitCode: 0, findings: 0, batches: 10, records: 20, isClosed: true }) },
    ])
    expect((await verify(dir)).stdout).toMatch(/: clean; \d+ frames, 20 records, .* read in \d+\.\d s\n$/)
    expect(contentOf(dir)).toEqual(before)
  })

  it('wal.md 5: a torn tail alone is 1, with its place', async () => {
    const dir = newDirectory()
    const wal = await makeLog(dir, { isOpen: true, size: 10 })
    const torn = crashed(dir)
    await wal.close()
    const name = segmentsOf(torn).at(-1) as string
    const last = (await batchesOf(torn, 1)).at(-1)
    expect(await verify(torn)).toMatchObject({ code: 0 }) // Its owner died between two writes.
    await tear(torn)
    const { code, stdout } = await verify(torn, '--json')
    expect(code).toBe(1)
    const [found] = jsonLines(stdout) as { finding: { kind: string; file: string; fromByte: number } }[]
    expect(found?.finding).toMatchObject({ kind: 'torn', file: name })
    expect(found?.finding.fromByte).toBeGreaterThan(last?.at ?? 0)
    expect((await inspect(torn)).code).toBe(1)
    expect((await verify(torn)).stdout).toContain('only what a crash leaves')
  })

  it('wal.md 5: damage of what was promised is 2, with LSN, place and positions', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    const [name = ''] = segmentsOf(dir)
    const [, second] = await batchesOf(dir, 1)
    flip(dir, name, (second?.at ?? 0) + 200)
    const before = contentOf(dir)
    const { code, stdout } = await verify(dir, '--json')
    expect(code).toBe(2)
    const findings = jsonLines(stdout).flatMap(({ finding }) => (finding === undefined ? [] : [finding]))
    expect(findings).toMatchObject([
      {
        kind: 'corrupt',
        file: name,
        segment: 1,
        fromLsn: second?.lsn,
        toLsn: second?.lsn,
        ranges: [{ from: 2, to: 3 }],
      },
    ])
    const text = (await verify(dir)).stdout
    expect(text).toContain(`corrupt: ${name} bytes ${second?.at}..`)
    expect(text).toContain(`LSN ${second?.lsn}`)
    expect((await inspect(dir)).code).toBe(2)
    expect(contentOf(dir)).toEqual(before)
  })

  it.each([
    ['records', { count: 3 }, 'the log says records 3, its batch says 2'],
    ['sequence', { baseSequence: 5 }, 'the log says base sequence 5, its batch says 0'],
  ])('wal.md 5: a batch that is not what the log says of it is 2: %s', async (_what, lie, text) => {
    const dir = newDirectory()
    const wal = await openWal(dir)
    await wal.defineIdentity(7n, 0, 'cluster-a')
    const lsn = await append(wal, ['a', 'b'], { identity: { producerId: 7n, epoch: 0, baseSequence: 0 }, lie })
    await wal.close()
    const { code, stdout } = await verify(dir)
    expect(code).toBe(2)
    expect(stdout).toContain(`LSN ${lsn}: ${text}`)
    const [{ finding } = { finding: {} }] = jsonLines((await verify(dir, '--json')).stdout)
    expect(finding).toMatchObject({ kind: 'batch', segment: 1, fromLsn: lsn, toLsn: lsn, text })
  })

  it('wal.md 5: of a queue the items are its own; the frames are checked', async () => {
    const dir = newDirectory()
    const wal = await openWal(dir, { owner: 'queue' })
    const stream = wal.streamOf('', '', 0)
    wal.appendItem(stream, Buffer.from('hello'), 5)
    wal.flush()
    await wal.sync()
    await wal.close()
    expect(jsonLines((await verify(dir, '--json')).stdout)).toMatchObject([{ summary: { exitCode: 0, records: 1 } }])
    expect((await inspect(dir)).stdout).toContain('of a queue')
  })
})

describe('what cannot be read', () => {
  it.each([inspect, verify])('wal.md 5: missing is 3: the directory, MANIFEST, a segment', async (command) => {
    const dir = newDirectory()
    const absent = await command(dir)
    expect([absent.code, absent.stderr]).toEqual([3, expect.stringContaining(`${dir} is no directory`)])
    await makeLog(dir)
    const second = crashed(dir)
    rmSync(join(second, segmentsOf(second)[1] as string))
    const gone = await command(second)
    expect([gone.code, gone.stderr]).toEqual([3, expect.stringMatching(/^tandem-mq: WAL_SEGMENT_MISSING: /)])
    rmSync(join(dir, 'MANIFEST'))
    const headless = await command(dir, '--json')
    expect(headless.code).toBe(3)
    expect(jsonLines(headless.stderr)).toMatchObject([{ error: { context: { reason: 'WAL_MANIFEST_MISSING' } } }])
  })

  it('wal.md 5: a damaged MANIFEST is 2; a file where a directory should be 3', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    flip(dir, 'MANIFEST', 20)
    expect(await verify(dir)).toMatchObject({ code: 2, stderr: expect.stringContaining('WAL_CORRUPT') })
    const file = join(dir, 'a-file')
    writeFileSync(file, '')
    expect((await inspect(file)).code).toBe(3)
  })

  it.skipIf(process.getuid?.() === 0)('wal.md 5: without rights it is 3', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    chmodSync(join(dir, 'MANIFEST'), 0o000)
    expect(await inspect(dir)).toMatchObject({ code: 3, stderr: expect.stringContaining('WAL_PERMISSION') })
  })

  it('wal.md 5: wrong words are 5, before anything is looked at', async () => {
    const wrong = [
      ['inspect'],
      ['verify'],
      ['inspect', '--dir'],
      ['inspect', '--dir', 'x', '--colour'],
      ['explain', '--dir', 'x'],
      ['recover', '--dir', 'x', '-m', 'soon'],
    ]
    for (const words of wrong) expect([words, (await run(...words)).code]).toEqual([words, 5])
    expect((await run('--help')).code).toBe(0)
  })

  it('CM-1: each command has a help text with examples and the exit codes', async () => {
    for (const command of ['inspect', 'verify', 'recover', 'repair']) {
      const { code, stdout } = await run(command, '--help')
      expect([command, code]).toEqual([command, 0])
      expect(stdout).toContain(`tandem-mq wal ${command} --dir`)
      expect(stdout).toContain('0 clean, 1 only what a crash leaves')
      expect(stdout).toContain('--json')
    }
  })
})
