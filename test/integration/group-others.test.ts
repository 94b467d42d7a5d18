/**
 * Groups in the company of others, on a real Kafka: librdkafka (kcat) shares a group with us, kafkajs and Java's tools read
 * the offsets that we commit, other readers say what lies in dead-letter, compacted and log-append-time topics.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { AssignorName } from '../../lib/config/index.js'
import type { RecordMetadata } from '../../lib/index.js'
import { ConsumerStage, sendAll, valuesOf } from '../support/consumer-stage.js'
import { eventually } from '../support/eventually.js'
import { createTopicNamed, endOffsets, readWithKafkajs, withAdmin } from '../support/interop-kafkajs.js'
import { hasKcat } from '../support/interop-kcat.js'
import {
  bootstrap,
  brokers,
  createTopic,
  describeWithKafka,
  jarFolder,
  type OwnKafka,
  startOwnKafka,
} from '../support/real-kafka.js'

const PROTOCOLS = ['classic', 'consumer'] as const
const LIMIT_MS = 30_000
const PARTITIONS = 4

const groupName = () => `others-${randomUUID().slice(0, 8)}`

/** A member of a group as librdkafka is one. */
class KcatMember {
  /** `partition@offset value`, in the order of its output. */
  readonly records: string[] = []
  partitions: number[] = []
  story = ''
  readonly #process: ChildProcess

  constructor(groupId: string, topic: string, assignor: string) {
    const settings = [
      `partition.assignment.strategy=${assignor}`,
      'auto.offset.reset=earliest',
      'heartbeat.interval.ms=500',
      'session.timeout.ms=10000',
      'auto.commit.interval.ms=200',
      'topic.metadata.refresh.interval.ms=1000',
    ].flatMap((setting) => ['-X', setting])
    const args = ['-G', groupId, '-b', bootstrap, ...settings, '-u', '-f', '%p@%o %s\\n', topic]
    const child = spawn('kcat', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    createInterface(child.stdout).on('line', (line) => this.records.push(line))
    createInterface(child.stderr).on('line', (line) => this.#hear(line))
  }

  /** Leaves as it should: what it has read is committed. */
  async leave(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    await ended
    this.partitions = []
  }

  /** "% Group g rebalanced (memberid m): assigned: t [0], t [1]", or revoked; "incremental assignment of 2 ...". */
  #hear(line: string): void {
    this.story = `${this.story}${line}\n`.slice(-2_000)
    const numbers = [...line.matchAll(/\[(\d+)\]/g)].map((match) => Number(match[1]))
    if (/assign(ed:|ment of)/.test(line)) this.partitions = [...new Set([...this.partitions, ...numbers])]
    else if (/(revoked:|revoke of)/.test(line))
      this.partitions = this.partitions.filter((one) => !numbers.includes(one))
  }
}

describeWithKafka('groups in the company of others', () => {
  const stage = new ConsumerStage(brokers)
  const kcats: KcatMember[] = []
  afterEach(async () => {
    await Promise.all(kcats.splice(0).map((kcat) => kcat.leave()))
    await stage.close()
  })

  it.skipIf(!hasKcat).each(['range', 'roundrobin', 'cooperative-sticky'] as const)(
    'C-23, C-24: librdkafka and we share a group under %s, whoever leads, and read everything once',
    async (assignor: AssignorName) => {
      const topic = await createTopic(`kcat-${assignor}`, { partitions: PARTITIONS })
      const groupId = groupName()
      const producer = stage.producer()
      const write = async (from: number) => {
        for (let p = 0; p < PARTITIONS; p++) await sendAll(producer, topic, p, valuesOf(`${p}:`, 20, from))
      }
      const kcat = new KcatMember(groupId, topic, assignor)
      kcats.push(kcat)
      const heard = stage.heard({ groupId, assignors: [assignor] })
      const share = (theirs: number) => () =>
        kcat.partitions.length === theirs && heard.consumer.assignment.length === PARTITIONS - theirs
      const isRead = (count: number) => () => kcat.records.length + heard.values.length === count
      const shared = async (theirs: number) =>
        eventually(`kcat has ${theirs}`, share(theirs), LIMIT_MS, () => `${kcat.story} ${heard.story()}`)
      await write(0)
      await shared(PARTITIONS)
      await heard.until('kcat reads', isRead(PARTITIONS * 20))
      await heard.consumer.subscribe(topic, heard.take)
      await shared(PARTITIONS / 2)
      await write(20)
      await heard.until('both read', isRead(PARTITIONS * 40))
      expect([kcat.records.length, heard.values.length]).toEqual([PARTITIONS * 30, PARTITIONS * 10])
      await kcat.leave() // It led.
      await shared(0)
      await write(40)
      await heard.until('we read all', isRead(PARTITIONS * 60))
      const again = new KcatMember(groupId, topic, assignor)
      kcats.push(again)
      const half = () => again.partitions.length === 2 && heard.consumer.assignment.length === 2
      await eventually('shared, we lead', half, LIMIT_MS, () => `${again.story} ${heard.story()}`)
      await write(60)
      const total = () => kcat.records.length + again.records.length + heard.values.length
      await heard.until('both read', () => total() === PARTITIONS * 80)
      const places = heard.places.map((place, at) => `${place.slice(topic.length + 1)} ${heard.values[at]}`)
      const expected = Array.from({ length: PARTITIONS }, (_, p) =>
        valuesOf(`${p}:`, 80).map((value, offset) => `${p}@${offset} ${value}`),
      )
      expect([...kcat.records, ...again.records, ...places].sort()).toEqual(expected.flat().sort())
      expect(heard.errors).toEqual([])
    },
  )

  it.each(PROTOCOLS)(
    'C-33, CO-8: %s: kafkajs and Java read the offsets that we commit, and the lag we tell',
    async (groupProtocol) => {
      const topic = await createTopic('offsets-seen', { partitions: 3 })
      const groupId = groupName()
      const producer = stage.producer()
      for (let p = 0; p < 3; p++) await sendAll(producer, topic, p, valuesOf(`${p}:`, 5 * p))
      const heard = stage.heard({ groupId, groupProtocol, autoCommit: false })
      await heard.consumer.subscribe(topic, heard.take)
      await heard.until('all is read', () => heard.values.length === 15)
      const metadata = 'half way: é'
      await heard.consumer.commitOffsets([
        { topic, partition: 1, offset: 3, metadata },
        { topic, partition: 2, offset: 10 },
      ])
      const expected = [
        { partition: 0, offset: -1, metadata: '' },
        { partition: 1, offset: 3, metadata },
        { partition: 2, offset: 10, metadata: '' },
      ]
      const ours = await heard.consumer.committed([0, 1, 2].map((partition) => ({ topic, partition })))
      const told = ours.map((one, partition) => ({
        partition,
        offset: one?.offset ?? -1,
        metadata: one?.metadata ?? '',
      }))
      expect(told).toEqual(expected)
      const theirs = await withAdmin(brokers, (admin) => admin.fetchOffsets({ groupId, topics: [topic] }))
      const sorted = [...(theirs[0]?.partitions ?? [])].sort((a, b) => a.partition - b.partition)
      expect(
        sorted.map((one) => ({ partition: one.partition, offset: Number(one.offset), metadata: one.metadata ?? '' })),
      ).toEqual(expected)
      if (jarFolder === null) return
      const rows = await describeGroup(groupId)
      const { memberId } = heard.consumer.getMetrics()
      // TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID
      expect(
        rows
          .filter(([, name]) => name === topic)
          .map((row) => row.slice(2, 7))
          .sort(),
      ).toEqual([
        ['0', '-', '0', '-', memberId],
        ['1', '3', '5', '2', memberId],
        ['2', '10', '10', '0', memberId],
      ])
    },
  )

  it('CO-15: what fails goes to the dead-letter topic by a real producer, whole, and is not read again', async () => {
    const topic = await createTopic('orders', { partitions: 2 })
    await createTopicNamed(brokers, `${topic}.dlq`, 1)
    const producer = stage.producer()
    for (let n = 0; n < 10; n++) {
      const headers = { n: String(n), twice: ['a', 'b'] }
      await producer.sendSync(topic, n % 5 === 3 ? null : `value ${n}`, { key: `key ${n}`, partition: n % 2, headers })
    }
    const groupId = groupName()
    const config = { groupId, onError: 'retry', errorRetries: 1, errorFinal: 'dlq' } as const
    const heard = stage.heard(config, { deadLetters: stage.producer() })
    const calls = new Map<string, number>()
    await heard.consumer.subscribe(topic, (record) => {
      const key = String(record.key)
      calls.set(key, (calls.get(key) ?? 0) + 1)
      if (record.value === null) throw new RangeError(`no value in ${key}`)
      heard.take(record)
    })
    await heard.until('eight are processed, two are dead', () => heard.consumer.getMetrics().totalMessages === 10)
    expect([calls.get('key 3'), calls.get('key 8'), calls.get('key 4')]).toEqual([2, 2, 1])
    const letters = await readWithKafkajs(brokers, `${topic}.dlq`)
    const asText = letters.map(({ key, value, headers }) => ({
      key: String(key),
      value,
      headers: Object.fromEntries(headers.map(([name, bytes]) => [name, String(bytes)])),
      twice: headers.filter(([name]) => name === 'twice').map(([, bytes]) => String(bytes)),
    }))
    const letter = (n: number) => ({
      key: `key ${n}`,
      value: null,
      twice: ['a', 'b'],
      headers: expect.objectContaining({
        n: String(n),
        'x-error-message': expect.stringContaining(`no value in key ${n}`),
        'x-original-topic': topic,
        'x-original-partition': String(n % 2),
        'x-original-offset': String(Math.floor(n / 2)),
      }),
    })
    expect(asText.sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual([letter(3), letter(8)])
    await heard.consumer.close()
    const next = stage.heard(config, { deadLetters: producer })
    await next.consumer.subscribe(topic, next.take)
    await producer.sendSync(topic, 'the next', { partition: 0 })
    await next.until('it goes on', () => next.values.length > 0)
    expect(next.values).toEqual(['the next'])
  })

  it('CO-16: what comes again after a loss without commit is known, by content and over partitions', async () => {
    const topic = await createTopic('again', { partitions: 2 })
    const producer = stage.producer()
    await sendAll(producer, topic, 0, ['a', 'b', 'a'])
    await sendAll(producer, topic, 1, ['b', 'c'])
    const heard = stage.heard({ groupId: groupName(), autoCommit: false, dedup: { enabled: true } })
    await heard.consumer.subscribe(topic, heard.take)
    const seen = (count: number) => () =>
      heard.consumer.getMetrics().totalMessages + heard.consumer.getMetrics().dedupHits >= count
    await heard.until('all five', () => heard.consumer.getMetrics().lag === 0 && heard.values.length === 3)
    expect([[...heard.values].sort(), heard.consumer.getMetrics().dedupHits]).toEqual([['a', 'b', 'c'], 2])
    await heard.consumer.unsubscribeAll()
    await heard.consumer.subscribe(topic, heard.take) // From the beginning: nothing was committed.
    await sendAll(producer, topic, 1, ['c', 'd'])
    await heard.until('d', () => heard.values.includes('d'))
    await heard.until('all', seen(5 + 7))
    expect([[...heard.values].sort(), heard.consumer.getMetrics().dedupHits]).toEqual([['a', 'b', 'c', 'd'], 2 + 5 + 1])
    expect([0, 1].map((partition) => heard.consumer.position({ topic, partition }))).toEqual([3, 4])
  })

  it('C-12, CO-3: log-append time is what the broker says, to sender, reader and seek', async () => {
    const topic = await createTopic('append-time', { configs: { 'message.timestamp.type': 'LogAppendTime' } })
    const producer = stage.producer()
    const sent: RecordMetadata[] = []
    for (let n = 0; n < 5; n++) {
      sent.push(await producer.sendSync(topic, `value ${n}`, { timestamp: 1_000 + n }))
      await eventually('the clock moves', () => Date.now() > (sent[n]?.timestamp ?? 0), LIMIT_MS)
    }
    const heard = stage.heard({ groupId: groupName() })
    const times: number[] = []
    await heard.consumer.subscribe(topic, (record) => {
      times.push(record.timestamp)
      heard.take(record)
    })
    await heard.until('five', () => times.length === 5)
    const log = await readWithKafkajs(brokers, topic)
    expect([times, sent.map(({ timestamp }) => timestamp)]).toEqual([log.map(({ timestamp }) => timestamp), times])
    expect(times[0]).toBeGreaterThan(1_700_000_000_000)
    await heard.consumer.seekToTimestamp([topic], times[3] as number)
    await heard.until('two again', () => times.length === 7)
    expect(heard.values.slice(5)).toEqual(['value 3', 'value 4'])
  })
})

describe.skipIf(jarFolder === null)('a compacted topic', () => {
  let own: OwnKafka
  beforeAll(() => {
    own = startOwnKafka({ 'log.cleaner.backoff.ms': '100' })
  })
  afterAll(() => own?.stop())

  it.each(PROTOCOLS)(
    'C-12, K-17: %s: gaps, tombstones and emptied batches cost no loop and no record',
    async (groupProtocol) => {
      const stage = new ConsumerStage(own.brokers)
      try {
        const topic = `compacted-${groupProtocol}`
        await createTopicNamed(own.brokers, topic, 1, {
          'cleanup.policy': 'compact',
          'min.cleanable.dirty.ratio': '0.01',
          'segment.ms': '100',
          'delete.retention.ms': '100',
          'min.compaction.lag.ms': '0',
        })
        // One batch per producer: what they hold goes, and an emptied batch stays as the last of its producer.
        for (const name of ['one', 'two', 'three', 'four']) {
          const producer = stage.producer({ lingerMs: 20 })
          const keys = Array.from({ length: 50 }, (_, n) => `key ${n}`)
          await Promise.all(keys.map((key) => producer.sendSync(topic, `${name} ${key}`, { key, partition: 0 })))
          await producer.close()
        }
        const last = stage.producer()
        await last.sendSync(topic, null, { key: 'key 7', partition: 0 })
        let n = 0
        const isCompacted = async () => {
          await last.sendSync(topic, `roll ${n++}`, { key: 'roll', partition: 0 }) // Only what is not active is cleaned.
          await sleep(300)
          return emptyBatches(join(own.dataFolder ?? '', 'n1', `${topic}-0`)) >= 3
        }
        await eventually('batches were emptied', isCompacted, LIMIT_MS)
        const [end = 0] = await endOffsets(own.brokers, topic)
        const heard = stage.heard({ groupId: groupName(), groupProtocol, fetchMaxWaitMs: 500 })
        const keys = new Map<string, string | null>()
        await heard.consumer.subscribe(topic, (record) => {
          keys.set(String(record.key), record.value === null ? null : String(record.value))
          heard.take(record)
        })
        await heard.until('it is at the end', () => heard.consumer.position({ topic, partition: 0 }) === end)
        const { fetches } = heard.consumer.getMetrics()
        const expected = Array.from({ length: 50 }, (_, k) => [`key ${k}`, k === 7 ? null : `four key ${k}`] as const)
        expect(keys.get('key 7') ?? null).toBeNull() // The tombstone, or nothing when that is cleaned away too.
        keys.set('key 7', null)
        expect(new Map(keys)).toEqual(new Map([...expected, ['roll', `roll ${n - 1}`]]))
        expect([heard.consumer.getMetrics().lag, heard.errors]).toEqual([0, []])
        expect(heard.values.length).toBeLessThan(end / 2)
        expect(fetches).toBeLessThan(10)
      } finally {
        await stage.close()
      }
    },
  )
})

/** Batches without records in a partition's files. */
function emptyBatches(folder: string): number {
  let count = 0
  for (const name of readdirSync(folder).filter((one) => one.endsWith('.log'))) {
    const bytes = readFileSync(join(folder, name))
    for (let at = 0; at + 61 <= bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
      if (bytes.readInt32BE(at + 57) === 0) count++
    }
  }
  return count
}

/** Rows of Java's `kafka-consumer-groups --describe`. */
async function describeGroup(groupId: string): Promise<string[][]> {
  const flags = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(jarFolder ?? '', '*')]
  const tool = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'
  const { stdout } = await promisify(execFile)('java', [
    ...flags,
    tool,
    '--bootstrap-server',
    bootstrap,
    '--describe',
    '--group',
    groupId,
  ])
  const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/))
  return rows.filter(([group]) => group === groupId)
}
