/**
 * The command line of the produce benchmark. Every option is printed with the results: a number without its settings says
 * nothing.
 */
import { parseArgs } from 'node:util'
import type { Compression } from './peer.js'

export interface BenchOptions {
  readonly brokers: readonly string[] | null
  readonly clients: readonly string[]
  readonly rounds: number
  /** Per client: a fast one needs more records for a window that is worth measuring. */
  readonly records: Readonly<Record<string, number>>
  readonly warmupRecords: Readonly<Record<string, number>>
  readonly valueBytes: number
  readonly partitions: number
  readonly compression: Compression
  readonly out: string | null
}

export const HELP = `npx tsx bench/produce.ts: produces the same records with several clients to one real Kafka.

  --brokers <host:port,..>  a running Kafka (default: KAFKA_BROKERS, else scripts/kafka starts one node)
  --clients <names>         tandem,kafkajs,platformatic,metrics-on,metrics-off (default tandem,kafkajs)
  --metrics                 what measuring costs: --clients metrics-on,metrics-off, whole clients of ours in turn
  --rounds <n>              rounds; each runs every client once, order alternating (default 5)
  --records <n>             records per run, or per client: tandem=4000000,kafkajs=500000 (default 500000 for all)
  --warmup <n>              acknowledged before the clock starts, same form (default a fifth of --records)
  --value-bytes <n>         (default 100)
  --partitions <n>          (default 6)
  --compression <codec>     none, gzip, snappy, lz4, zstd (default lz4)
  --out <file>              append all lines to this file, too`

export const METRICS_CLIENTS = ['metrics-on', 'metrics-off'] as const

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Parsed options, or null when the help was asked for. Throws a sentence about what is wrong. */
export function parseOptions(args: readonly string[]): BenchOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      brokers: { type: 'string' },
      clients: { type: 'string', default: 'tandem,kafkajs' },
      metrics: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '5' },
      records: { type: 'string', default: '500000' },
      warmup: { type: 'string' },
      'value-bytes': { type: 'string', default: '100' },
      partitions: { type: 'string', default: '6' },
      compression: { type: 'string', default: 'lz4' },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const clients = values.metrics ? [...METRICS_CLIENTS] : values.clients.split(',').filter((name) => name !== '')
  const records = perClient('records', values.records, clients, 1)
  const fifth = Object.fromEntries(clients.map((client) => [client, Math.floor((records[client] ?? 0) / 5)]))
  if (!CODECS.includes(values.compression))
    throw new Error(`--compression is one of ${CODECS.join(', ')}, not ${values.compression}`)
  return {
    brokers: (values.brokers ?? (process.env.KAFKA_BROKERS || undefined))?.split(',') ?? null,
    clients,
    rounds: count('rounds', values.rounds, 1),
    records,
    warmupRecords: values.warmup === undefined ? fifth : perClient('warmup', values.warmup, clients, 0),
    valueBytes: count('value-bytes', values['value-bytes'], 1),
    partitions: count('partitions', values.partitions, 1),
    compression: values.compression as Compression,
    out: values.out ?? null,
  }
}

/** One number for all clients, or `client=number` for each. */
function perClient(name: string, text: string, clients: readonly string[], minimum: number): Record<string, number> {
  if (!text.includes('=')) return Object.fromEntries(clients.map((client) => [client, count(name, text, minimum)]))
  const given = new Map(text.split(',').map((part) => part.split('=') as [string, string]))
  return Object.fromEntries(
    clients.map((client) => {
      const value = given.get(client)
      if (value === undefined) throw new Error(`--${name} names no number for ${client}`)
      return [client, count(name, value, minimum)]
    }),
  )
}

function count(name: string, text: string, minimum: number): number {
  const value = Number(text.replaceAll('_', ''))
  if (!Number.isSafeInteger(value) || value < minimum)
    throw new Error(`--${name} is a whole number from ${minimum}, not ${text}`)
  return value
}
