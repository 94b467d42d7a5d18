/**
 * What the channel costs: writing, writing and reading in each way it offers, metrics, memory, and a reader on another thread.
 * Method: a process per case, so that none inherits the other's types and garbage; the cases of a group are alive together and
 * measured in turn, round by round, so that they meet the same machine; a second of warm-up each. Compiled first: a loader
 * that compiles on the fly leaves traces in hot functions.
 * Invariant: every record that is read is looked at; a wrong one fails the run. Sources: features.md 8, CH-20; the goals are
 * what the originals published for comparable work on their hardware.
 */
import { writeFileSync } from 'node:fs'
import os from 'node:os'
import { parseArgs } from 'node:util'
import { RunningRow } from './harness/channel-process.js'
import { CHANNEL_ROWS, type ChannelRow, COMPARISONS } from './harness/channel-rows.js'
import {
  type ChannelResult,
  type ComparedRuns,
  channelTable,
  compare,
  comparisonTable,
  comparisonVerdict,
  figuresOf,
  verdictOf,
  wordsOf,
  wordsOnThreads,
} from './harness/channel-table.js'
import { compileWorkers } from './harness/compiled.js'
import { environmentOf, optionsOrExit } from './harness/start.js'

const HELP = `npx tsx bench/channel.ts: what a record costs in the channel, beside the goals of features.md 8.

  --rounds <n>    each row is measured so often, in turn with its group (default 5; 2 with --quick)
  --quick         short runs, under 30 s: shows that it works, measures little
  --only <case>   rows whose name contains this, such as "by reference, 1 KiB"; may be given several times
  --json <file>   everything that was measured, too

A goal that is missed is said, and no failure. Exit code 1: a wrong result, or a run that broke. 2: a wrong option.`

interface ChannelBenchOptions {
  readonly brokers: null
  readonly rounds: number
  readonly isQuick: boolean
  /** Empty = all rows. */
  readonly only: readonly string[]
  readonly json: string | null
}

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOrExit(() => parseOptions(args), HELP)
  if (typeof options === 'number') return options
  compileWorkers()
  const rows = chosenRows(options.only)
  const environment = `node ${process.version}, ${os.availableParallelism()} cores`
  const results: ChannelResult[] = []
  for (const group of new Set(rows.map((row) => row.group))) {
    const measured = await measureGroup(
      rows.filter((row) => row.group === group),
      options,
    )
    for (const result of measured) print(`${wordsOf(result, environment)}\n`)
    results.push(...measured)
  }
  const compared = COMPARISONS.flatMap((one) => compare(one, results) ?? [])
  report(results, compared, environment)
  if (options.json !== null) writeJson(options.json, options, results, compared)
  return results.some(({ failure }) => failure !== null) ? 1 : 0
}

function parseOptions(args: readonly string[]): ChannelBenchOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const rounds = Number(values.rounds ?? (values.quick ? '2' : '5'))
  if (!Number.isSafeInteger(rounds) || rounds < 1)
    throw new Error(`--rounds is a whole number from 1, not ${values.rounds}`)
  const { only } = values
  if (chosenRows(only).length === 0) {
    const names = CHANNEL_ROWS.map(({ name }) => `  ${name}`).join('\n')
    throw new Error(`--only ${only.join(' --only ')} names no row. The rows:\n${names}`)
  }
  return { brokers: null, rounds, isQuick: values.quick, only, json: values.json ?? null }
}

function chosenRows(only: readonly string[]): readonly ChannelRow[] {
  return only.length === 0 ? CHANNEL_ROWS : CHANNEL_ROWS.filter(({ name }) => only.some((word) => name.includes(word)))
}

/** All rows of a group: begun one after the other, then measured in turn; every second round in the other direction. */
async function measureGroup(rows: readonly ChannelRow[], options: ChannelBenchOptions): Promise<ChannelResult[]> {
  const running = rows.map((row) => new RunningRow(row))
  for (const one of running) await one.begin(options.isQuick)
  for (let round = 0; round < options.rounds; round++) {
    for (const one of round % 2 === 0 ? running : [...running].reverse()) await one.measure()
  }
  for (const one of running) await one.end()
  return running.map(({ result }) => result)
}

function report(results: readonly ChannelResult[], compared: readonly ComparedRuns[], environment: string): void {
  const [load = 0] = os.loadavg()
  print(`${environment}, ${os.cpus()[0]?.model ?? 'unknown processor'}, load ${load.toFixed(1)}\n`)
  print(channelTable(results))
  if (compared.length > 0) print(`\n${comparisonTable(compared)}`)
  const threads = wordsOnThreads(results)
  if (threads !== null) print(`\n${threads}`)
  if (load > os.availableParallelism() + 0.5)
    print(`\nOthers kept this machine busy: trust CPU time and what is compared round by round, not the medians.`)
  const verdicts = [...results.map(verdictOf), ...compared.map(comparisonVerdict)].filter((one) => one !== null)
  const missed = verdicts.filter(({ isMet }) => !isMet).length
  const failed = results.filter(({ failure }) => failure !== null).length
  print(`\n${results.length} rows, ${verdicts.length} goals, ${missed} of them missed, ${failed} rows failed`)
}

function writeJson(
  file: string,
  options: ChannelBenchOptions,
  results: readonly ChannelResult[],
  compared: readonly ComparedRuns[],
): void {
  const rows = results.map((result) => ({
    ...result.row,
    failure: result.failure,
    ...(result.failure === null ? figuresOf(result) : {}),
    verdict: verdictOf(result)?.text ?? null,
    rounds: result.rounds,
  }))
  writeFileSync(file, `${JSON.stringify({ environment: environmentOf(options), rows, compared }, null, 2)}\n`)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
