/** The commands beside produce and consume, their errors, help and settings. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Consumer } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { cliStage, jsonLines } from './stage.js'

const stage = cliStage()
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const file = (name: string, content: string) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

describe('topics', () => {
  it('CM-1: create, list, describe, alter, delete, each topic with its own line', async () => {
    const broker = await stage.broker()
    const run = (...words: string[]) => stage.run(broker, ['topics', ...words])
    expect(await run('create', 'a', 'b', '--partitions', '3', '--set', 'retention.ms=5000')).toEqual({
      code: 0,
      stdout: 'a created\nb created\n',
      stderr: '',
    })
    expect(await run('create', 'a', 'c')).toMatchObject({ code: 1, stdout: 'a exists already\nc created\n' })
    expect(await run('create', 'a', '--if-not-exists')).toMatchObject({ code: 0, stdout: 'a exists already\n' })
    expect((await run('list')).stdout).toBe('a\nb\nc\n')
    const described = (await run('describe', 'a')).stdout
    expect(described).toContain('a: 3 partitions\n  retention.ms=5000\n')
    expect(described).toMatch(/^ {2}2 +1 +1 +1 +0 +0$/m)
    expect(
      await run('alter', 'a', '--set', 'segment.ms=7000', '--unset', 'retention.ms', '--partitions', '4'),
    ).toMatchObject({ code: 0, stdout: 'a altered\n' })
    expect(jsonLines((await run('describe', 'a', '--json')).stdout)).toMatchObject([
      {
        topic: 'a',
        configs: { 'segment.ms': '7000' },
        partitions: [{}, {}, {}, { partition: 3, leader: 1, logEnd: 0 }],
      },
    ])
    const deleted = await run('delete', 'a', 'none')
    expect([deleted.code, deleted.stdout]).toEqual([1, 'a deleted\n'])
    expect(deleted.stderr).toMatch(/^tandem-mq: none: TOPIC_NOT_FOUND: /)
    expect(await run('delete', 'b', 'none', '--if-exists')).toMatchObject({ code: 0 })
    expect(jsonLines((await run('list', '--json')).stdout)).toEqual([{ topic: 'c' }])
  })

  it('CM-1: --dry-run only asks; what is wrong is exit 2 before anybody is asked', async () => {
    const broker = await stage.broker()
    expect(await stage.run(broker, ['topics', 'create', 'a', '--dry-run'])).toMatchObject({
      code: 0,
      stdout: 'a would be created\n',
    })
    const wrong = [
      ['topics', 'create', 'a b'],
      ['topics', 'create', 'a', '--partitions', '0'],
      ['topics', 'create', 'a', '--set', 'retention'],
      ['topics', 'alter', 'a'],
      ['topics', 'create'],
      ['topics', 'shrink'],
    ]
    const asked = broker.count({ api: 'CreateTopics' })
    for (const words of wrong) expect([words, (await stage.run(broker, words)).code]).toEqual([words, 2])
    expect(broker.count({ api: 'CreateTopics' })).toBe(asked)
    expect((await stage.run(broker, ['topics', 'list'])).stdout).toBe('')
  })

  it('CM-1: what the cluster refuses is exit 1, with its reason', async () => {
    const broker = await stage.broker()
    const ran = await stage.run(broker, ['topics', 'create', 'a', '--replication-factor', '3'])
    expect([ran.code, ran.stdout]).toEqual([1, ''])
    expect(ran.stderr).toContain('a: INVALID_CONFIG: the broker answered 38')
    const json = await stage.run(broker, ['topics', 'create', 'a', '--set', 'no.such=1', '--json'])
    expect(json.code).toBe(1)
    expect(jsonLines(json.stdout)).toMatchObject([
      { topic: 'a', created: false, error: { code: 'INVALID_CONFIG', context: { kafkaCode: 40 } } },
    ])
  })
})

describe('groups', () => {
  it('CM-1: list, describe with lag, reset, delete', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 2 })
    const run = (...words: string[]) => stage.run(broker, ['groups', ...words])
    await stage.run(broker, ['produce', '-t', 'orders', '-p', '0'], { stdin: 'a\nb\nc\n' })
    expect(await run('reset', 'g', '-t', 'orders', '--to', 'latest', '--dry-run')).toMatchObject({
      code: 0,
      stdout: 'topic   partition  before  would be\norders  0          -       3\norders  1          -       0\n',
    })
    expect((await run('list')).stdout).toBe('')
    await run('reset', 'g', '-t', 'orders', '--to', '1', '-p', '0')
    expect((await run('list')).stdout).toBe('group  state  type     protocol\ng      Empty  classic\n')
    const [described] = jsonLines((await run('describe', 'g', '--json')).stdout)
    expect(described).toMatchObject({
      groupId: 'g',
      state: 'Empty',
      lag: 2,
      offsets: [{ committed: 1, logEnd: 3, lag: 2 }],
    })
    expect((await run('describe', 'g')).stdout).toContain('lag in all: 2')
    expect(await run('delete', 'g', 'none')).toMatchObject({ code: 1, stdout: 'g deleted\n' })
    expect((await run('describe', 'g')).code).toBe(1)
  })

  it('CM-1: a group with members: who reads what; reset and delete are refused', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    const consumer = new Consumer({ brokers: broker.bootstrap, groupId: 'g', clientId: 'reader', logger: silentLogger })
    await consumer.subscribe('orders', () => {})
    await broker.whenGroup('g', ({ state }) => state === 'Stable')
    const described = await stage.run(broker, ['groups', 'describe', 'g', '--members'])
    expect(described.stdout).toMatch(/^g: Stable \(classic, .+\), 1 member, coordinator 1\n/)
    expect(described.stdout).toMatch(/reader +\S+ +orders\/0$/m)
    const reset = await stage.run(broker, ['groups', 'reset', 'g', '-t', 'orders', '--to', 'earliest'])
    expect([reset.code, reset.stderr]).toEqual([1, expect.stringContaining('stop its consumers first')])
    expect(await stage.run(broker, ['groups', 'delete', 'g'])).toMatchObject({ code: 1 })
    await consumer.close()
  })

  it.each([
    [['reset', 'g', '--to', 'latest'], 'name the topic'],
    [['reset', 'g', '-t', 'a'], 'say where to'],
    [['reset', 'g', '-t', 'a', '--to', '-5'], '--to: expected'],
    [['list', '--type', 'odd'], '--type: expected'],
  ])('CM-1: groups %j is exit 2', async (words, text) => {
    const ran = await stage.run(null, ['groups', ...words])
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining(text)])
  })
})

describe('ping, metadata, offsets, broker, bench', () => {
  it('CM-1: ping counts round trips', async () => {
    const broker = await stage.broker()
    const ran = await stage.run(broker, ['ping', '-c', '3', '--interval', '1', '--json'])
    expect(jsonLines(ran.stdout)).toEqual(Array(3).fill({ brokerId: 1, rttMs: expect.any(Number) }))
    const refused = await stage.run(null, ['ping', '-b', '127.0.0.1:1'])
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/^tandem-mq: CONNECTION_FAILED: /)])
    const endless = stage.start(broker, ['ping', '-c', '0', '--interval', '1'])
    await endless.stdout.until((text) => text.split('\n').length > 3)
    endless.stop()
    expect((await endless.done).code).toBe(0)
  })

  it('CM-1: metadata and offsets speak as kcat does', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 2 })
    const { stdout } = await stage.run(broker, ['-L', '-t', 'orders', '-t', 'none'])
    expect(stdout).toContain(` 1 brokers:\n  broker 1 at ${broker.bootstrap} (controller)\n 2 topics:\n`)
    expect(stdout).toContain('  topic "orders" with 2 partitions:\n    partition 0, leader 1, replicas: 1, isrs: 1\n')
    expect(stdout).toContain('  topic "none" with 0 partitions: TOPIC_NOT_FOUND\n')
    expect(jsonLines((await stage.run(broker, ['metadata', '--json'])).stdout)).toMatchObject([
      { clusterId: broker.clusterId, topics: [{ topic: 'orders' }] },
    ])
    await stage.run(broker, ['produce', '-t', 'orders', '-p', '1'], { stdin: 'a\n' })
    expect((await stage.run(broker, ['-Q', '-t', 'orders:1:-1', '-t', 'orders:1:0'])).stdout).toBe(
      'orders [1] offset 1\norders [1] offset 0\n',
    )
    expect((await stage.run(broker, ['-Q', '-t', 'orders:7:-1'])).code).toBe(2)
  })

  it('CM-1: broker serves until it is stopped', async () => {
    const running = stage.start(null, ['broker', '--port', '0', '--nodes', '2', '-t', 'orders:3', '--json'])
    await running.stdout.until((text) => text.includes('\n'))
    const [told] = jsonLines(running.stdout.text) as [{ bootstrap: string; topics: string[] }]
    expect(told.topics).toEqual(['orders'])
    expect(told.bootstrap.split(',')).toHaveLength(2)
    const produced = await stage.run(null, ['produce', '-b', told.bootstrap, '-t', 'orders'], { stdin: 'a\n' })
    expect(produced.code).toBe(0)
    running.stop()
    expect((await running.done).code).toBe(0)
    expect((await stage.run(null, ['ping', '-b', told.bootstrap])).code).toBe(1)
    expect((await stage.run(null, ['broker', '--profile', '9.9'])).code).toBe(2)
  })

  it('CM-1: bench accounts for every record, on an embedded broker and on a given one', async () => {
    const words = ['bench', '--records', '2000', '--partitions', '3']
    const embedded = await stage.run(null, [...words, '--json'])
    expect(embedded.code).toBe(0)
    expect(jsonLines(embedded.stdout)).toMatchObject([
      {
        ok: true,
        embedded: true,
        lost: 0,
        doubled: 0,
        failed: 0,
        produce: { records: 2000 },
        consume: { records: 2000 },
      },
    ])
    const broker = await stage.broker()
    const given = await stage.run(broker, [...words, '-z', 'gzip'])
    expect(given.stdout).toMatch(/^produced 2,000 records in .+\nconsumed 2,000 records in .+\nverified: all 2,000 /)
    expect((await stage.run(broker, ['topics', 'list'])).stdout).toBe('')
  })
})

describe('the program', () => {
  it('CM-1: --help of the program and of each command shows examples, and exits with 0', async () => {
    const commands = [
      [],
      ['produce'],
      ['consume'],
      ['topics'],
      ['groups'],
      ['ping'],
      ['broker'],
      ['bench'],
      ['metadata'],
      ['offsets'],
    ]
    for (const words of commands) {
      const { code, stdout } = await stage.run(null, [...words, '--help'])
      expect([words, code]).toEqual([words, 0])
      expect(stdout).toMatch(/Examples?:\n {2}\S/)
      expect(stdout).toContain('Usage: tandem-mq')
    }
    expect(await stage.run(null, [])).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage:') })
    expect((await stage.run(null, ['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('CM-1: an unknown word is exit 2, with the nearest one', async () => {
    const command = await stage.run(null, ['porduce'])
    expect([command.code, command.stderr]).toEqual([2, expect.stringContaining('Did you mean produce?')])
    expect((await stage.run(null, ['ping', '--colour'])).code).toBe(2)
    expect((await stage.run(null, ['-b', 'x'])).code).toBe(2)
  })

  it('CM-1: settings come from file, environment, -X and options, each stronger than the one before', async () => {
    const broker = await stage.broker()
    const dead = '127.0.0.1:1'
    const json = file('a.json', JSON.stringify({ brokers: broker.bootstrap, clientId: 'from-file' }))
    const lines = file('b.properties', `# a note\nbootstrap.servers=${broker.bootstrap}\n`)
    const ping = async (words: string[], env: Record<string, string> = {}) =>
      (await stage.run(null, ['ping', '-X', 'connection.maxRetries=0', ...words], { env })).code
    expect(await ping(['-F', json])).toBe(0)
    expect(broker.requests().at(-1)?.clientId).toBe('from-file')
    expect(await ping(['--config', lines])).toBe(0)
    expect(await ping([], { TANDEM_CONFIG: json })).toBe(0)
    expect(await ping(['-F', json], { TANDEM_BROKERS: dead })).toBe(1)
    expect(await ping(['-X', `bootstrap.servers=${broker.bootstrap}`], { TANDEM_BROKERS: dead })).toBe(0)
    expect(await ping(['-X', `bootstrap.servers=${dead}`, '-b', broker.bootstrap])).toBe(0)
    expect(await ping(['-F', join(folder, 'none')])).toBe(2)
    expect(await ping(['-F', file('c.json', '{"sasl": "s3cret')])).toBe(2)
    expect(await ping(['-X', 'lingerMs'])).toBe(2)
    expect(await ping(['-m', 'soon'])).toBe(2)
  })

  it('CM-1, CL-6: a password is never told, wherever it comes from', async () => {
    const secret = 's3cret-word'
    const path = file('password', `${secret}\n`)
    const attempts: [string[], Record<string, string>][] = [
      [['-X', `sasl.password=${secret}`, '-X', 'sasl.username=u', '-X', 'sasl.mechanism=NONSENSE'], {}],
      [['-X', 'sasl.mechanism=PLAIN', '-X', 'sasl.username=u'], { TANDEM_SASL_PASSWORD: secret }],
      [['-X', 'sasl.mechanism=PLAIN', '-X', 'sasl.username=u'], { TANDEM_SASL_PASSWORD_FILE: path }],
      [['-X', `sasl.passwort=${secret}`], {}],
      [['-F', file('broken.json', `{"sasl": {"password": "${secret}"`)], {}],
    ]
    for (const [words, env] of attempts) {
      const ran = await stage.run(null, ['ping', '-b', '127.0.0.1:1', '--debug', ...words], { env })
      expect(ran.code).not.toBe(0)
      expect(ran.stdout + ran.stderr).not.toContain(secret)
    }
  })

  it('CM-1, 3.2: an open door is told with -v, once', async () => {
    const words = ['consume', '-t', 'orders', '-X', 'enable.ssl.certificate.verification=false', '-b', '127.0.0.1:1']
    const told = 'warn: ssl.insecureSkipVerify: any certificate is accepted: use it for tests only'
    const ran = await stage.run(null, [...words, '-v', '-X', 'connection.maxRetries=0'])
    expect(ran.stderr.split('\n').filter((line) => line === told)).toHaveLength(1)
    const silent = await stage.run(null, [...words, '-X', 'connection.maxRetries=0'])
    expect(silent.stderr).not.toContain('insecureSkipVerify')
  })

  it('CM-1, CL-6: an option that does not exist is named without its value', async () => {
    for (const words of [['ping', '--sasl-password=hunter2'], ['--password=hunter2'], ['topics', '--pass=a=hunter2']]) {
      const { code, stderr } = await stage.run(null, words)
      expect([code, stderr]).toEqual([2, expect.stringContaining(`unknown option '--`)])
      expect(stderr).not.toContain('hunter2')
    }
  })

  it('CM-1: a file that is not understood is refused by its line, and what stands there is not told', async () => {
    const files = [file('list', '["hunter2"]'), file('null', 'null'), file('space', '# ok\nsasl.password hunter2\n')]
    for (const path of files) {
      const { code, stderr } = await stage.run(null, ['ping', '-F', path])
      expect([code, stderr]).toEqual([2, expect.stringMatching(/: line [12]: expected name=value/)])
      expect(stderr).not.toContain('hunter2')
    }
  })

  it('CM-1: a byte order mark in front of a file means nothing', async () => {
    const broker = await stage.broker()
    const path = file('marked', `\uFEFF${JSON.stringify({ brokers: broker.bootstrap })}`)
    expect((await stage.run(null, ['ping', '-F', path])).code).toBe(0)
  })

  it('CF-3: __proto__ is a name like any other, and refused', async () => {
    const json = file('proto.json', '{"__proto__": {"clientId": "x"}}')
    for (const words of [
      ['-X', '__proto__.clientId=x'],
      ['-X', 'ssl.__proto__.caFile=x'],
      ['-F', json],
    ]) {
      const { code, stderr } = await stage.run(null, ['ping', '-b', '127.0.0.1:1', ...words])
      expect([code, stderr]).toEqual([2, expect.stringContaining('__proto__')])
    }
  })

  it('CM-1: input that is wrong further on is exit 1, and what came before it is delivered', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    const words = ['produce', '-t', 'orders', '--from-json']
    const late = await stage.run(broker, words, { stdin: '{"value":"a"}\n{"value":"b"}\nno json\n' })
    expect([late.code, late.stderr]).toEqual([1, expect.stringContaining('--from-json: expected one object per line')])
    expect((await broker.records('orders', 0)).map(({ value }) => String(value))).toEqual(['a', 'b'])
    expect((await stage.run(broker, words, { stdin: 'no json\n' })).code).toBe(2)
  })

  it('CM-1: the count is one of records, whether they fail or not', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    const stdin = `${'x'.repeat(2_000_000)}\na\nb\nc\n`
    const { stdout } = await stage.run(broker, ['produce', '-t', 'orders', '-c', '3', '--json'], { stdin })
    expect(jsonLines(stdout).at(-1)).toMatchObject({ summary: { accepted: 3, acknowledged: 2, failed: 1 } })
  })

  it('CM-1: a record that is refused at once is counted in the summary too', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    const stdin = `a\n${'x'.repeat(2_000_000)}\nb\n`
    const { code, stdout } = await stage.run(broker, ['produce', '-t', 'orders', '--json'], { stdin })
    const last = jsonLines(stdout).at(-1)
    expect([code, last]).toMatchObject([1, { summary: { accepted: 3, acknowledged: 2, failed: 1, unsent: 0 } }])
  })

  it('CM-1: -X list names the properties; every wrong setting has a line of its own', async () => {
    expect((await stage.run(null, ['consume', '-X', 'list'])).stdout).toContain('\nsasl.mechanism\n')
    const ran = await stage.run(null, ['ping', '-X', 'brokers=a:0', '-X', 'metadata.max.age.ms=1'])
    expect(ran.code).toBe(2)
    expect(ran.stderr.match(/^tandem-mq: INVALID_CONFIG: /gm)).toHaveLength(2)
  })

  it('CM-1: errors are one line, JSON with --json, and have a stack with --debug only', async () => {
    const dead = ['ping', '-b', '127.0.0.1:1', '-X', 'connection.maxRetries=0']
    const plain = await stage.run(null, dead)
    expect(plain.stderr.trimEnd().split('\n')).toHaveLength(1)
    const json = await stage.run(null, [...dead, '--json'])
    expect(jsonLines(json.stderr)).toMatchObject([{ error: { code: 'CONNECTION_FAILED', retryable: true } }])
    expect((await stage.run(null, [...dead, '--debug'])).stderr).toMatch(/\n {4}at /)
  })
})
