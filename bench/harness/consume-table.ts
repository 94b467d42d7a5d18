/**
 * Rows of the consume benchmark and their table: medians, with the spread beside the figure that is compared.
 * Invariant: void runs (a record missing, twice, out of order or altered) are counted and never averaged in.
 */
import type { ConsumeMeasurement } from './consume-peer.js'
import { round, type Spread, spread } from './summary.js'

export interface ConsumeRow extends ConsumeMeasurement {
  readonly cell: string
  readonly contender: string
  readonly round: number
  readonly records: number
  readonly ratePerSecond: number
  /** User and system, from before connecting to the last record. */
  readonly cpuUsPerMessage: number
  /** The same, until the client was closed. */
  readonly wholeCpuUsPerMessage: number
}

export interface ConsumeVoid {
  readonly cell: string
  readonly contender: string
  readonly round: number
  readonly void: string
}

export interface ConsumeSummary {
  readonly cell: string
  readonly contender: string
  readonly runs: number
  readonly voidRuns: number
  readonly records: number
  readonly ratePerSecond: Spread
  readonly cpuUsPerMessage: Spread
  readonly wholeCpuUsPerMessage: Spread
  readonly peakRssMiB: Spread
  readonly idleRssMiB: number
  /** How many times the rate of kafkajs; null without it. */
  readonly rateToKafkajs: number | null
  /** How many times the messages per CPU second of kafkajs; null without it. */
  readonly cpuToKafkajs: number | null
}

export function consumeRow(
  run: Pick<ConsumeRow, 'cell' | 'contender' | 'round' | 'records'>,
  measured: ConsumeMeasurement,
): ConsumeRow {
  const perMessage = (seconds: number) => round((seconds * 1e6) / run.records, 4)
  return {
    ...run,
    ...measured,
    seconds: round(measured.seconds, 4),
    secondsFromFirst: round(measured.secondsFromFirst, 4),
    ratePerSecond: Math.round(run.records / measured.seconds),
    cpuUsPerMessage: perMessage(measured.cpuSeconds),
    wholeCpuUsPerMessage: perMessage(measured.wholeCpuSeconds),
  }
}

export function consumeSummary(
  rows: readonly ConsumeRow[],
  voids: readonly ConsumeVoid[],
  cell: string,
  contenders: readonly string[],
): ConsumeSummary[] {
  const inCell = rows.filter((row) => row.cell === cell)
  const base = inCell.filter(({ contender }) => contender === 'kafkajs')
  return contenders.flatMap((contender) => {
    const own = inCell.filter((row) => row.contender === contender)
    if (own.length === 0) return []
    const voidRuns = voids.filter((row) => row.cell === cell && row.contender === contender).length
    return [{ cell, contender, runs: own.length, voidRuns, ...figures(own, base) }]
  })
}

function figures(
  own: readonly ConsumeRow[],
  base: readonly ConsumeRow[],
): Omit<ConsumeSummary, 'cell' | 'contender' | 'runs' | 'voidRuns'> {
  const of = (rows: readonly ConsumeRow[], figure: (row: ConsumeRow) => number) => spread(rows.map(figure))
  const rate = of(own, (row) => row.ratePerSecond)
  const cpu = of(own, (row) => row.cpuUsPerMessage)
  const hasBase = base.length > 0
  return {
    records: own[0]?.records ?? 0,
    ratePerSecond: rate,
    cpuUsPerMessage: cpu,
    wholeCpuUsPerMessage: of(own, (row) => row.wholeCpuUsPerMessage),
    peakRssMiB: of(own, (row) => round(row.peakRssBytes / 2 ** 20, 0)),
    idleRssMiB: of(own, (row) => round(row.idleRssBytes / 2 ** 20, 0)).median,
    rateToKafkajs: hasBase ? round(rate.median / of(base, (row) => row.ratePerSecond).median, 2) : null,
    cpuToKafkajs: hasBase ? round(of(base, (row) => row.cpuUsPerMessage).median / cpu.median, 2) : null,
  }
}

const HEADS = [
  'cell',
  'client',
  'runs',
  'records/s',
  'to kafkajs',
  'CPU us/record (min-max)',
  'whole',
  'peak RSS MiB',
  'of it before',
]

export function consumeTable(summaries: readonly ConsumeSummary[]): string {
  const lines = [HEADS, ...summaries.map(cellsOf)]
  const widths = HEADS.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  return lines.map((line) => line.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ')).join('\n')
}

function cellsOf(s: ConsumeSummary): string[] {
  const { median, min, max } = s.cpuUsPerMessage
  return [
    s.cell,
    s.contender,
    s.voidRuns === 0 ? `${s.runs}` : `${s.runs} (${s.voidRuns} void)`,
    thousands(s.ratePerSecond.median),
    s.rateToKafkajs === null ? '-' : `${s.rateToKafkajs.toFixed(1)} x`,
    `${median.toFixed(3)} (${min.toFixed(3)}-${max.toFixed(3)})`,
    s.wholeCpuUsPerMessage.median.toFixed(3),
    `${s.peakRssMiB.median.toFixed(0)} (max ${s.peakRssMiB.max.toFixed(0)})`,
    s.idleRssMiB.toFixed(0),
  ]
}

const thousands = (value: number): string => `${Math.round(value / 1000).toLocaleString('en')} k`
