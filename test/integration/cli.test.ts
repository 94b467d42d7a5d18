/**
 * The program beside kcat on a real Kafka: what one writes the other reads, byte for byte, in the same words.
 * Why whole outputs: who replaces kcat in a script replaces what the script parses.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cliStage, jsonLines } from '../cli/stage.js'
import { hasKcat } from '../support/interop-kcat.js'
import { bootstrap, createTopic, describeWithKafka } from '../support/real-kafka.js'

const FORMAT = '%t|%p|%o|%k|%K|%s|%S|%h|%T\\n'
const LINES = ['plain', 'key:value', ':no key', 'key 2:', 'k:a:b', 'grüße:ζ', `long:${'x'.repeat(5000)}`]

describeWithKafka('command line', () => {
  const stage = cliStage()
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'cli-kafka-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const env = { TANDEM_BROKERS: bootstrap }
  const ours = (...words: string[]) => stage.run(null, words, { env })
  const input = (name: string, content: string) => {
    const path = join(folder, name)
    writeFileSync(path, content)
    return path
  }
  const kcat = async (...words: string[]) => {
    const { stdout } = await promisify(execFile)('kcat', ['-b', bootstrap, '-q', ...words], { maxBuffer: 100_000_000 })
    return stdout
  }

  describe.skipIf(!hasKcat)('beside kcat', () => {
    const words = ['-K:', '-H', 'one=1', '-H', 'empty=', '-H', 'null']

    it.each([
      ['as it is', []],
      ['-Z', ['-Z']],
    ] as const)('CM-1: the same lines written by either are read the same by both, %s', async (_title, more) => {
      const [byOurs, byKcat] = [await createTopic('cli-ours'), await createTopic('cli-kcat')]
      const path = input('lines', `${LINES.join('\n')}\n\n`)
      const produced = await ours('-P', '-t', byOurs, '-p', '0', ...words, ...more, '-l', path)
      expect(produced).toMatchObject({ code: 0, stderr: '' })
      await kcat('-P', '-t', byKcat, '-p', '0', ...words, ...more, '-l', path)
      for (const topic of [byOurs, byKcat]) {
        const read = ['-C', '-t', topic, '-p', '0', '-e', ...more]
        expect((await ours(...read, '-f', FORMAT)).stdout).toBe(await kcat(...read, '-f', FORMAT))
        expect((await ours(...read, '-K', '\\t')).stdout).toBe(await kcat(...read, '-K', '\\t'))
        expect((await ours(...read)).stdout).toBe(await kcat(...read))
      }
      const withoutPlace = (text: string) => text.replaceAll(/^[^|]+\|(.*)\|\d+$/gm, '$1')
      const [one, other] = await Promise.all(
        [byOurs, byKcat].map((topic) => kcat('-C', '-t', topic, '-p', '0', '-e', '-f', FORMAT)),
      )
      expect(withoutPlace(one ?? '')).toBe(withoutPlace(other ?? ''))
      expect(one?.trimEnd().split('\n')).toHaveLength(LINES.length)
    })

    it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('CM-1: -z %s, both ways', async (codec) => {
      const topic = await createTopic('cli-codec')
      const path = input('codec', Array.from({ length: 500 }, (_, n) => `value ${n} ${'y'.repeat(50)}\n`).join(''))
      expect((await ours('-P', '-t', topic, '-p', '0', '-z', codec, '-l', path)).code).toBe(0)
      if (codec !== 'none') await kcat('-P', '-t', topic, '-p', '0', '-z', codec, '-l', path)
      const read = ['-C', '-t', topic, '-p', '0', '-e']
      const text = (await ours(...read)).stdout
      expect(text).toBe(await kcat(...read))
      expect(text.trimEnd().split('\n')).toHaveLength(codec === 'none' ? 500 : 1000)
    })

    it.each([
      [['-o', '3']],
      [['-o', '-2']],
      [['-o', 'end']],
      [['-o', 'beginning', '-c', '2']],
      [['-o', 's@1790000003000']],
    ])('CM-1: %j gives the same records', async (offset) => {
      const topic = await createTopic('cli-offset')
      const records = Array.from({ length: 6 }, (_, n) => ({ value: `${n}`, timestamp: 1_790_000_000_000 + n * 1000 }))
      const path = input('offset', records.map((record) => `${JSON.stringify(record)}\n`).join(''))
      expect((await ours('produce', '-t', topic, '--from-json', path)).code).toBe(0)
      const read = ['-C', '-t', topic, '-p', '0', '-e', ...offset, '-f', '%o:%s:%T\\n']
      expect((await ours(...read)).stdout).toBe(await kcat(...read))
    })

    it('CM-1: -Q finds the same offsets', async () => {
      const topic = await createTopic('cli-query')
      const records = [1000, 2000, 3000].map((timestamp) => `${JSON.stringify({ value: 'x', timestamp })}\n`)
      await ours('produce', '-t', topic, '--from-json', input('query', records.join('')))
      for (const time of ['0', '2000', '2001', '-1', '-2']) {
        const query = ['-Q', '-t', `${topic}:0:${time}`]
        expect((await ours(...query)).stdout).toBe(await kcat(...query))
      }
    })

    it('CM-1: -L says the same of a topic', async () => {
      const topic = await createTopic('cli-metadata', { partitions: 2 })
      const body = (text: string) => text.slice(text.indexOf('\n'))
      expect(body((await ours('-L', '-t', topic)).stdout)).toBe(body(await kcat('-L', '-t', topic)))
    })
  })

  it('CM-1: topics and groups, from creation to deletion', async () => {
    const topic = `cli-life-${process.hrtime.bigint()}`
    const group = `${topic}.group`
    expect(await ours('topics', 'create', topic, '--partitions', '2', '--set', 'retention.ms=60000')).toMatchObject({
      code: 0,
      stdout: `${topic} created\n`,
    })
    await ours('produce', '-t', topic, '-p', '0', input('life', 'a'), input('life2', 'b'))
    const read = await ours('-G', group, topic, '-o', 'beginning', '-e')
    expect([read.code, read.stdout]).toEqual([0, 'a\nb\n'])
    const [described] = jsonLines((await ours('groups', 'describe', group, '--json')).stdout)
    expect(described).toMatchObject({ groupId: group, state: 'Empty', lag: 0 })
    expect((await ours('groups', 'reset', group, '-t', topic, '--to', 'earliest', '-p', '0')).code).toBe(0)
    const [behind] = jsonLines((await ours('groups', 'describe', group, '--json')).stdout)
    expect(behind).toMatchObject({ lag: 2 })
    expect((await ours('topics', 'alter', topic, '--set', 'segment.ms=70000', '--partitions', '3')).code).toBe(0)
    const [told] = jsonLines((await ours('topics', 'describe', topic, '--json')).stdout)
    expect(told).toMatchObject({ configs: { 'retention.ms': '60000', 'segment.ms': '70000' } })
    expect((await ours('groups', 'delete', group)).code).toBe(0)
    expect((await ours('topics', 'delete', topic)).code).toBe(0)
    expect((await ours('topics', 'describe', topic)).code).toBe(1)
  })

  it('CM-1: ping and a verified bench', async () => {
    expect((await ours('ping')).stdout).toMatch(/^broker \d+: \d+\.\d{3} ms\n$/)
    const [result] = jsonLines((await ours('bench', '--records', '20000', '--partitions', '3', '--json')).stdout)
    expect(result).toMatchObject({ ok: true, embedded: false, lost: 0, doubled: 0, failed: 0 })
  })
})
