/**
 * Rows and their summary. Medians with minimum and maximum beside them: on a shared machine one number hides the noise.
 * Invariant: void runs (lost or duplicated records, a client that failed) are counted and never averaged in.
 */
import type { Measurement } from './peer.js'

export interface Row extends Measurement {
  readonly client: string
  readonly round: number
  readonly records: number
  readonly recordsInLog: number
  readonly ratePerSecond: number
  readonly cpuUsPerMessage: number
  readonly brokerCpuUsPerMessage: number | null
}

export interface VoidRow {
  readonly client: string
  readonly round: number
  readonly void: string
}

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface ClientSummary {
  readonly client: string
  readonly runs: number
  readonly voidRuns: number
  readonly ratePerSecond: Spread
  readonly cpuUsPerMessage: Spread
  readonly peakRssMiB: Spread
  /** How many times the rate of kafkajs; null without kafkajs in the comparison. */
  readonly rateToKafkajs: number | null
  /** CPU of kafkajs divided by ours: how many messages one CPU second buys, compared. */
  readonly cpuAdvantageToKafkajs: number | null
}

export function summarise(
  clients: readonly string[],
  rows: readonly Row[],
  voids: readonly VoidRow[],
): ClientSummary[] {
  const base = rows.filter(({ client }) => client === 'kafkajs')
  return clients.flatMap((client) => {
    const own = rows.filter((row) => row.client === client)
    if (own.length === 0) return []
    return [{ ...summaryOf(client, own, base), voidRuns: voids.filter((row) => row.client === client).length }]
  })
}

function summaryOf(client: string, own: readonly Row[], base: readonly Row[]): Omit<ClientSummary, 'voidRuns'> {
  const rate = spread(own.map((row) => row.ratePerSecond))
  const cpu = spread(own.map((row) => row.cpuUsPerMessage))
  const compared = base.length > 0
  return {
    client,
    runs: own.length,
    ratePerSecond: rounded(rate, 0),
    cpuUsPerMessage: rounded(cpu, 3),
    peakRssMiB: rounded(spread(own.map((row) => row.peakRssBytes / 2 ** 20)), 0),
    rateToKafkajs: compared ? round(rate.median / spread(base.map((row) => row.ratePerSecond)).median, 2) : null,
    cpuAdvantageToKafkajs: compared
      ? round(spread(base.map((row) => row.cpuUsPerMessage)).median / cpu.median, 2)
      : null,
  }
}

/**
 * How much more CPU a record costs with metrics than without, round by round: two runs that stand side by side met the
 * same machine. Percent; nothing when there are no such pairs.
 */
export function metricsOverhead(rows: readonly Row[]): { metricsOverheadPercent?: Spread } {
  const on = rows.filter(({ client }) => client === 'metrics-on')
  const pairs = on.flatMap((row) => {
    const off = rows.find((one) => one.client === 'metrics-off' && one.round === row.round)
    return off === undefined ? [] : [100 * (row.cpuUsPerMessage / off.cpuUsPerMessage - 1)]
  })
  return pairs.length === 0 ? {} : { metricsOverheadPercent: rounded(spread(pairs), 2) }
}

export function spread(numbers: readonly number[]): Spread {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  const lower = sorted[Math.ceil(middle) - 1] ?? upper
  return { median: (upper + lower) / 2, min: sorted[0] ?? Number.NaN, max: sorted[sorted.length - 1] ?? Number.NaN }
}

export const round = (value: number, digits: number): number => Number(value.toFixed(digits))
const rounded = (s: Spread, digits: number): Spread => ({
  median: round(s.median, digits),
  min: round(s.min, digits),
  max: round(s.max, digits),
})
