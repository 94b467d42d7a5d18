/**
 * The results in words: each row with all its runs, then one table with the goal beside each median.
 * Invariant: a row that failed says so, and no number of it is shown.
 */
import type { ChannelRound, Readiness } from './channel-job.js'
import type { ChannelRow, Comparison } from './channel-rows.js'
import { round, type Spread, spread } from './summary.js'

export interface ChannelResult {
  readonly row: ChannelRow
  readonly readiness: Readiness | null
  readonly rounds: readonly ChannelRound[]
  readonly failure: string | null
}

/** What is shown and kept of a row. Units: of the row's figure, `cpuNs` and `heapBytes` per call. */
export interface ChannelFigures {
  readonly unit: 'ns' | 'B' | 'us'
  readonly runs: readonly number[]
  readonly median: number
  readonly cpuNs: number
  readonly heapBytes: number
  readonly verified: number
  /** P99 of the latencies, worst round; microseconds. */
  readonly p99Us?: number
}

export interface ComparedRuns {
  readonly comparison: Comparison
  /** How much more, round by round. Percent. */
  readonly wallPercent: Spread
  readonly cpuPercent: Spread
}

export function figuresOf({ row, rounds, readiness }: ChannelResult): ChannelFigures {
  const unit = { time: 'ns', heap: 'B', wakeUp: 'us' }[row.figure] as ChannelFigures['unit']
  const runs = rounds.map((one) => figureOf(row, one))
  const p99s = rounds.flatMap(({ latency }) => (latency === undefined ? [] : [latency.p99 * 1000]))
  return {
    unit,
    runs: runs.map((run) => round(run, digitsOf(unit))),
    median: round(spread(runs).median, digitsOf(unit)),
    cpuNs: round(spread(rounds.map(({ cpuNs, calls }) => cpuNs / calls)).median, 1),
    heapBytes: round(row.figure === 'heap' ? spread(runs).median : (readiness?.heapBytesPerCall ?? Number.NaN), 2),
    verified: rounds.reduce((sum, { verified }) => sum + verified, 0),
    ...(p99s.length === 0 ? {} : { p99Us: round(Math.max(...p99s), 0) }),
  }
}

function figureOf({ figure }: ChannelRow, { calls, wallNs, heapBytes = Number.NaN, latency }: ChannelRound): number {
  if (figure === 'wakeUp') return (latency?.p50 ?? Number.NaN) * 1000
  return (figure === 'heap' ? heapBytes : wallNs) / calls
}

function digitsOf(unit: ChannelFigures['unit']): number {
  return { ns: 1, B: 3, us: 0 }[unit]
}

export interface Verdict {
  readonly isMet: boolean
  readonly text: string
}

/** Null where there is no goal. By wall time, as the goals were measured; what CPU time says is added where it differs. */
export function verdictOf(result: ChannelResult): Verdict | null {
  const { goal, figure } = result.row
  if (result.failure !== null) return { isMet: false, text: 'FAILED' }
  if (goal === null) return null
  const { median, cpuNs } = figuresOf(result)
  const isMet = median <= goal
  const distance = Math.round(Math.abs(median / goal - 1) * 100)
  const byCpu = figure === 'time' && !isMet && cpuNs <= goal ? ' (met by CPU time)' : ''
  return { isMet, text: isMet ? `met, ${distance} % below` : `missed by ${distance} %${byCpu}` }
}

/** One row with everything that was measured of it. */
export function wordsOf(result: ChannelResult, environment: string): string {
  const { row, failure, rounds } = result
  const head = `${row.name}\n  ${environment} | payload ${row.payload} | copies: ${row.copies} | reader: ${row.reader}`
  if (failure !== null || rounds.length === 0) return `${head}\n  FAILED: ${failure ?? 'no round'}`
  const { unit, runs, median, cpuNs, heapBytes, verified, p99Us } = figuresOf(result)
  const calls = rounds[0]?.calls ?? 0
  const parts = [
    `runs of ${calls.toLocaleString('en')}: ${runs.join(' ')} ${unit}`,
    `median ${median} ${unit}`,
    ...(p99Us === undefined ? [] : [`P99 ${p99Us} us`]),
    `CPU ${cpuNs} ns`,
    `heap ${heapBytes} B per call`,
    `verified ${verified.toLocaleString('en')} reads`,
  ]
  return `${head}\n  ${parts.join(' | ')}`
}

const HEAD = ['row', 'median', 'runs', 'CPU per record', 'heap per record', 'verified reads', 'goal', '']

export function channelTable(results: readonly ChannelResult[]): string {
  return table(HEAD, results.map(cellsOf))
}

function cellsOf(result: ChannelResult): string[] {
  const { row, failure, rounds } = result
  if (failure !== null || rounds.length === 0) return [row.name, '', '', '', '', '', '', 'FAILED']
  const { unit, runs, median, cpuNs, heapBytes, verified, p99Us } = figuresOf(result)
  const { min, max } = spread(runs)
  return [
    row.name,
    p99Us === undefined ? `${median} ${unit}` : `${median} us, P99 ${p99Us} us`,
    `${min}..${max}`,
    row.figure === 'time' ? `${cpuNs} ns` : '-',
    `${heapBytes} B`,
    verified === 0 ? 'none' : verified.toLocaleString('en'),
    row.goal === null ? '-' : `${row.goal} ${unit}`,
    verdictOf(result)?.text ?? '',
  ]
}

/** Null unless both rows have the same rounds. */
export function compare(comparison: Comparison, results: readonly ChannelResult[]): ComparedRuns | null {
  const of = results.find(({ row }) => row.name === comparison.of)
  const to = results.find(({ row }) => row.name === comparison.to)
  if (of === undefined || to === undefined || of.failure !== null || to.failure !== null) return null
  const pairs = of.rounds.flatMap((one, index) => {
    const other = to.rounds[index]
    return other === undefined ? [] : [[one, other] as const]
  })
  const percent = (perCall: (one: ChannelRound) => number) =>
    spread(pairs.map(([one, other]) => 100 * (perCall(one) / perCall(other) - 1)))
  return {
    comparison,
    wallPercent: percent(({ wallNs, calls }) => wallNs / calls),
    cpuPercent: percent(({ cpuNs, calls }) => cpuNs / calls),
  }
}

/** Null where there is no goal. By CPU time: others on the machine disturb it least. */
export function comparisonVerdict({ comparison, cpuPercent }: ComparedRuns): Verdict | null {
  const { goalPercent } = comparison
  if (goalPercent === null) return null
  const beyond = round(cpuPercent.median - goalPercent, 1)
  const isMet = beyond <= 0
  return { isMet, text: isMet ? `met, ${-beyond} points below` : `missed by ${beyond} points` }
}

export function comparisonTable(compared: readonly ComparedRuns[]): string {
  const head = ['compared round by round', 'CPU time', 'wall time', 'goal', '']
  return table(
    head,
    compared.map((one) => [
      one.comparison.name,
      spreadText(one.cpuPercent),
      spreadText(one.wallPercent),
      one.comparison.goalPercent === null ? '-' : `CPU at most +${one.comparison.goalPercent} %`,
      comparisonVerdict(one)?.text ?? '',
    ]),
  )
}

/** What a reader on another thread costs, in a sentence; null when it was not measured beside one on the same thread. */
export function wordsOnThreads(results: readonly ChannelResult[]): string | null {
  const ofKind = (kind: ChannelRow['what']['kind']) =>
    results.find(({ row, failure }) => row.group === 'threads' && row.what.kind === kind && failure === null)
  const [other, same, wakeUp] = [ofKind('thread'), ofKind('writeRead'), ofKind('wakeUp')]
  if (other === undefined || same === undefined || wakeUp === undefined) return null
  const [apart, together, woken] = [other, same, wakeUp].map(figuresOf) as [
    ChannelFigures,
    ChannelFigures,
    ChannelFigures,
  ]
  return `A reader on another thread takes ${apart.median} ns of wall time and ${apart.cpuNs} ns of CPU per record, on the same thread ${together.median} and ${together.cpuNs} ns (${other.row.payload}): it pays with a second core, a copy into shared memory and one out of it, and an idle reader sees a record ${woken.median} us (P99 ${woken.p99Us} us) after it was written. What is gained is time on the writer's thread, when reading is real work.`
}

function spreadText({ median, min, max }: Spread): string {
  return `${signed(median)} % (${signed(min)}..${signed(max)})`
}

function signed(percent: number): string {
  return `${percent > 0 ? '+' : ''}${round(percent, 1)}`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
