/**
 * What the server costs beside plain node:net: echo ping-pong of 4 KiB messages behind their length, by connections.
 * Invariant: rounds are interleaved and their order alternates, server and client are processes of their own; a run whose echo
 * is not the bytes that were sent counts as failed. Prints a Markdown table; --json prints one line per run. features.md part 8.
 */
import { parseArgs } from 'node:util'
import { compileWorkers } from './harness/compiled.js'
import { ECHOES, type Echo } from './harness/net-job.js'
import { measureEcho, measureIdle, type NetMeasurement } from './harness/net-run.js'
import { environmentOf, optionsOrExit } from './harness/start.js'
import { type Spread, spread } from './harness/summary.js'

const HELP = `npx tsx bench/net.ts: echo ping-pong, our server beside plain node:net with frames cut by hand.

  --rounds <n>         (default 5; 1 with --quick)
  --connections <n,..> (default 10,100,1000)
  --full               10,000 connections, too
  --bytes <n>          of a message (default 4096)
  --seconds <n>        of one measurement (default 3), after a warm-up of 1
  --quick              10 and 100 connections, half a second each: shows that it works, measures nothing
  --idle <n>           only this: memory of a server with so many silent connections; fails above 40 KiB each
  --json               one line per run as JSON
  --strict             exit code 1 when our server is slower than plain node:net

plain       a frame is built for each answer, as any handler's answer needs it: what the goal compares with
plain-view  the echo writes back the bytes as they came, without building anything: the least node:net can do

Exit code 1: a run failed.`

/** Of an idle connection: 10,000 within 400 MB. */
const IDLE_BYTES = 40_000
const MIB = 1024 * 1024

interface NetOptions {
  readonly brokers: null
  readonly rounds: number
  readonly connections: readonly number[]
  readonly messageBytes: number
  readonly warmupMs: number
  readonly measureMs: number
  readonly idle: number | null
  readonly isJson: boolean
  readonly isStrict: boolean
}

/** By round; null = the run failed. */
type Runs = Record<Echo, (NetMeasurement | null)[]>

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOrExit(() => parseOptions(args), HELP)
  if (typeof options === 'number') return options
  compileWorkers()
  print(JSON.stringify(environmentOf(options)))
  return options.idle === null ? compare(options) : idle(options.idle)
}

function parseOptions(args: readonly string[]): NetOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string' },
      connections: { type: 'string' },
      full: { type: 'boolean', default: false },
      bytes: { type: 'string', default: '4096' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      idle: { type: 'string' },
      json: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const usual = values.quick ? '10,100' : `10,100,1000${values.full ? ',10000' : ''}`
  return {
    brokers: null,
    rounds: count('rounds', values.rounds ?? (values.quick ? '1' : '5')),
    connections: (values.connections ?? usual).split(',').map((text) => count('connections', text)),
    messageBytes: count('bytes', values.bytes),
    warmupMs: values.quick ? 200 : 1000,
    measureMs: 1000 * positive('seconds', values.seconds ?? (values.quick ? '0.5' : '3')),
    idle: values.idle === undefined ? null : count('idle', values.idle),
    isJson: values.json,
    isStrict: values.strict,
  }
}

function count(name: string, text: string): number {
  const value = Number(text.replaceAll('_', ''))
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw new Error(`--${name} is a whole number from 1, not ${text}`)
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (value > 0 && value <= 3600) return value
  throw new Error(`--${name} is a number of seconds above 0, not ${text}`)
}

async function compare(options: NetOptions): Promise<number> {
  const rows: { connections: number; runs: Runs }[] = []
  let failures = 0
  for (const connections of options.connections) {
    const runs: Runs = { tandem: [], plain: [], 'plain-view': [] }
    rows.push({ connections, runs })
    for (let round = 1; round <= options.rounds; round++) {
      for (const echo of round % 2 === 1 ? ECHOES : [...ECHOES].reverse()) {
        const run = await runOne(options, echo, connections)
        if (run === null) failures++
        runs[echo].push(run)
        if (options.isJson) print(JSON.stringify({ connections, round, echo, ...run }))
      }
    }
  }
  const verdicts = rows.map(({ connections, runs }) => ({ connections, runs, ratio: ratioOf(runs, 'plain') }))
  print(tableOf(verdicts))
  const missed = verdicts.filter(({ ratio }) => !(ratio >= 1)).length
  print(`\n${verdicts.length} rows, ${missed} below plain node:net, ${failures} runs failed`)
  return failures > 0 || (options.isStrict && missed > 0) ? 1 : 0
}

async function runOne(options: NetOptions, echo: Echo, connections: number): Promise<NetMeasurement | null> {
  const { messageBytes, warmupMs, measureMs } = options
  try {
    return await measureEcho({ echo, connections, messageBytes, warmupMs, measureMs })
  } catch (error) {
    console.error(`${echo}, ${connections} connections: ${error instanceof Error ? error.message : String(error)}`)
    return null
  }
}

/** Round by round, because runs that stand side by side met the same machine; the median of them. */
function ratioOf({ tandem, ...others }: Runs, to: Exclude<Echo, 'tandem'>, of = rateOfRun): number {
  const ratios = tandem.flatMap((run, index) => {
    const other = others[to][index]
    return run === null || other === null || other === undefined ? [] : [of(run) / of(other)]
  })
  return spread(ratios).median
}

function rateOfRun(run: NetMeasurement): number {
  return run.messagesPerSecond
}

function cpuOfRun(run: NetMeasurement): number {
  return run.cpuUsPerMessage
}

function spreadOf(runs: Runs[Echo], of: (run: NetMeasurement) => number): Spread {
  return spread(runs.flatMap((run) => (run === null ? [] : [of(run)])))
}

function tableOf(rows: readonly { connections: number; runs: Runs }[]): string {
  const head = [
    'connections',
    ...ECHOES.map((echo) => `${echo}, MiB/s (min..max)`),
    ...ECHOES.map((echo) => `${echo}, CPU us`),
    'MiB/s to plain',
    'MiB/s to plain-view',
    'CPU to plain',
    'CPU to plain-view',
  ]
  const lines = rows.map(({ connections, runs }) => [
    String(connections),
    ...ECHOES.map((echo) => rateOf(runs[echo])),
    ...ECHOES.map((echo) => spreadOf(runs[echo], cpuOfRun).median.toFixed(2)),
    `${ratioOf(runs, 'plain').toFixed(3)} x`,
    `${ratioOf(runs, 'plain-view').toFixed(3)} x`,
    `${ratioOf(runs, 'plain', cpuOfRun).toFixed(3)} x`,
    `${ratioOf(runs, 'plain-view', cpuOfRun).toFixed(3)} x`,
  ])
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function rateOf(runs: Runs[Echo]): string {
  const { median, min, max } = spreadOf(runs, (run) => run.mibPerSecond)
  return `${median.toFixed(1)} (${min.toFixed(1)}..${max.toFixed(1)})`
}

async function idle(connections: number): Promise<number> {
  const none = await measureIdle(1)
  const { rssBytes, connections: open } = await measureIdle(connections)
  const perConnection = (rssBytes - none.rssBytes) / connections
  print(
    `${open} silent connections: ${Math.round(rssBytes / MIB)} MiB in all, ${Math.round(none.rssBytes / MIB)} MiB with one, ${Math.round(perConnection)} B each`,
  )
  return open === connections && perConnection <= IDLE_BYTES ? 0 : 1
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
