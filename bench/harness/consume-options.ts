/**
 * The command line of the consume benchmark. Every option is printed with the results: a number without its settings says
 * nothing.
 */
import { parseArgs } from 'node:util'
import type { Compression } from './peer.js'

/** One kind of record. */
export interface Cell {
  readonly valueBytes: number
  readonly compression: Compression
}

/** One way of reading that is measured: `tandem`, `tandem-untouched`, `tandem-unmeasured`, `tandem@before`, `kafkajs`, `platformatic`. */
export interface Contender {
  readonly name: string
  readonly client: string
  readonly use: 'touched' | 'untouched'
  /** With its own metrics on, as by default; ours only. */
  readonly isMeasured: boolean
  /** Which build of ours; null: `dist`, built before. */
  readonly build: string | null
}

export interface ConsumeOptions {
  readonly brokers: readonly string[] | null
  readonly contenders: readonly Contender[]
  readonly cells: readonly Cell[]
  readonly rounds: number
  readonly way: 'group' | 'assign'
  readonly partitions: number
  /** Multiplies the records of every run. */
  readonly scale: number
  readonly out: string | null
}

export const HELP = `npx tsx bench/consume.ts: several clients read the same topics of one real Kafka.

  --brokers <host:port,..>  a running Kafka (default: KAFKA_BROKERS, else scripts/kafka starts one node)
  --clients <names>         tandem, tandem-untouched, kafkajs, platformatic (default the first three)
                            untouched: only offsets are used; unmeasured: with metrics.enabled false (ours only;
                            tandem-untouched-unmeasured is both); tandem@name measures the build named by --build
  --build <name=folder>     another build of tandem-mq (a dist folder), for comparing before and after; repeatable
  --cells <list>            bytes:codec,.. (default 100:lz4,100:none,1024:lz4,1024:none)
  --rounds <n>              rounds; each runs every client once, order rotating and reversed (default 5)
  --way <group|assign>      how tandem reads; the others always join a group (default group)
  --scale <x>               times so many records (default 1: see below)
  --partitions <n>          (default 6)
  --quick                   one round of one cell with few records: shows that it works, measures nothing
  --out <file>              append all runs to this file as JSON lines

A topic is filled once per cell and number of records, and read by every round. The slower clients read shorter topics,
so that a round does not take minutes: 10,000,000 records of 100 B for tandem, 1,000,000 for the others; of 1 KiB
3,000,000 and 300,000. All figures are per record.`

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const CLIENTS = ['tandem', 'kafkajs', 'platformatic']
const QUICK_SCALE = 0.03

/** Parsed options, or null when the help was asked for. Throws a sentence about what is wrong. */
export function parseConsumeOptions(args: readonly string[]): ConsumeOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      brokers: { type: 'string' },
      clients: { type: 'string', default: 'tandem,tandem-untouched,kafkajs' },
      build: { type: 'string', multiple: true, default: [] },
      cells: { type: 'string' },
      rounds: { type: 'string' },
      way: { type: 'string', default: 'group' },
      scale: { type: 'string' },
      partitions: { type: 'string', default: '6' },
      quick: { type: 'boolean', default: false },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const { quick } = values
  if (values.way !== 'group' && values.way !== 'assign') throw new Error(`--way is group or assign, not ${values.way}`)
  const builds = new Map(values.build.map((text) => text.split('=') as [string, string]))
  const cells = values.cells ?? (quick ? '100:lz4' : '100:lz4,100:none,1024:lz4,1024:none')
  return {
    brokers: (values.brokers ?? (process.env.KAFKA_BROKERS || undefined))?.split(',') ?? null,
    contenders: listed(values.clients).map((name) => contender(name, builds)),
    cells: listed(cells).map(cell),
    rounds: positive('rounds', values.rounds ?? (quick ? '1' : '5')),
    way: values.way,
    partitions: positive('partitions', values.partitions),
    scale: scaleOf(values.scale ?? (quick ? String(QUICK_SCALE) : '1')),
    out: values.out ?? null,
  }
}

/** Long enough for seconds of a fast client, short enough for a slow one. */
export function recordsOf(client: string, { valueBytes }: Cell, scale: number): number {
  const forSmall = client === 'tandem' ? 10_000_000 : 1_000_000
  return Math.max(1, Math.round(forSmall * scale * (valueBytes < 512 ? 1 : 0.3)))
}

const listed = (text: string): string[] => text.split(',').filter((part) => part !== '')

function contender(name: string, builds: ReadonlyMap<string, string>): Contender {
  const [way = '', label] = name.split('@')
  const touched = way.replace(/-unmeasured$/, '')
  const client = touched.replace(/-untouched$/, '')
  if (!CLIENTS.includes(client)) throw new Error(`--clients are ${CLIENTS.join(', ')}, not ${client}`)
  const build = label === undefined ? null : builds.get(label)
  if (build === undefined) throw new Error(`--clients names the build ${label}, which no --build gives`)
  if (touched !== way && client !== 'tandem') throw new Error(`--clients: only tandem can be unmeasured, not ${name}`)
  return { name, client, use: touched === client ? 'touched' : 'untouched', isMeasured: touched === way, build }
}

function cell(text: string): Cell {
  const [bytes = '', compression = ''] = text.split(':')
  if (!CODECS.includes(compression)) throw new Error(`--cells take a codec of ${CODECS.join(', ')}, not ${compression}`)
  return { valueBytes: positive('cells', bytes), compression: compression as Compression }
}

function positive(name: string, text: string): number {
  const value = Number(text.replaceAll('_', ''))
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} takes a whole number from 1, not ${text}`)
  return value
}

function scaleOf(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= 100)) throw new Error(`--scale is a number above 0, not ${text}`)
  return value
}
