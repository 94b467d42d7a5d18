/**
 * `consume`: records of topics to stdout, from partitions or as a member of a group.
 * Invariant: what is committed was written to stdout before; a record that was not printed is not committed.
 */
import { type AdminClient, type Consumer, MQError, type PartitionAssignment, type TopicPartition } from '../../index.js'
import { OK } from '../exit-codes.js'
import { compileFormat, type Format, jsonFormat, plainFormat } from '../format.js'
import { parseRange, type Range } from '../offset-words.js'
import { amount, count, plural } from '../output.js'
import { textOf } from '../report.js'
import type { Run } from '../run.js'
import type { ClusterFlags } from '../settings.js'
import { integer, partitionList, UsageError } from '../usage.js'
import { keyOf } from './keys.js'
import { delimiterOf } from './produce.js'
import { Stops } from './stops.js'

export interface ConsumeFlags extends ClusterFlags {
  readonly topic?: readonly string[]
  readonly partition?: string
  readonly group?: string
  readonly offset?: readonly string[]
  readonly count?: string
  readonly exit?: boolean
  readonly format?: string
  readonly delimiter: string
  readonly keyDelimiter?: string
  readonly null?: boolean
}

/** Records taken from the consumer at once. */
const BATCH_RECORDS = 500
/** Longest silence after which a run that ends by itself looks whether it is at the end. Milliseconds. */
const LOOK_MS = 100

export async function consume(run: Run, names: readonly string[], flags: ConsumeFlags): Promise<number> {
  const topics = [...(flags.topic ?? []), ...names]
  if (topics.length === 0) throw new UsageError("consume: name a topic, such as 'consume -t orders'")
  const format = formatOf(flags)
  const range = parseRange(flags.offset ?? [])
  const limit = flags.count === undefined ? Number.POSITIVE_INFINITY : integer('-c', flags.count, 1)
  const partitions = flags.partition === undefined ? null : partitionsOf(flags.partition)
  const settings = run.settings({ wishes: wishesOf(flags, range) })
  const admin = run.admin(settings)
  const stops = new Stops(admin, { isAtEnd: flags.exit === true, untilMs: range.untilMs, limits: run.limits })
  await checkTopics(run, admin, topics)
  if (range.untilMs !== undefined) await stops.learn(topics)
  const consumer = run.consumer(settings)
  consumer.on('error', (error) => void run.out.note(`tandem-mq: ${textOf(error)}`))
  const reading = new Reading(
    run,
    consumer,
    stops,
    format,
    limit,
    flags.group !== undefined && settings.consumer.autoCommit,
  )
  if (flags.group === undefined) await assign(run, consumer, admin, topics, partitions, range)
  else await subscribe(run, consumer, topics, partitions, range)
  return reading.run()
}

class Reading {
  readonly #run: Run
  readonly #consumer: Consumer
  readonly #stops: Stops
  readonly #format: Format
  readonly #commits: boolean
  #left: number
  #records = 0
  #bytes = 0
  readonly #fromMs = performance.now()
  readonly #printed = new Map<string, TopicPartition & { offset: number }>()

  constructor(run: Run, consumer: Consumer, stops: Stops, format: Format, limit: number, commits: boolean) {
    this.#run = run
    this.#consumer = consumer
    this.#stops = stops
    this.#format = format
    this.#left = limit
    this.#commits = commits
  }

  async run(): Promise<number> {
    const { out } = this.#run
    out.startProgress(() => this.#story())
    while (this.#left > 0 && !this.#run.io.signal.aborted) {
      if (this.#stops.isNeeded && (await this.#isAtEnd())) break
      await this.#turn()
    }
    await this.#commit()
    await this.#consumer.close()
    await out.summary(`consumed ${this.#story()}`)
    return OK
  }

  async #turn(): Promise<void> {
    const { signal } = this.#run.io
    const wait = this.#stops.isNeeded ? { timeoutMs: LOOK_MS, signal } : { signal }
    const records = await this.#consumer
      .readBatch(Math.min(BATCH_RECORDS, this.#left), wait)
      .catch((error: unknown) => {
        if (signal.aborted) return []
        throw error
      })
    const wanted = records.filter((record) => !this.#stops.isPast(record))
    const lines = wanted.map((record) => {
      this.#printed.set(keyOf(record), { topic: record.topic, partition: record.partition, offset: record.offset + 1 })
      this.#bytes += (record.key?.length ?? 0) + (record.value?.length ?? 0)
      return this.#format(record)
    })
    this.#records += wanted.length
    this.#left -= wanted.length
    if (lines.length > 0) await this.#run.out.bytes(Buffer.concat(lines))
  }

  #isAtEnd(): Promise<boolean> {
    return this.#stops.areReached(this.#consumer.assignment, (tp) => {
      return Math.max(this.#printed.get(keyOf(tp))?.offset ?? -1, this.#consumer.position(tp))
    })
  }

  /** Of the last records nobody has asked for a next one, so they do not count as processed yet. */
  async #commit(): Promise<void> {
    if (!this.#commits || this.#printed.size === 0) return
    const owned = new Set(this.#consumer.assignment.map(keyOf))
    const offsets = [...this.#printed.values()].filter((tp) => owned.has(keyOf(tp)))
    if (offsets.length > 0) await this.#consumer.commitOffsets(offsets)
  }

  #story(): string {
    const seconds = Math.max(0.001, (performance.now() - this.#fromMs) / 1000)
    return `${plural(this.#records, 'record')} (${amount(this.#bytes)}), ${count(Math.round(this.#records / seconds))}/s`
  }
}

/** A consumer would wait for a topic that is not there. */
async function checkTopics(run: Run, admin: AdminClient, topics: readonly string[]): Promise<void> {
  for (const topic of topics) {
    if (topic.startsWith('^') || (await admin.topicExists(topic, run.limits))) continue
    throw new MQError('TOPIC_NOT_FOUND', `there is no topic ${topic}`, { topic })
  }
}

async function assign(
  run: Run,
  consumer: Consumer,
  admin: AdminClient,
  topics: readonly string[],
  partitions: readonly number[] | null,
  range: Range,
): Promise<void> {
  const start = range.start ?? { kind: 'beginning' }
  if (start.kind === 'beginning' || start.kind === 'end') {
    const from = start.kind === 'beginning' ? 'earliest' : 'latest'
    const what = partitions === null ? topics : pairs(topics, partitions)
    return consumer.assign(what as readonly string[], { from, ...run.limits })
  }
  const lists = await Promise.all(topics.map((topic) => admin.getTopicOffsets(topic, run.limits)))
  const rows = lists.flat().filter(({ partition }) => partitions?.includes(partition) ?? true)
  checkFound(topics, partitions, rows)
  const stored = start.kind === 'stored' ? await consumer.committed(rows) : []
  const what = rows.map(({ topic, partition, logStart, logEnd }, at): PartitionAssignment => {
    if (start.kind === 'time') return { topic, partition, timestamp: start.timestamp }
    if (start.kind === 'absolute') return { topic, partition, offset: start.offset }
    if (start.kind === 'relative') return { topic, partition, offset: Math.max(logStart, logEnd - start.records) }
    return { topic, partition, offset: stored[at]?.offset ?? logStart }
  })
  await consumer.assign(what, run.limits)
}

async function subscribe(
  run: Run,
  consumer: Consumer,
  topics: readonly string[],
  partitions: readonly number[] | null,
  { start, untilMs }: Range,
): Promise<void> {
  if (partitions !== null)
    throw new UsageError('-p: a group decides itself who reads which partition; leave -p or -G out')
  if (untilMs !== undefined) throw new UsageError('-o e@time: not with -G, because other members do not stop there')
  if (start !== undefined && !['beginning', 'end', 'stored'].includes(start.kind)) {
    throw new UsageError("-o: with -G expected beginning, end or stored; 'groups reset' moves what is stored")
  }
  const what = topics.map((topic) => (topic.startsWith('^') ? new RegExp(topic) : topic))
  await consumer.subscribe(what, run.limits)
}

function pairs(topics: readonly string[], partitions: readonly number[]): TopicPartition[] {
  return topics.flatMap((topic) => partitions.map((partition) => ({ topic, partition })))
}

function checkFound(
  topics: readonly string[],
  partitions: readonly number[] | null,
  rows: readonly TopicPartition[],
): void {
  const found = new Set(rows.map(keyOf))
  const missing = pairs(topics, partitions ?? []).find((tp) => !found.has(keyOf(tp)))
  if (missing === undefined) return
  const { topic, partition } = missing
  throw new MQError('PARTITION_NOT_FOUND', `${topic} has no partition ${partition}: see 'topics describe'`, {
    topic,
    partition,
  })
}

function partitionsOf(text: string): number[] {
  return partitionList(text)
}

/** In a group what is not stored begins where `-o` says; without one nothing is committed behind anybody's back. */
function wishesOf({ group }: ConsumeFlags, { start }: Range): [string, unknown][] {
  const wishes: [string, unknown][] = [['consumer.groupId', group]]
  if (start?.kind === 'beginning') wishes.push(['consumer.autoOffsetReset', 'earliest'])
  if (start?.kind === 'end') wishes.push(['consumer.autoOffsetReset', 'latest'])
  return wishes
}

function formatOf({ format, json, delimiter, keyDelimiter, null: isNullShown }: ConsumeFlags): Format {
  const nullText = isNullShown === true ? 'NULL' : ''
  if (json === true) return jsonFormat()
  if (format !== undefined) return compileFormat(format, { nullText })
  return plainFormat(
    delimiterOf('-D', delimiter),
    keyDelimiter === undefined ? null : delimiterOf('-K', keyDelimiter),
    nullText,
  )
}
