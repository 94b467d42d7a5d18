/** The command line of the kill test. Everything that decides what happens is printed, so that a run can be repeated. */
import { parseArgs } from 'node:util'

export type Durability = 'memory' | 'os' | 'periodic' | 'immediate'

export interface KillOptions {
  /** Kills, over all directories. */
  readonly cycles: number
  readonly broker: 'inprocess' | 'kafka'
  /** Directories take them in turn. */
  readonly durabilities: readonly Durability[]
  readonly seed: number
  /** Below it each directory gets its folder. */
  readonly dir: string | null
  /** A line per directory. */
  readonly isVerbose: boolean
  /** Only this directory of the series; 0 = all. */
  readonly only: number
  /** No more directories are begun after so long; 0 = never ends by time. Milliseconds. */
  readonly limitMs: number
}

export const HELP = `npx tsx test/chaos/kill/main.ts: a producer under load is killed again and again; nothing accepted may be lost.

  --cycles <n>         kills (default 200; 20 with --broker kafka; 5000 with --soak)
  --broker <name>      inprocess (default), or kafka: KAFKA_BROKERS, else scripts/kafka starts one node
  --durability <list>  memory, os, periodic, immediate; taken in turn (default os,periodic,immediate)
  --seed <n>           decides moments and troubles (default: random, printed)
  --dir <path>         where the logs are (default: the system's temporary folder)
  --only <n>           only the n-th directory of the series, to see a failure again
  --limit <s>          begin no further directory after so many seconds
  --soak               5000 cycles, or --cycles
  --verbose            one line per directory

Exit code 0: every accepted record is in its topic exactly once, in order. 1: not so. 2: wrong usage.
With memory the run must fail: it proves that the check can.`

const DURABILITIES: readonly string[] = ['memory', 'os', 'periodic', 'immediate']

/** Parsed options, or null when the help was asked for. Throws a sentence about what is wrong. */
export function parseKillOptions(args: readonly string[]): KillOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      cycles: { type: 'string' },
      broker: { type: 'string', default: 'inprocess' },
      durability: { type: 'string', default: 'os,periodic,immediate' },
      seed: { type: 'string' },
      dir: { type: 'string' },
      only: { type: 'string', default: '0' },
      limit: { type: 'string', default: '0' },
      soak: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const { broker } = values
  if (broker !== 'inprocess' && broker !== 'kafka') throw new Error(`--broker is inprocess or kafka, not ${broker}`)
  const durabilities = values.durability.split(',')
  const wrong = durabilities.find((one) => !DURABILITIES.includes(one))
  if (wrong !== undefined) throw new Error(`--durability takes ${DURABILITIES.join(', ')}, not ${wrong}`)
  const usual = values.soak ? '5000' : broker === 'kafka' ? '20' : '200'
  return {
    cycles: whole('cycles', values.cycles ?? usual, 1),
    broker,
    durabilities: durabilities as Durability[],
    seed: whole('seed', values.seed ?? String(Math.floor(Math.random() * 2 ** 31)), 0),
    dir: values.dir ?? null,
    isVerbose: values.verbose,
    only: whole('only', values.only, 0),
    limitMs: whole('limit', values.limit, 0) * 1_000,
  }
}

function whole(name: string, text: string, minimum: number): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= minimum) return value
  throw new Error(`--${name} is a whole number from ${minimum}, not ${text}`)
}
