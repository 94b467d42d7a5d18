/**
 * What the write-ahead log costs: appends by durability and size, latency of acceptance at a fixed load, recovery, a full
 * log, the event loop. The bare disk is measured first, since a log's figures say nothing without it.
 * Invariant: each run is a process and a directory of its own; it counts only if every record came back as it was given.
 * Prints a Markdown table, or with --json one line per run. Source: wal.md 8.
 */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compiledWorker, compileWorkers } from './harness/compiled.js'
import { type Answer, inOwnProcess } from './harness/own-process.js'
import { environmentOf, optionsOrExit } from './harness/start.js'
import { measureEndToEnd, measureMetrics } from './harness/wal-end-to-end.js'
import type { LogCase, WalCase, WalJob, WalMeasurement } from './harness/wal-job.js'
import { type BenchRow, rowsOf, STORAGE } from './harness/wal-rows.js'
import { classOf, isReached, type RowResult, type Storage, tableOf } from './harness/wal-table.js'

const WORKER = compiledWorker('wal-worker')
const RUN_LIMIT_MS = 600_000
const LARGE_RECORDS = 50_000_000

interface WalBenchOptions {
  readonly brokers: null
  readonly rounds: number
  readonly isQuick: boolean
  readonly largeRecords: number
  /** Rows whose name has one of these in it; empty = all. */
  readonly only: readonly string[]
  readonly dir: string
  readonly out: string | null
  readonly isStrict: boolean
}

const HELP = `npx tsx bench/wal.ts: the write-ahead log on this machine's disk.

  --rounds <n>    (default 5; 1 with --quick)
  --quick         few records and short times: shows that it works, measures nothing
  --large         recovery of 50,000,000 records too (5 GB on the disk, once)
  --only <words>  rows whose name contains one of these, comma separated
  --dir <path>    where the logs are (default: the system's temporary folder)
  --out <file>    append every run to this file as JSON lines
  --strict        exit code 1 when a goal is not reached

Exit code 1: a run failed, or records did not come back.`

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOrExit(() => parseOptions(args), HELP)
  if (typeof options === 'number') return options
  compileWorkers()
  const root = mkdtempSync(join(options.dir, 'tandem-bench-wal-'))
  try {
    return await runRows(options, root)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

function parseOptions(args: readonly string[]): WalBenchOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      large: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      dir: { type: 'string' },
      out: { type: 'string' },
      strict: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const rounds = Number(values.rounds ?? (values.quick ? '1' : '5'))
  if (!Number.isSafeInteger(rounds) || rounds < 1)
    throw new Error(`--rounds is a whole number from 1, not ${values.rounds}`)
  return {
    brokers: null,
    rounds,
    isQuick: values.quick,
    largeRecords: values.large ? LARGE_RECORDS : 0,
    only: values.only.split(',').filter(Boolean),
    dir: values.dir ?? tmpdir(),
    out: values.out ?? null,
    isStrict: values.strict,
  }
}

async function runRows(options: WalBenchOptions, root: string): Promise<number> {
  const emit = (line: object) => {
    if (options.out !== null) appendFileSync(options.out, `${JSON.stringify(line)}\n`)
  }
  const environment = environmentOf(options)
  emit({ environment })
  const storage = await storageOf(options, root)
  emit({ storage })
  const rows = rowsOf(options).filter(
    ({ name }) => options.only.every((word) => word === '') || options.only.some((word) => name.includes(word)),
  )
  const results = rows.map((row): RowResult => ({ row, rounds: [], failures: [] }))
  for (let round = 1; round <= options.rounds; round++) {
    for (const [index, { row, rounds, failures }] of results.entries()) {
      if (round > (row.rounds ?? options.rounds)) continue
      const answer = await runRow(row, join(root, `${round}-${index}`))
      emit({ row: row.name, round, ...answer })
      process.stderr.write(`round ${round}, ${row.name}: ${'failure' in answer ? answer.failure : 'done'}\n`)
      results[index] =
        'failure' in answer
          ? { row, rounds, failures: [...failures, answer.failure] }
          : { row, rounds: [...rounds, answer.measurement], failures }
    }
  }
  print(wordsOf(environment, storage))
  print(tableOf(results, storage))
  const missed = results.filter((result) => isReached(result, storage) === false)
  const failed = results.filter(({ failures }) => failures.length > 0)
  print(`\n${results.length} rows, ${missed.length} goals not reached, ${failed.length} rows with a failed run`)
  return failed.length > 0 || (options.isStrict && missed.length > 0) ? 1 : 0
}

async function runRow(row: BenchRow, dir: string): Promise<Answer<WalMeasurement>> {
  let last: Answer<WalMeasurement> = { failure: 'a row without cases' }
  try {
    for (const what of row.cases) {
      last = await runAny(what, dir, row.nodeArguments)
      if ('failure' in last) break
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
  return last
}

async function runAny(what: WalCase, dir: string, nodeArguments: readonly string[]): Promise<Answer<WalMeasurement>> {
  if (what.kind !== 'endToEnd' && what.kind !== 'metrics') return runCase(what, dir, nodeArguments)
  try {
    return await (what.kind === 'endToEnd' ? measureEndToEnd(what, dir) : measureMetrics(what, dir))
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) }
  }
}

function runCase(what: LogCase, dir: string, nodeArguments: readonly string[]): Promise<Answer<WalMeasurement>> {
  const job: WalJob = { what, dir }
  return inOwnProcess<WalMeasurement>(job, { worker: WORKER, limitMs: RUN_LIMIT_MS, nodeArguments, untilEnded: true })
}

async function storageOf(options: WalBenchOptions, root: string): Promise<Storage> {
  const answer = await runCase(STORAGE(options), root, [])
  if ('failure' in answer) throw new Error(`the disk could not be measured: ${answer.failure}`)
  const { fdatasync, rawBytesPerSecond = Number.NaN, rawSyncedBytesPerSecond = Number.NaN } = answer.measurement
  return {
    syncP50Ms: fdatasync?.p50 ?? Number.NaN,
    syncP99Ms: fdatasync?.p99 ?? Number.NaN,
    writeBytesPerSecond: rawBytesPerSecond,
    syncedBytesPerSecond: rawSyncedBytesPerSecond,
  }
}

function wordsOf(environment: object, storage: Storage): string {
  const { node, cpu } = environment as { readonly node: string; readonly cpu: string }
  const { syncP50Ms, syncP99Ms, writeBytesPerSecond, syncedBytesPerSecond } = storage
  const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB/s`
  return `Storage class ${classOf(storage)}: fdatasync P50 ${syncP50Ms.toFixed(3)} ms, P99 ${syncP99Ms.toFixed(3)} ms; plain writes of 1 MiB ${mb(writeBytesPerSecond)}, each synced ${mb(syncedBytesPerSecond)}. Node ${node}, ${cpu}.\n`
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
