/**
 * Produce benchmark: several clients, the same records, the same real Kafka, interleaved rounds.
 * Why CPU stands beside the rate: client and broker share the cores, so the rate alone says more about the broker.
 * Invariant: each run is a process of its own with a fresh topic; it counts only if the log holds exactly what was sent.
 * Prints one JSON line per run and one summary line. Source: kafka.md section 9.
 */
import { appendFileSync } from 'node:fs'
import { compiledWorker, compileWorkers } from './harness/compiled.js'
import { type BenchKafka, openKafka } from './harness/kafka.js'
import { type BenchOptions, HELP, METRICS_CLIENTS, parseOptions } from './harness/options.js'
import { inOwnProcess } from './harness/own-process.js'
import type { Job, Measurement } from './harness/peer.js'
import { build, environmentOf, optionsOrExit } from './harness/start.js'
import { metricsOverhead, type Row, round, summarise, type VoidRow } from './harness/summary.js'

const WORKER = compiledWorker('worker')
const RUN_LIMIT_MS = 300_000
const OURS = ['tandem', ...METRICS_CLIENTS]

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOrExit(() => parseOptions(args), HELP)
  if (typeof options === 'number') return options
  compileWorkers()
  if (OURS.some((name) => options.clients.includes(name))) build()
  const kafka = await openKafka(options.brokers)
  try {
    return await runRounds(kafka, options)
  } finally {
    await kafka.stop()
  }
}

async function runRounds(kafka: BenchKafka, options: BenchOptions): Promise<number> {
  const rows: Row[] = []
  const voids: VoidRow[] = []
  const emit = (line: object) => {
    const text = JSON.stringify(line)
    console.log(text)
    if (options.out !== null) appendFileSync(options.out, `${text}\n`)
  }
  emit({ environment: environmentOf(options) })
  for (let number = 1; number <= options.rounds; number++) {
    // A B, B A, A B: what drifts over time touches all clients alike.
    const order = number % 2 === 1 ? options.clients : [...options.clients].reverse()
    for (const client of order) {
      const row = await runOnce(kafka, options, client, number)
      if ('void' in row) voids.push(row)
      else rows.push(row)
      emit(row)
    }
  }
  emit({ summary: summarise(options.clients, rows, voids), voidRuns: voids.length, ...metricsOverhead(rows) })
  return voids.length === 0 ? 0 : 1
}

async function runOnce(
  kafka: BenchKafka,
  options: BenchOptions,
  client: string,
  number: number,
): Promise<Row | VoidRow> {
  const suffix = `${client}-${number}-${Date.now().toString(36)}`
  const topic = `bench-${suffix}`
  const warmupTopic = `warmup-${suffix}`
  for (const name of [topic, warmupTopic]) await kafka.createTopic(name, options.partitions)
  const brokerCpuBefore = kafka.brokerCpuSeconds()
  try {
    const records = options.records[client] ?? 0
    const warmupRecords = options.warmupRecords[client] ?? 0
    const job: Job = {
      ...options,
      client,
      brokers: kafka.brokers,
      topic,
      warmupTopic,
      records,
      warmupRecords,
    }
    const answer = await inOwnProcess<Measurement>(job, { worker: WORKER, limitMs: RUN_LIMIT_MS })
    if ('failure' in answer) return { client, round: number, void: answer.failure }
    const brokerCpuAfter = kafka.brokerCpuSeconds()
    const recordsInLog = await kafka.countRecords(topic)
    if (recordsInLog !== records) {
      return { client, round: number, void: `sent ${records} records, the log holds ${recordsInLog}` }
    }
    const brokerCpu = brokerCpuBefore === null || brokerCpuAfter === null ? null : brokerCpuAfter - brokerCpuBefore
    return rowOf({ client, round: number, records, recordsInLog }, warmupRecords, answer.measurement, brokerCpu)
  } finally {
    await kafka.deleteTopics([topic, warmupTopic])
  }
}

/** Broker CPU covers the warm-up too, therefore it is divided by all records of the run. */
function rowOf(
  run: Pick<Row, 'client' | 'round' | 'records' | 'recordsInLog'>,
  warmupRecords: number,
  measured: Measurement,
  brokerCpuSeconds: number | null,
): Row {
  const { records } = run
  return {
    ...run,
    ...measured,
    seconds: round(measured.seconds, 4),
    ratePerSecond: Math.round(records / measured.seconds),
    cpuUsPerMessage: round((measured.cpuSeconds * 1e6) / records, 3),
    brokerCpuUsPerMessage:
      brokerCpuSeconds === null ? null : round((brokerCpuSeconds * 1e6) / (records + warmupRecords), 3),
  }
}
