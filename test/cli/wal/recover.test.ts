/** `wal recover` (WA-6, wal.md 4, 5): the local phase, delivery, decisions, export, each with its exit code. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Broker } from '../../../lib/broker/index.js'
import { Producer } from '../../../lib/index.js'
import { silentLogger } from '../../../lib/util/index.js'
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
const recover = (dir: string, ...words: string[]) => run('recover', '--dir', dir, ...words)
const pictureOf = async (dir: string) => jsonLines((await run('inspect', '--dir', dir, '--json')).stdout)[0]

/** A producer's own directory: `count` records were accepted while no broker could be reached. */
async function leftBehind(broker: Broker, dir: string, count: number): Promise<void> {
  const wal = { dir, durability: 'immediate', maxBytes: 16 * 1024 * 1024, minFreeBytes: 1024 * 1024 } as const
  const config = { wal, maxBatchBytes: 262_144, logger: silentLogger }
  const first = new Producer({ ...config, brokers: broker.bootstrap })
  await first.connect()
  await first.sendSync('orders', 'first')
  await first.close()
  const second = new Producer({ ...config, brokers: '127.0.0.1:1' })
  await Promise.all(Array.from({ length: count }, (_, n) => second.sendDurable('orders', `v${n}`)))
  expect(await second.close({ timeoutMs: 0 })).toEqual({ unsentRecords: count, inWalRecords: count })
}

const values = async (broker: Broker, topic = 'orders') =>
  (await broker.records(topic, 0)).map(({ value }) => String(value))
const numbered = (count: number) => Array.from({ length: count }, (_, n) => `v${n}`)

describe('wal recover, alone', () => {
  it('WA-6: takes the log as the next start would, tells what is left, and closes it', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    const { code, stdout } = await recover(dir, '--json')
    expect(code).toBe(0)
    expect(jsonLines(stdout)).toMatchObject([
      { dir, incarnation: 2, records: 18, batches: 9, tornBytes: 0, holes: [], previous: { incarnation: 1 } },
    ])
    expect((await recover(dir)).stdout).toContain('18 records in 9 batches to be delivered, 0 B of a torn tail cut')
    expect(await pictureOf(dir)).toMatchObject({ isClosed: true, unsettledRecords: 18 })
  })

  it('WA-6: opens it with the durability it was last opened with', async () => {
    const dir = newDirectory()
    const wal = await openWal(dir, { durability: 'os' })
    await append(wal, ['a'])
    await wal.close()
    await recover(dir)
    expect(await pictureOf(dir)).toMatchObject({ lastOpen: { incarnation: 2, durability: 'os' } })
  })

  it('wal.md 5: a torn tail is cut, and 1', async () => {
    const dir = newDirectory()
    const wal = await makeLog(dir, { isOpen: true, size: 10 })
    const torn = crashed(dir)
    await wal.close()
    await tear(torn)
    const { code, stdout } = await recover(torn, '--json')
    expect([code, jsonLines(stdout)]).toEqual([1, [expect.objectContaining({ records: 18, tornBytes: 512 })]])
    expect((await recover(torn)).code).toBe(0)
    expect((await run('verify', '--dir', torn)).code).toBe(0)
  })

  it('wal.md 5: damage is 2, and changes nothing', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    const [, second] = await batchesOf(dir, 1)
    flip(dir, segmentsOf(dir)[0] as string, (second?.at ?? 0) + 200)
    const before = withoutLock(contentOf(dir))
    const { code, stderr } = await recover(dir)
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^tandem-mq: WAL_CORRUPT: /)])
    expect(withoutLock(contentOf(dir))).toEqual(before)
  })

  it('wal.md 5: with its producer at work it is 4, at once, naming it', async () => {
    const dir = newDirectory()
    const wal = await makeLog(dir, { isOpen: true })
    const { code, stderr } = await recover(dir)
    expect([code, stderr]).toEqual([4, expect.stringMatching(/^tandem-mq: WAL_LOCKED: .*process \d+ on /)])
    expect((await recover(dir, '--export', join(dir, '..', 'out.jsonl'))).code).toBe(4)
    await wal.close()
    expect((await recover(dir)).code).toBe(0)
  })

  it('WA-6: never makes a log where there is none', async () => {
    const dir = newDirectory()
    expect((await recover(dir)).code).toBe(3)
    expect(() => statSync(dir)).toThrow()
  })

  it('wal.md 5: wrong words are 5', async () => {
    const dir = newDirectory()
    await makeLog(dir)
    const before = contentOf(dir)
    const wrong = [
      ['--on-ambiguous', 'resend'],
      ['--on-ambiguous', 'guess', '-b', 'localhost:1'],
      ['--stream', 'orders:0'],
      ['--stream', 'orders', '--export', '-'],
      ['--stream', 'orders:x', '--export', '-'],
      ['--export', '-', '-b', 'localhost:1'],
      ['--export', join(dir, 'no', 'such', 'folder')],
    ]
    for (const words of wrong.slice(0, -1)) expect([words, (await recover(dir, ...words)).code]).toEqual([words, 5])
    expect(contentOf(dir)).toEqual(before)
    expect((await recover(dir, ...(wrong.at(-1) ?? []))).code).toBe(5)
    expect((await recover(dir, '--export', '-', '--stream', 'other:0')).code).toBe(5)
    expect((await recover(dir)).code).toBe(0) // Nothing of these kept the lock.
  })

  it('CM-1: TANDEM_BROKERS alone delivers nothing', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 1 })
    const dir = newDirectory()
    await leftBehind(broker, dir, 3)
    const { code } = await stage.run(broker, ['wal', 'recover', '--dir', dir])
    expect([code, await values(broker)]).toEqual([0, ['first']])
  })
})

function withoutLock(content: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(content).filter(([path]) => !path.endsWith('/LOCK')))
}

describe('wal recover --export', () => {
  it('WA-6: writes the unsettled records as JSON lines, and settles none', async () => {
    const dir = newDirectory()
    await makeLog(dir, { size: 0 })
    const file = join(dir, '..', 'records.jsonl')
    const { code, stdout } = await recover(dir, '--export', file)
    expect([code, stdout]).toEqual([0, expect.stringContaining(`18 records written to ${file}`)])
    const lines = jsonLines(readFileSync(file, 'utf8'))
    expect(lines.map(({ value }) => value)).toEqual(Array.from({ length: 18 }, (_, n) => `v${n + 2}`))
    expect(lines[0]).toMatchObject({ topic: 'orders', partition: 0, position: 2, key: 'key-v2', isInDoubt: true })
    expect(lines.at(-1)).toMatchObject({ position: 19, isInDoubt: false, incarnationId: expect.any(String) })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(await pictureOf(dir)).toMatchObject({ unsettledRecords: 18 })
    const again = await recover(dir, '--export', file)
    expect([again.code, again.stderr]).toEqual([5, expect.stringContaining('cannot be made (EEXIST)')])
  })

  it('WA-6: to stdout nothing but records; --stream takes some', async () => {
    const dir = newDirectory()
    const wal = await openWal(dir)
    await append(wal, ['a'])
    await append(wal, ['b', 'c'], { partition: 1 })
    await wal.close()
    const { code, stdout, stderr } = await recover(dir, '--export', '-', '--stream', 'orders:1')
    expect([code, jsonLines(stdout).map(({ value }) => value)]).toEqual([0, ['b', 'c']])
    expect(stderr).toContain('2 records written to stdout')
  })

  it('CM-1: produce --from-json sends what was exported', async () => {
    const broker = await stage.broker()
    broker.createTopic('copy', { partitions: 1 })
    const dir = newDirectory()
    await makeLog(dir, { size: 0 })
    const { stdout } = await recover(dir, '--export', '-', '-q')
    const sent = await stage.run(broker, ['produce', '-t', 'copy', '--from-json'], { stdin: stdout })
    expect(sent.code).toBe(0)
    const stored = await broker.records('copy', 0)
    expect(stored.map(({ key, value }) => [String(key), String(value)])).toEqual(
      Array.from({ length: 18 }, (_, n) => [`key-v${n + 2}`, `v${n + 2}`]),
    )
  })

  it('WA-6: of a queue each item is a line', async () => {
    const dir = newDirectory()
    const wal = await openWal(dir, { owner: 'queue' })
    const stream = wal.streamOf('', '', 0)
    for (const item of ['one', 'x'.repeat(200), 'three']) wal.appendItem(stream, Buffer.from(item), item.length)
    wal.flush()
    await wal.sync()
    wal.settle(stream, 0, 0, 0, -1)
    await wal.close()
    const { code, stdout } = await recover(dir, '--export', '-')
    expect(code).toBe(0)
    expect(jsonLines(stdout).map(({ position, value }) => [position, value])).toEqual([
      [1, 'x'.repeat(200)],
      [2, 'three'],
    ])
  })
})

describe('wal recover --brokers', () => {
  it('WA-6: delivers what is left, in order and once, and ends with 0', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 1 })
    const dir = newDirectory()
    await leftBehind(broker, dir, 50)
    const { code, stdout, stderr } = await recover(dir, '-b', broker.bootstrap, '--json')
    expect([code, stderr]).toEqual([0, ''])
    expect(jsonLines(stdout).at(-1)).toMatchObject({ left: 0, held: [], settled: { delivered: 50 } })
    expect(await values(broker)).toEqual(['first', ...numbered(50)])
    expect(await pictureOf(dir)).toMatchObject({ unsettledRecords: 0, isClosed: true })
    expect((await recover(dir, '-b', broker.bootstrap)).stdout).toContain('everything in the log is settled')
  })

  it('wal.md 5: without a broker that answers it is 6, and everything is still there', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 1 })
    const dir = newDirectory()
    await leftBehind(broker, dir, 5)
    const { code, stderr } = await recover(dir, '-b', '127.0.0.1:1', '-m', '1')
    expect([code, stderr]).toEqual([6, expect.stringContaining('CONNECTION_')])
    expect(await pictureOf(dir)).toMatchObject({ unsettledRecords: 5 })
  }, 60_000)

  it('wal.md 5: locked is 4 here too', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 1 })
    const dir = newDirectory()
    await leftBehind(broker, dir, 1)
    const wal = await openWal(dir, { segmentBytes: 2 * 1024 * 1024, maxBytes: 16 * 1024 * 1024 })
    expect((await recover(dir, '-b', broker.bootstrap)).code).toBe(4)
    await wal.close()
  })

  it('WA-6: Ctrl-C leaves the rest in the log, and ends with 6', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 1 })
    const dir = newDirectory()
    await leftBehind(broker, dir, 5)
    broker.pause(1)
    const running = stage.start(null, ['wal', 'recover', '--dir', dir, '-b', broker.bootstrap, '--progress'])
    await running.stderr.until((text) => text.includes('recover: '))
    running.stop()
    const { code } = await running.done
    expect(code).toBe(6)
    broker.resume(1)
    expect(await pictureOf(dir)).toMatchObject({ unsettledRecords: 5 })
  }, 60_000)

  it('E6: of a topic that was made anew the records are held, until somebody decides', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 1 })
    const dir = newDirectory()
    await leftBehind(broker, dir, 4)
    broker.deleteTopic('orders')
    broker.createTopic('orders', { partitions: 1 })
    const held = await recover(dir, '-b', broker.bootstrap, '--json')
    expect(held.code).toBe(6)
    expect(jsonLines(held.stdout).at(-1)).toMatchObject({
      left: 4,
      held: [{ topic: 'orders', partition: 0, case: 'E6', records: 4 }],
    })
    const other = await recover(dir, '-b', broker.bootstrap, '--on-ambiguous', 'drop', '--stream', 'orders:7')
    expect([other.code, other.stdout]).toEqual([6, expect.stringContaining('held: orders:0, 4 records (E6)')])
    const dropped = await recover(dir, '-b', broker.bootstrap, '--on-ambiguous', 'drop', '--stream', 'orders:0')
    expect([dropped.code, dropped.stdout]).toEqual([0, expect.stringContaining('everything in the log is settled')])
    expect(await values(broker)).toEqual([])
    expect(await pictureOf(dir)).toMatchObject({ unsettledRecords: 0 })
  })
})
