/**
 * How many subscribers of one topic a gateway carries: every number to each of them, once and in order, and how late.
 * Two readings of "1,000 subscribers at 10,000 messages/s": 10,000 deliveries in all, and 10,000 published, each to all.
 * Invariant: gateway, publisher with broker, and subscribers are processes of their own; wrong results alone fail: lost,
 * doubled, out of order, memory beyond its bound. A rate that is not carried is a figure. features.md part 8.
 */
import { parseArgs } from 'node:util'
import { compileWorkers } from './harness/compiled.js'
import type { GatewayCase, Wire, WireFormat } from './harness/gateway-job.js'
import { GatewayBench, type GatewayRun, type StageResult } from './harness/gateway-run.js'
import { behind, isRight, stageTable } from './harness/gateway-table.js'
import { openKafka } from './harness/kafka.js'
import { environmentOf, optionsOrExit } from './harness/start.js'

const HELP = `npx tsx bench/gateway.ts: subscribers of one topic, each gets every number once and in order.

  --brokers <host:port,..>  a running Kafka (default: the in-process broker, beside the publisher)
  --clients <n>             subscribers (default 1000)
  --rates <n,..>            messages published per second, one stage each; the first that is not carried ends it
                            (default 10,50,100,200,500,1000,1500,2000,3000,5000,10000)
  --seconds <n>             of one stage (default 5)
  --partitions <n>          (default 1)
  --bytes <n>               of a value (default 100)
  --tcp                     instead of WebSocket
  --protobuf                instead of JSON
  --processes <n>           of subscribers, 1 or 2 (default 1)
  --slow                    instead: 100 subscribers and one that does not read until they have everything; memory in bounds
  --quick                   50 subscribers, few rates, a second each, and a short --slow: shows that it works, measures nothing
  --json                    one line per stage as JSON

Exit code 1: a run failed, a record was lost, doubled or out of order, or memory grew beyond its bound.`

const MIB = 1024 * 1024
/** What a gateway keeps of recent records in --slow; small, so that memory which grows with the slow one shows. */
const SLOW_CACHE_BYTES = 8 * MIB
const SLOW_RATE = 500
const SLOW_VALUE_BYTES = 8192
const SLOW_BUFFER_BYTES = MIB / 4
/** What V8 has not collected yet, and what was not warm. */
const SLOW_SLACK_BYTES = 64 * MIB

interface Options {
  readonly brokers: readonly string[] | null
  readonly clients: number
  readonly rates: readonly number[]
  readonly milliseconds: number
  readonly partitions: number
  readonly valueBytes: number
  readonly wire: Wire
  readonly format: WireFormat
  readonly processes: number
  readonly isSlow: boolean
  readonly isQuick: boolean
  readonly isJson: boolean
}

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOrExit(() => parseOptions(args), HELP)
  if (typeof options === 'number') return options
  compileWorkers()
  print(JSON.stringify({ ...environmentOf(options), kafka: options.brokers === null ? 'in-process broker' : 'given' }))
  try {
    const fan = options.isSlow ? true : await onTopic(options, fanOut)
    const slow = options.isSlow || options.isQuick ? await onTopic(slowOptions(options), slowReader) : true
    return fan && slow ? 0 : 1
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    return 1
  }
}

function parseOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      brokers: { type: 'string' },
      clients: { type: 'string' },
      rates: { type: 'string' },
      seconds: { type: 'string' },
      partitions: { type: 'string', default: '1' },
      bytes: { type: 'string' },
      tcp: { type: 'boolean', default: false },
      protobuf: { type: 'boolean', default: false },
      processes: { type: 'string', default: '1' },
      slow: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const { slow, quick } = values
  const usual = quick ? '10,200' : '10,50,100,200,500,1000,1500,2000,3000,5000,10000'
  return {
    brokers: values.brokers?.split(',') ?? null,
    clients: whole('clients', values.clients ?? (quick ? '50' : slow ? '101' : '1000'), 2, 10_000),
    rates: (values.rates ?? (slow ? String(SLOW_RATE) : usual))
      .split(',')
      .map((text) => whole('rates', text, 1, 1_000_000)),
    milliseconds: 1000 * whole('seconds', values.seconds ?? (quick ? '1' : slow ? '40' : '5'), 1, 3600),
    partitions: whole('partitions', values.partitions, 1, 1000),
    valueBytes: whole('bytes', values.bytes ?? (slow ? String(SLOW_VALUE_BYTES) : '100'), 40, MIB / 2),
    wire: values.tcp ? 'tcp' : 'websocket',
    format: values.protobuf ? 'protobuf' : 'json',
    processes: whole('processes', values.processes, 1, 2),
    isSlow: slow,
    isQuick: quick,
    isJson: values.json,
  }
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text.replaceAll('_', ''))
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value
  throw new Error(`--${name} is a whole number from ${least} to ${most}, not ${text}`)
}

/** --quick shows both: its second half is --slow, for two seconds. */
function slowOptions(options: Options): Options {
  if (options.isSlow) return options
  return { ...options, rates: [SLOW_RATE], valueBytes: SLOW_VALUE_BYTES, milliseconds: 2000 }
}

/** Of a Kafka that is given, a topic of its own, deleted after it. */
async function onTopic(options: Options, act: (options: Options, topic: string) => Promise<boolean>): Promise<boolean> {
  const topic = `bench-gateway-${process.pid}-${act.name}`
  if (options.brokers === null) return act(options, topic)
  const kafka = await openKafka(options.brokers)
  try {
    await kafka.createTopic(topic, options.partitions)
    return await act(options, topic)
  } finally {
    await kafka.deleteTopics([topic]).finally(() => kafka.stop())
  }
}

async function fanOut(options: Options, topic: string): Promise<boolean> {
  const { clients, rates, milliseconds } = options
  const stages: StageResult[] = []
  await withBench(
    { ...runOf(options, topic), silent: 0, cacheBytes: 64 * MIB, writeBufferBytes: MIB },
    async (bench) => {
      for (const perSecond of rates) {
        const stage = await bench.stage({ perSecond, milliseconds })
        stages.push(stage)
        tell(options, 'fan-out', stage)
        if (!isRight(stage) || behind(stage) !== null) break
      }
    },
  )
  print(`\n${clients} subscribers, ${options.wire}, ${options.format}, values of ${options.valueBytes} B\n`)
  print(stageTable(stages))
  const carried = stages.filter((stage) => isRight(stage) && behind(stage) === null)
  const most = carried.at(-1)
  print(
    `\nhighest rate that was carried: ${most?.perSecond ?? 0} published/s, ${most?.deliveredPerSecond.toFixed(0) ?? 0} deliveries/s`,
  )
  return stages.every(isRight)
}

/**
 * The first client reads nothing while the others get everything; then it reads, and gets everything, too. Memory may grow by
 * the cache and by a full buffer of each client: what the slow one has not read is more, so that keeping it would show.
 */
async function slowReader(options: Options, topic: string): Promise<boolean> {
  const { clients, valueBytes, milliseconds } = options
  const [perSecond = 1] = options.rates
  const limits = { cacheBytes: SLOW_CACHE_BYTES, writeBufferBytes: SLOW_BUFFER_BYTES }
  let isFine = false
  await withBench({ ...runOf(options, topic), ...limits, silent: 1 }, async (bench) => {
    const warm = await bench.stage({ perSecond, milliseconds: 1000 })
    const before = await bench.figures()
    const stage = await bench.stage({ perSecond, milliseconds })
    const heard = await bench.readAll(bench.endsAfter(warm.published + stage.published))
    tell(options, 'slow', stage)
    const growth = stage.peakRssMib - before.rssBytes / MIB
    const most = (SLOW_CACHE_BYTES + clients * SLOW_BUFFER_BYTES + SLOW_SLACK_BYTES) / MIB
    const unread = (valueBytes * stage.published) / MIB
    print(`\n${clients - 1} readers beside one that does not read, ${unread.toFixed(0)} MiB for each\n`)
    print(stageTable([stage]))
    print(
      `\npeak ${stage.peakRssMib.toFixed(0)} MiB, ${growth.toFixed(0)} MiB above the one before (at most ${most.toFixed(0)}${unread > most ? '' : '; too little was unread to tell'})`,
    )
    print(`then the slow one read: ${heard.lost} lost, ${heard.again} again in all`)
    isFine = isRight(stage) && heard.lost === 0 && heard.again === 0 && heard.troubles.length === 0 && growth <= most
  })
  return isFine
}

function runOf(
  { brokers, clients, processes, ...options }: Options,
  topic: string,
): Omit<GatewayRun, 'silent' | 'cacheBytes' | 'writeBufferBytes'> {
  const { partitions, valueBytes, wire, format } = options
  const what: GatewayCase = { topic, partitions, valueBytes, wire, format }
  return { what, brokers, clients, clientProcesses: processes }
}

async function withBench(run: GatewayRun, act: (bench: GatewayBench) => Promise<void>): Promise<void> {
  const bench = new GatewayBench(run)
  try {
    await bench.open()
    await act(bench)
  } finally {
    await bench.close()
  }
}

function tell({ isJson }: Options, row: string, stage: StageResult): void {
  if (isJson) print(JSON.stringify({ row, ...stage }))
  for (const trouble of stage.troubles) console.error(trouble)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
