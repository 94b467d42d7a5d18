/**
 * Consume benchmark: several clients read the same topics of one real Kafka, in interleaved rounds.
 * Why CPU stands beside the rate: client and broker share the cores, so the rate alone says more about the broker.
 * Invariant: each run is a process of its own with a fresh group; it counts only if every record came once, in order,
 * with the bytes that were produced. Source: kafka.md section 9.
 */
import { appendFileSync } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import { pathToFileURL } from 'node:url'
import { compiledWorker, compileWorkers } from './harness/compiled.js'
import {
  type Cell,
  type ConsumeOptions,
  type Contender,
  HELP,
  parseConsumeOptions,
  recordsOf,
} from './harness/consume-options.js'
import type { ConsumeJob, ConsumeMeasurement } from './harness/consume-peer.js'
import { type ConsumeRow, type ConsumeVoid, consumeRow, consumeSummary, consumeTable } from './harness/consume-table.js'
import { type BenchKafka, openKafka } from './harness/kafka.js'
import { inOwnProcess, type OwnProcess } from './harness/own-process.js'
import type { Job } from './harness/peer.js'
import { build, environmentOf, optionsOrExit } from './harness/start.js'

const PRODUCER = compiledWorker('worker')
const CONSUMER = compiledWorker('consume-worker')
const RUN_LIMIT_MS = 180_000
/** A tenth of a run, with every byte checked, before the clock starts. */
const WARMUP_SHARE = 0.1

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOrExit(() => parseConsumeOptions(args), HELP)
  if (typeof options === 'number') return options
  compileWorkers()
  if (process.env.TANDEM_ENTRY === undefined) build()
  const kafka = await openKafka(options.brokers)
  try {
    return await runCells(kafka, options)
  } finally {
    await kafka.stop()
  }
}

async function runCells(kafka: BenchKafka, options: ConsumeOptions): Promise<number> {
  const rows: ConsumeRow[] = []
  const voids: ConsumeVoid[] = []
  const record = (line: object) => {
    if (options.out !== null) appendFileSync(options.out, `${JSON.stringify(line)}\n`)
  }
  const environment = environmentOf(options)
  console.log(JSON.stringify(environment))
  record({ environment })
  for (const cell of options.cells) {
    const topics = await fill(kafka, options, cell)
    try {
      for (let number = 1; number <= options.rounds; number++) {
        for (const contender of orderOf(options.contenders, number)) {
          const row = await runOnce(kafka, options, cell, contender, number, topics)
          if ('void' in row) voids.push(row)
          else rows.push(row)
          console.log(lineOf(row))
          record(row)
        }
      }
    } finally {
      await kafka.deleteTopics([...topics.values()])
    }
  }
  return report(options, rows, voids, record)
}

function report(
  options: ConsumeOptions,
  rows: readonly ConsumeRow[],
  voids: readonly ConsumeVoid[],
  record: (line: object) => void,
): number {
  const names = options.contenders.map(({ name }) => name)
  const summaries = options.cells.flatMap((cell) => consumeSummary(rows, voids, nameOf(cell), names))
  console.log(`\n${consumeTable(summaries)}`)
  record({ summary: summaries, voidRuns: voids.length })
  if (voids.length > 0) console.log(`\n${voids.length} void runs:\n${voids.map(lineOf).join('\n')}`)
  return voids.length === 0 ? 0 : 1
}

function nameOf({ valueBytes, compression }: Cell): string {
  return `${valueBytes} B ${compression}`
}

/** A B C, then C B A, then B C A, A C B: what drifts over time touches all alike, and nobody is always behind the same. */
function orderOf(contenders: readonly Contender[], number: number): Contender[] {
  const by = Math.floor((number - 1) / 2) % contenders.length
  const rotated = [...contenders.slice(by), ...contenders.slice(0, by)]
  return number % 2 === 1 ? rotated : rotated.reverse()
}

/** One topic per number of records that is read in this cell, warm-ups included; by number. */
async function fill(kafka: BenchKafka, options: ConsumeOptions, cell: Cell): Promise<Map<number, string>> {
  const counts = options.contenders.flatMap(({ client }) => {
    const records = recordsOf(client, cell, options.scale)
    return [records, warmupOf(records)]
  })
  const topics = new Map<number, string>()
  for (const records of new Set(counts)) {
    const topic = `bench-consume-${cell.valueBytes}-${cell.compression}-${records}-${Date.now().toString(36)}`
    await kafka.createTopic(topic, options.partitions)
    topics.set(records, topic)
    const failure = await produce(kafka, options, cell, topic, records)
    if (failure !== null) throw new Error(`${topic} could not be filled: ${failure}`)
  }
  return topics
}

function warmupOf(records: number): number {
  return Math.max(1, Math.round(records * WARMUP_SHARE))
}

/** By our own producer, with its default settings; counted in the log afterwards. */
async function produce(
  kafka: BenchKafka,
  options: ConsumeOptions,
  cell: Cell,
  topic: string,
  records: number,
): Promise<string | null> {
  const { brokers } = kafka
  const { partitions } = options
  const job: Job = {
    ...cell,
    client: 'tandem',
    brokers,
    topic,
    warmupTopic: topic,
    records,
    warmupRecords: 0,
    partitions,
  }
  const answer = await inOwnProcess<object>(job, processOf(PRODUCER, null))
  if ('failure' in answer) return answer.failure
  const inLog = await kafka.countRecords(topic)
  return inLog === records ? null : `${records} records were sent, the log holds ${inLog}`
}

async function runOnce(
  kafka: BenchKafka,
  options: ConsumeOptions,
  cell: Cell,
  contender: Contender,
  number: number,
  topics: ReadonlyMap<number, string>,
): Promise<ConsumeRow | ConsumeVoid> {
  const records = recordsOf(contender.client, cell, options.scale)
  const warmupRecords = warmupOf(records)
  const group = `bench-${contender.name}-${number}-${Date.now().toString(36)}`
  const job: ConsumeJob = {
    ...cell,
    client: contender.client,
    brokers: kafka.brokers,
    topic: topics.get(records) as string,
    group,
    records,
    partitions: options.partitions,
    warmupTopic: topics.get(warmupRecords) as string,
    warmupGroup: `${group}-warmup`,
    warmupRecords,
    use: contender.use,
    isMeasured: contender.isMeasured,
    way: options.way,
  }
  const run = { cell: nameOf(cell), contender: contender.name, round: number }
  const answer = await inOwnProcess<ConsumeMeasurement>(job, processOf(CONSUMER, contender.build))
  return 'failure' in answer ? { ...run, void: answer.failure } : consumeRow({ ...run, records }, answer.measurement)
}

/** BENCH_NODE_ARGS go to the measured process: --cpu-prof and the like. */
function processOf(worker: string, build: string | null): OwnProcess {
  const nodeArguments = (process.env.BENCH_NODE_ARGS ?? '').split(' ').filter((arg) => arg !== '')
  const entry = build === null ? process.env.TANDEM_ENTRY : pathToFileURL(resolvePath(build, 'index.js')).href
  return { worker, limitMs: RUN_LIMIT_MS, nodeArguments, entry }
}

function lineOf(row: ConsumeRow | ConsumeVoid): string {
  const head = `${row.cell.padEnd(12)} ${row.contender.padEnd(18)} round ${row.round}`
  if ('void' in row) return `${head}  VOID: ${row.void}`
  const { ratePerSecond, cpuUsPerMessage, peakRssBytes, seconds } = row
  const rss = Math.round(peakRssBytes / 2 ** 20)
  return `${head}  ${seconds.toFixed(2)} s  ${Math.round(ratePerSecond / 1000)} k/s  ${cpuUsPerMessage} us CPU  ${rss} MiB`
}
