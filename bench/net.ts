/**
 * What the server costs beside plain node:net: echo ping-pong of 4 KiB messages behind their length, by connections.
 * Invariant: rounds are interleaved and their order alternates, server and client are processes of their own; a run whose echo
 * is not the bytes that were sent counts as failed. Prints a Markdown table; --json prints one line per run. features.md part 8.
 */
import { parseArgs } from 'node:util'
import { compileWorkers } from './harness/compiled.js'
import { ECHOES, type Echo, WEB_ECHOES } from './harness/net-job.js'
import { measureEcho, measureIdle, measureReaping, type NetMeasurement } from './harness/net-run.js'
import { environmentOf, optionsOrExit } from './harness/start.js'
import { type Spread, spread } from './harness/summary.js'

const HELP = `npx tsx bench/net.ts: echo ping-pong, our server beside plain node:net with frames cut by hand.

  --rounds <n>         (default 5; 1 with --quick)
  --connections <n,..> (default 10,100,1000)
  --full               10,000 connections, too
  --bytes <n>          of a message (default 4096)
  --seconds <n>        of one measurement (default 3), after a warm-up of 1
  --quick              10 and 100 connections, half a second each: shows that it works, measures nothing
  --websocket          instead: our server with WebSocket beside our server behind a length, every echo compared byte by byte;
                       3000 connections (100 with --quick), messages of 2048 bytes
  --idle <n>           only this: memory of a server with so many silent connections, and when it closes them; fails above
                       40,000 B each or 400 MB in all (10,000 connections), or when one is closed before it was silent for
                       idleMs or more than a second later
  --json               one line per run as JSON
  --strict             exit code 1 when our server is slower than plain node:net

plain       a frame is built for each answer, as any handler's answer needs it: what the goal compares with
plain-view  the echo writes back the bytes as they came, without building anything: the least node:net can do

Exit code 1: a run failed.`

/** Of an idle connection: 10,000 within 400 MB. */
const IDLE_BYTES = 40_000
/** 10,000 connections and the process. */
const IDLE_TOTAL_BYTES = 400_000_000
/** All are opened well within it. Milliseconds. */
const REAP_IDLE_MS = { quick: 2_000, full: 10_000 }
const REAP_LATE_MS = 1_000
const MIB = 1024 * 1024

interface NetOptions {
  readonly brokers: null
  readonly rounds: number
  readonly connections: readonly number[]
  readonly messageBytes: number
  readonly warmupMs: number
  readonly measureMs: number
  readonly idle: number | null
  readonly reapIdleMs: number
  /** The first is compared with each of the others. */
  readonly echoes: readonly Echo[]
  readonly comparesAll: boolean
  readonly isJson: boolean
  readonly isStrict: boolean
}

/** By round; null = the run failed. */
type RunsOfOne = (NetMeasurement | null)[]
type Runs = ReadonlyMap<Echo, RunsOfOne>

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOrExit(() => parseOptions(args), HELP)
  if (typeof options === 'number') return options
  compileWorkers()
  print(JSON.stringify(environmentOf(options)))
  return options.idle === null ? compare(options) : idle(options.idle, options.reapIdleMs)
}

function parseOptions(args: readonly string[]): NetOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string' },
      connections: { type: 'string' },
      full: { type: 'boolean', default: false },
      bytes: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      websocket: { type: 'boolean', default: false },
      idle: { type: 'string' },
      json: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const web = values.quick ? '100' : '3000'
  const usual = values.quick ? '10,100' : `10,100,1000${values.full ? ',10000' : ''}`
  return {
    brokers: null,
    rounds: count('rounds', values.rounds ?? (values.quick ? '1' : '5')),
    connections: (values.connections ?? (values.websocket ? web : usual))
      .split(',')
      .map((text) => count('connections', text)),
    messageBytes: count('bytes', values.bytes ?? (values.websocket ? '2048' : '4096')),
    warmupMs: values.quick ? 200 : 1000,
    measureMs: 1000 * positive('seconds', values.seconds ?? (values.quick ? '0.5' : '3')),
    idle: values.idle === undefined ? null : count('idle', values.idle),
    reapIdleMs: values.quick ? REAP_IDLE_MS.quick : REAP_IDLE_MS.full,
    echoes: values.websocket ? WEB_ECHOES : ECHOES,
    comparesAll: values.websocket,
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
  const { echoes } = options
  const rows: { connections: number; runs: Runs }[] = []
  let failures = 0
  for (const connections of options.connections) {
    const runs = new Map(echoes.map((echo) => [echo, [] as RunsOfOne]))
    rows.push({ connections, runs })
    for (let round = 1; round <= options.rounds; round++) {
      for (const echo of round % 2 === 1 ? echoes : [...echoes].reverse()) {
        const run = await runOne(options, echo, connections)
        if (run === null) failures++
        runs.get(echo)?.push(run)
        if (options.isJson) print(JSON.stringify({ connections, round, echo, ...run }))
      }
    }
  }
  const [, to] = echoes as readonly [Echo, Echo]
  print(tableOf(echoes, rows))
  const missed = rows.filter(({ runs }) => !(ratioOf(echoes, runs, to, rateOfRun) >= 1)).length
  print(`\n${rows.length} rows, ${missed} below ${to}, ${failures} runs failed`)
  return failures > 0 || (options.isStrict && missed > 0) ? 1 : 0
}

async function runOne(options: NetOptions, echo: Echo, connections: number): Promise<NetMeasurement | null> {
  const { messageBytes, comparesAll, warmupMs, measureMs } = options
  try {
    return await measureEcho({ echo, connections, messageBytes, comparesAll, warmupMs, measureMs })
  } catch (error) {
    console.error(`${echo}, ${connections} connections: ${error instanceof Error ? error.message : String(error)}`)
    return null
  }
}

type Figure = (run: NetMeasurement) => number

/** Round by round, because runs that stand side by side met the same machine; the median of them. */
function ratioOf([ours]: readonly Echo[], runs: Runs, to: Echo, of: Figure): number {
  const ratios = (runs.get(ours as Echo) ?? []).flatMap((run, index) => {
    const other = runs.get(to)?.[index] ?? null
    return run === null || other === null ? [] : [of(run) / of(other)]
  })
  return spread(ratios).median
}

function rateOfRun(run: NetMeasurement): number {
  return run.messagesPerSecond
}

function cpuOfRun(run: NetMeasurement): number {
  return run.cpuUsPerMessage
}

function spreadOf(runs: RunsOfOne | undefined, of: Figure): Spread {
  return spread((runs ?? []).flatMap((run) => (run === null ? [] : [of(run)])))
}

function tableOf(echoes: readonly Echo[], rows: readonly { connections: number; runs: Runs }[]): string {
  const others = echoes.slice(1)
  const head = [
    'connections',
    ...echoes.map((echo) => `${echo}, MiB/s (min..max)`),
    ...echoes.map((echo) => `${echo}, CPU us`),
    ...others.map((other) => `MiB/s to ${other}`),
    ...others.map((other) => `CPU to ${other}`),
  ]
  const lines = rows.map(({ connections, runs }) => [
    String(connections),
    ...echoes.map((echo) => rateOf(runs.get(echo))),
    ...echoes.map((echo) => spreadOf(runs.get(echo), cpuOfRun).median.toFixed(2)),
    ...[rateOfRun, cpuOfRun].flatMap((of) => others.map((other) => `${ratioOf(echoes, runs, other, of).toFixed(3)} x`)),
  ])
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function rateOf(runs: RunsOfOne | undefined): string {
  const { median, min, max } = spreadOf(runs, (run) => run.mibPerSecond)
  return `${median.toFixed(1)} (${min.toFixed(1)}..${max.toFixed(1)})`
}

async function idle(connections: number, idleMs: number): Promise<number> {
  const none = await measureIdle(1)
  const { rssBytes, connections: open } = await measureIdle(connections)
  const perConnection = (rssBytes - none.rssBytes) / connections
  print(
    `${open} silent connections: ${Math.round(rssBytes / MIB)} MiB in all, ${Math.round(none.rssBytes / MIB)} MiB with one, ${Math.round(perConnection)} B each`,
  )
  const isSmall = perConnection <= IDLE_BYTES && (connections > 10_000 || rssBytes <= IDLE_TOTAL_BYTES)
  return open === connections && isSmall && (await isReaped(connections, idleMs)) ? 0 : 1
}

async function isReaped(connections: number, idleMs: number): Promise<boolean> {
  const { open, left, count: closed, others, soonestMs, latestMs } = await measureReaping(connections, idleMs)
  print(
    `idleMs ${idleMs}: ${closed} of ${open} closed, the first ${(soonestMs - idleMs).toFixed(1)} ms and the last ${(latestMs - idleMs).toFixed(1)} ms after it was due; ${others} for another reason, ${left} left`,
  )
  const isInTime = soonestMs >= idleMs && latestMs <= idleMs + REAP_LATE_MS
  return open === connections && closed === connections && left === 0 && isInTime
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
