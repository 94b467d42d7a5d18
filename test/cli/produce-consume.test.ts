/** Records in and out of the program, on the in-process broker. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Broker, fault } from '../../lib/broker/index.js'
import { cliStage, jsonLines } from './stage.js'

const stage = cliStage()
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const stored = async (broker: Broker, topic = 'orders', partition = 0) =>
  (await broker.records(topic, partition)).map(({ key, value, headers }) => ({
    key: key === null ? null : Buffer.from(key).toString(),
    value: value === null ? null : Buffer.from(value).toString(),
    headers: headers.map(([name, bytes]) => [name, bytes === null ? null : Buffer.from(bytes).toString()]),
  }))

describe('produce', () => {
  it('CM-1: each line is a record; empty lines are left out, as kcat does', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    expect(await stage.run(broker, ['produce', '-t', 'orders'], { stdin: 'a\n\nb\nlast' })).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    })
    expect((await stored(broker)).map(({ value }) => value)).toEqual(['a', 'b', 'last'])
  })

  it('CM-1: -K splits key and value, -H adds headers, -Z makes tombstones, -p chooses, -k is for all', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 2 })
    const words = ['-P', '-t', 'orders', '-p', '1', '-K:', '-H', 'a=1', '-H', 'b', '-H', 'a=', '-Z']
    expect((await stage.run(broker, words, { stdin: 'k:v:w\nk2:\n:x\nplain\n' })).code).toBe(0)
    expect(await stored(broker, 'orders', 1)).toEqual(
      [
        { key: 'k', value: 'v:w' },
        { key: 'k2', value: null },
        { key: null, value: 'x' },
        { key: null, value: 'plain' },
      ].map((record) => ({
        ...record,
        headers: [
          ['a', '1'],
          ['b', null],
          ['a', ''],
        ],
      })),
    )
    await stage.run(broker, ['produce', '-t', 'orders', '-p', '0', '-k', 'fixed', '-D', '\\x2c'], { stdin: 'a,b\n' })
    expect(await stored(broker)).toEqual([
      { key: 'fixed', value: 'a', headers: [] },
      { key: 'fixed', value: 'b\n', headers: [] },
    ])
  })

  it('CM-1: a file is one record, or with -l one per line; -T repeats, -c ends', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    const path = file('lines.txt', 'a\nb\nc\n')
    expect((await stage.run(broker, ['produce', '-t', 'orders', path])).code).toBe(0)
    const ran = await stage.run(broker, ['produce', '-t', 'orders', '-l', path, '-T', '-c', '2'])
    expect([ran.code, ran.stdout]).toEqual([0, 'a\nb\n'])
    expect((await stored(broker)).map(({ value }) => value)).toEqual(['a\nb\nc\n', 'a', 'b'])
  })

  it('CM-1: --json tells each acknowledgement and a summary', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    const { code, stdout } = await stage.run(broker, ['produce', '-t', 'orders', '--json'], { stdin: 'a\nb\n' })
    expect(code).toBe(0)
    expect(jsonLines(stdout)).toMatchObject([
      { topic: 'orders', partition: 0, offset: 0 },
      { topic: 'orders', partition: 0, offset: 1 },
      { summary: { topic: 'orders', accepted: 2, acknowledged: 2, failed: 0, unsent: 0 } },
    ])
  })

  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('CM-1: -z %s', async (codec) => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    const stdin = `${'x'.repeat(2000)}\n`
    expect((await stage.run(broker, ['produce', '-t', 'orders', '-z', codec], { stdin })).code).toBe(0)
    expect((await stored(broker))[0]?.value).toBe('x'.repeat(2000))
  })

  it('CM-1: what fails is told with its code, and exit 1', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    broker.on({ api: 'Produce' }, fault.error(29))
    const refused = await stage.run(broker, ['produce', '-t', 'orders'], { stdin: 'a\n' })
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/^tandem-mq: AUTHORIZATION_FAILED: /)
    const partition = await stage.run(broker, ['produce', '-t', 'orders', '-p', '9'], { stdin: 'a\n' })
    expect([partition.code, partition.stderr.split(':')[1]]).toEqual([1, ' INVALID_PARTITION'])
    const topic = await stage.run(broker, ['produce', '-t', 'none', '-X', 'producer.unknownTopicRetries=0'], {
      stdin: 'a\nb\n',
    })
    expect([topic.code, topic.stderr.split(':')[1]]).toEqual([1, ' TOPIC_NOT_FOUND'])
  })

  it('CM-1: a signal ends the reading; what was read is delivered, and exit 0', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    async function* endless() {
      yield Buffer.from('a\nb\n')
      await new Promise(() => {})
    }
    const running = stage.start(broker, ['produce', '-t', 'orders', '--progress'], { stdin: endless() })
    await broker.appended('orders', 0, 2)
    running.stop('SIGINT')
    const { code, stderr } = await running.done
    expect(code).toBe(0)
    expect(stderr).toContain('produced 2 records (2 B)')
  })
})

describe('consume', () => {
  async function filled(partitions = 1) {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions })
    for (let partition = 0; partition < partitions; partition++) {
      const stdin = Array.from({ length: 10 }, (_, n) => `k${n}:v${partition}.${n}\n`).join('')
      await stage.run(broker, ['produce', '-t', 'orders', '-p', `${partition}`, '-K:'], { stdin })
    }
    return broker
  }
  const values = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '')

  it('CM-1: from the beginning to the end, then exit 0', async () => {
    const broker = await filled(2)
    const { code, stdout, stderr } = await stage.run(broker, ['consume', '-t', 'orders', '-e'])
    expect([code, stderr]).toEqual([0, ''])
    const read = values(stdout)
    expect([...read].sort()).toEqual([0, 1].flatMap((p) => Array.from({ length: 10 }, (_, n) => `v${p}.${n}`)).sort())
    for (const p of [0, 1]) {
      expect(read.filter((value) => value.startsWith(`v${p}`))).toEqual(
        Array.from({ length: 10 }, (_, n) => `v${p}.${n}`),
      )
    }
  })

  it.each([
    [
      ['-o', '7'],
      ['v0.7', 'v0.8', 'v0.9'],
    ],
    [
      ['-o', '-2'],
      ['v0.8', 'v0.9'],
    ],
    [['-o', 'end'], []],
    [
      ['-o', 'beginning', '-c', '2'],
      ['v0.0', 'v0.1'],
    ],
    [['-p', '0', '-o', '9'], ['v0.9']],
    [['-o', '-100', '-c', '1'], ['v0.0']],
  ])('CM-1: %j gives %j', async (words, expected) => {
    const broker = await filled()
    const ran = await stage.run(broker, ['-C', '-t', 'orders', '-e', ...words])
    expect([ran.code, values(ran.stdout)]).toEqual([0, expected])
  })

  it('CM-1: times: from s@, up to but without e@', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    const stdin = [1000, 2000, 3000, 4000].map(
      (timestamp) => `${JSON.stringify({ value: `${timestamp}`, timestamp })}\n`,
    )
    await stage.run(broker, ['produce', '-t', 'orders', '--from-json'], { stdin: stdin.join('') })
    const read = async (...words: string[]) =>
      values((await stage.run(broker, ['consume', '-t', 'orders', ...words])).stdout)
    expect(await read('-o', 's@2000', '-e')).toEqual(['2000', '3000', '4000'])
    expect(await read('-o', 's@2000', '-o', 'e@4000')).toEqual(['2000', '3000'])
    expect(await read('-o', 'e@2500')).toEqual(['1000', '2000'])
    expect(await read('-o', 's@9000', '-e')).toEqual([])
  })

  it('CM-1: -f, -K, -Z, -D and --json', async () => {
    const broker = await filled()
    const read = async (...words: string[]) =>
      (await stage.run(broker, ['consume', '-t', 'orders', '-o', '9', '-e', ...words])).stdout
    expect(await read('-f', '%t/%p@%o %k=%s;')).toBe('orders/0@9 k9=v0.9;')
    expect(await read('-K', '\\t', '-D', '|')).toBe('k9\tv0.9|')
    expect(jsonLines(await read('--json'))).toMatchObject([{ topic: 'orders', offset: 9, key: 'k9', value: 'v0.9' }])
    expect(await read('-J')).toBe(await read('--json'))
  })

  it('CM-1: what consume --json prints, produce --from-json sends: bytes, nulls, headers', async () => {
    const broker = await stage.broker()
    for (const topic of ['a', 'b']) broker.createTopic(topic)
    const lines = [
      {
        key: { base64: '/wAB' },
        value: 'text',
        headers: [
          ['h', 'x'],
          ['h', null],
        ],
        timestamp: 5000,
        partition: 0,
      },
      { key: null, value: null },
      { key: '', value: '' },
    ].map((record) => JSON.stringify(record))
    await stage.run(broker, ['produce', '-t', 'a', '--from-json'], { stdin: `${lines.join('\n')}\n` })
    const dumped = (await stage.run(broker, ['consume', '-t', 'a', '-e', '--json'])).stdout
    await stage.run(broker, ['produce', '-t', 'b', '--from-json'], { stdin: dumped })
    const again = (await stage.run(broker, ['consume', '-t', 'b', '-e', '--json'])).stdout
    expect(again).toBe(dumped.replaceAll('"topic":"a"', '"topic":"b"'))
    expect(jsonLines(again)).toMatchObject([
      {
        key: { base64: '/wAB' },
        timestamp: 5000,
        headers: [
          ['h', 'x'],
          ['h', null],
        ],
      },
      { key: null, value: null },
      { key: '', value: '' },
    ])
  })

  it('CM-1: -G reads as a member, commits exactly what it printed, and goes on there', async () => {
    const broker = await filled()
    const read = async (...words: string[]) =>
      values((await stage.run(broker, ['-G', 'billing', 'orders', '-o', 'beginning', ...words])).stdout)
    expect(await read('-c', '3')).toEqual(['v0.0', 'v0.1', 'v0.2'])
    expect(broker.group('billing').offsets).toMatchObject([{ offset: 3 }])
    expect(await read('-e')).toEqual(['v0.3', 'v0.4', 'v0.5', 'v0.6', 'v0.7', 'v0.8', 'v0.9'])
    expect(broker.group('billing')).toMatchObject({ state: 'Empty', offsets: [{ offset: 10 }] })
    expect(await read('-e', '-X', 'enable.auto.commit=false')).toEqual([])
  })

  it('CM-1: a pattern of topics, and -o stored without being a member', async () => {
    const broker = await filled()
    await stage.run(broker, ['-G', 'billing', '^ord', '-o', 'beginning', '-c', '4'])
    const ran = await stage.run(broker, [
      'consume',
      '-t',
      'orders',
      '-o',
      'stored',
      '-X',
      'group.id=billing',
      '-e',
      '-c',
      '1',
    ])
    expect(values(ran.stdout)).toEqual(['v0.4'])
    expect(broker.group('billing').offsets).toMatchObject([{ offset: 4 }])
  })

  it('CM-1: waits for what comes, until a signal; then summary and exit 0', async () => {
    const broker = await filled()
    const running = stage.start(broker, ['consume', '-t', 'orders', '--progress'])
    await running.stdout.until((text) => text.includes('v0.9'))
    await stage.run(broker, ['produce', '-t', 'orders'], { stdin: 'late\n' })
    await running.stdout.until((text) => text.includes('late'))
    running.stop('SIGTERM')
    const { code, stderr } = await running.done
    expect(code).toBe(0)
    expect(stderr).toContain('consumed 11 records')
    expect(broker.connections).toBe(0)
  })

  it('CM-1: a reader that has gone ends it quietly', async () => {
    const broker = await filled()
    const running = stage.start(broker, ['consume', '-t', 'orders'])
    await running.stdout.until((text) => text.includes('v0.9'))
    running.stop('EPIPE')
    expect(await running.done).toMatchObject({ code: 0, stderr: '' })
  })

  it('CM-1: what cannot be is told at once', async () => {
    const broker = await filled()
    const read = async (...words: string[]) => {
      const { code, stderr } = await stage.run(broker, ['consume', ...words])
      return [code, stderr]
    }
    expect(await read('-t', 'none', '-e')).toEqual([
      1,
      expect.stringContaining('TOPIC_NOT_FOUND: there is no topic none'),
    ])
    expect(await read('-t', 'orders', '-p', '7', '-o', '1')).toEqual([1, expect.stringContaining('has no partition 7')])
    expect(await read('-e')).toEqual([2, expect.stringContaining('name a topic')])
    expect(await read('-t', 'orders', '-o', 'soon')).toEqual([2, expect.stringContaining("got 'soon'")])
    expect(await read('-t', 'orders', '-f', '%x')).toEqual([2, expect.stringContaining("'%x' is no token")])
    expect(await read('-t', 'orders', '-c', '0')).toEqual([2, expect.stringContaining('-c: expected an integer')])
    expect(await read('-G', 'g', 'orders', '-p', '0')).toEqual([2, expect.stringContaining('-p')])
    expect(await read('-G', 'g', 'orders', '-o', '5')).toEqual([2, expect.stringContaining('groups reset')])
    expect(await read('-t', 'a b')).toEqual([2, expect.stringContaining('INVALID_TOPIC')])
  })
})
