/**
 * The results as a Markdown table: median over the rounds, the worst beside it, latencies and syncs in the same row.
 * Invariant: a row without a single good round says why; nothing is averaged over failures.
 */
import { spread } from './summary.js'
import type { Percentiles, WalMeasurement } from './wal-job.js'
import type { BenchRow, MedianOf } from './wal-rows.js'

export interface RowResult {
  readonly row: BenchRow
  readonly rounds: readonly WalMeasurement[]
  readonly failures: readonly string[]
}

export interface Storage {
  readonly syncP50Ms: number
  readonly syncP99Ms: number
  readonly writeBytesPerSecond: number
  readonly syncedBytesPerSecond: number
}

/** Of wal.md 8, by the P50 of fdatasync. */
export function classOf({ syncP50Ms }: Storage): 'A' | 'B' | 'C' | 'slower than C' {
  if (syncP50Ms <= 0.2) return 'A'
  if (syncP50Ms <= 2) return 'B'
  return syncP50Ms <= 10 ? 'C' : 'slower than C'
}

const HEAD = [
  'benchmark',
  'median',
  'worst',
  'CPU',
  'latency P50 / P99 / P999 / max, ms',
  'fdatasync',
  'of raw writes',
  'floor',
  'goal',
  '',
]

export function tableOf(results: readonly RowResult[], storage: Storage): string {
  const lines = results.map((result) => cellsOf(result, storage))
  return [HEAD, HEAD.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** True if every goal is met and every round was good. */
export function isReached({ row, rounds, failures }: RowResult, { syncP50Ms }: Storage): boolean | null {
  if (failures.length > 0 || rounds.length === 0) return false
  return row.goal === null ? null : row.goal.isMet(medianOf(rounds), syncP50Ms)
}

function cellsOf(result: RowResult, storage: Storage): string[] {
  const { row, rounds, failures } = result
  const goal = row.goal?.text ?? '-'
  if (rounds.length === 0)
    return [row.name, 'no result', '', '', '', '', '', row.floor, goal, failures[0]?.split('\n')[0] ?? '']
  const median = medianOf(rounds)
  const { text, value, isHigherBetter } = figureOf(rounds[0] as WalMeasurement)
  const values = spread(rounds.map((one) => value(one)))
  const reached = isReached(result, storage)
  return [
    row.name,
    text(values.median),
    text(isHigherBetter ? values.min : values.max),
    cpuOf(median),
    latenciesOf(rounds),
    syncsOf(rounds),
    rawShareOf(median, storage),
    row.floor,
    goal,
    failures.length > 0
      ? `${failures.length} rounds failed: ${failures[0]?.split('\n')[0]}`
      : reached === null
        ? ''
        : reached
          ? 'reached'
          : 'NOT REACHED',
  ]
}

/** User and system, of all threads, per record: what a busy machine disturbs least. */
function cpuOf(median: MedianOf): string {
  return `${Math.round(median(({ cpuSeconds, records }) => (cpuSeconds * 1e9) / records))} ns`
}

interface Figure {
  readonly value: (one: WalMeasurement) => number
  readonly text: (value: number) => string
  readonly isHigherBetter: boolean
}

function figureOf(one: WalMeasurement): Figure {
  const lower = { isHigherBetter: false }
  if (one.bytesPerRecord !== undefined) {
    return { value: (each) => each.bytesPerRecord ?? Number.NaN, text: (value) => `${value.toFixed(2)} B`, ...lower }
  }
  if (one.metricsPercent !== undefined) {
    return {
      value: (each) => each.metricsPercent ?? Number.NaN,
      text: (value) => `${value >= 0 ? '+' : ''}${value.toFixed(1)} %`,
      ...lower,
    }
  }
  if (one.loop !== undefined) {
    return {
      value: (each) => each.loop?.p99 ?? Number.NaN,
      text: (value) => `P99 ${value.toFixed(2)} ms late`,
      ...lower,
    }
  }
  if (one.resume !== undefined) {
    return { value: (each) => each.resume?.p50 ?? Number.NaN, text: (value) => `${value.toFixed(1)} ms`, ...lower }
  }
  const seconds =
    one.scanMs === undefined
      ? (each: WalMeasurement) => each.seconds
      : (each: WalMeasurement) => (each.scanMs ?? 0) / 1_000
  const bytes = one.bytes / one.records
  return {
    value: (each) => each.records / seconds(each),
    text: (value) => `${millions(value)}/s, ${Math.round((value * bytes) / 1e6)} MB/s, ${Math.round(1e9 / value)} ns`,
    isHigherBetter: true,
  }
}

function latenciesOf(rounds: readonly WalMeasurement[]): string {
  const of = ({ accept, loop, resume }: WalMeasurement): Percentiles | undefined => accept ?? loop ?? resume
  if (of(rounds[0] as WalMeasurement) === undefined) {
    return wordsOf(medianOf(rounds))
  }
  const median = medianOf(rounds)
  return (['p50', 'p99', 'p999', 'max'] as const).map((name) => median((one) => of(one)?.[name]).toFixed(2)).join(' / ')
}

/** What a recovery has instead of latencies. */
function wordsOf(median: MedianOf): string {
  const words = [
    ['open after', median(({ openMs }) => openMs), 'ms'],
    ['first resend after', median(({ firstResendMs }) => firstResendMs), 'ms'],
    ['', median(({ peakRssBytes }) => peakRssBytes) / 2 ** 20, 'MiB resident'],
  ] as const
  return words
    .flatMap(([before, value, unit]) => (Number.isNaN(value) ? [] : [`${before} ${Math.round(value)} ${unit}`.trim()]))
    .join(', ')
}

function syncsOf(rounds: readonly WalMeasurement[]): string {
  if (rounds[0]?.fdatasyncs === undefined)
    return rounds[0]?.rotations === undefined ? '' : `${rounds[0].rotations} rotations`
  const perMillion = medianOf(rounds)(({ fdatasyncs = 0, records }) => (fdatasyncs * 1e6) / records)
  return `${Math.round(medianOf(rounds)(({ fdatasyncs }) => fdatasyncs))} (${Math.round(perMillion)} per 1 M)`
}

/** Payload bytes against writes of 1 MiB, the same disk a minute ago; of rows that write as fast as they can. */
function rawShareOf(median: MedianOf, { writeBytesPerSecond, syncedBytesPerSecond }: Storage): string {
  const share = median(({ bytes, seconds, fullSpeed }) => {
    if (fullSpeed === undefined) return undefined
    return bytes / seconds / (fullSpeed === 'plain' ? writeBytesPerSecond : syncedBytesPerSecond)
  })
  return Number.isNaN(share) ? '' : `${Math.round(share * 100)} %`
}

export function medianOf(rounds: readonly WalMeasurement[]): MedianOf {
  return (of) => spread(rounds.map((one) => of(one) ?? Number.NaN)).median
}

function millions(value: number): string {
  return value >= 1e6 ? `${(value / 1e6).toFixed(2)} M` : `${(value / 1e3).toFixed(0)} k`
}
