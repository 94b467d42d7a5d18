/**
 * When to switch: numbers in, yes or no out.
 * Why: the policy decides and the mechanism acts, so each rule fits in a line and is tested as a table (CH-6, CH-7).
 * Invariant: a strategy holds no state. It may say yes to an empty buffer; the channel never seals one.
 */

/** What a strategy is asked about. The channel reuses one object: copy what you want to keep. */
export interface SwitchStats {
  readonly records: number
  readonly bytes: number
  /** Capacity of a buffer; below 1 counts as 1, `Infinity` = no such limit. */
  readonly maxRecords: number
  readonly maxBytes: number
  /** Time since the first record of the buffer. */
  readonly elapsedMs: number
  readonly windowMs: number
}

export type SwitchStrategy = (stats: SwitchStats) => boolean

/** The names of the built-in rules, or a rule of one's own. */
export type SwitchStrategyChoice = 'default' | 'time' | 'size' | SwitchStrategy

export interface StrategyConfig {
  readonly switchStrategy: SwitchStrategyChoice
  /** Share of elapsed time and of fill in the composite rule, and the sum from which it says yes. */
  readonly timeWeight: number
  readonly sizeWeight: number
  readonly threshold: number
  /** From which fill the size rule says yes. */
  readonly fillPercent: number
}

/** The composite of the originals: 40 % time, 60 % fill, switch from 0.85. */
export const DEFAULT_STRATEGY: StrategyConfig = Object.freeze({
  switchStrategy: 'default',
  timeWeight: 0.4,
  sizeWeight: 0.6,
  threshold: 0.85,
  fillPercent: 100,
})

/** Fill as a share: the larger of records and bytes. 1 = full. */
export function fillOf(records: number, bytes: number, maxRecords: number, maxBytes: number): number {
  return Math.max(records / Math.max(1, maxRecords), bytes / Math.max(1, maxBytes))
}

export function makeStrategy(config: Partial<StrategyConfig> = {}): SwitchStrategy {
  const { switchStrategy, timeWeight, sizeWeight, threshold, fillPercent } = { ...DEFAULT_STRATEGY, ...config }
  if (typeof switchStrategy === 'function') return switchStrategy
  if (switchStrategy === 'time') return (stats) => stats.elapsedMs >= stats.windowMs
  if (switchStrategy === 'size') return (stats) => isFilled(stats, fillPercent)
  return (stats) => isCompositeDue(stats, timeWeight, sizeWeight, threshold)
}

/** Multiplied, not divided: 29 of 100 must be exactly 29 %. */
function isFilled(stats: SwitchStats, fillPercent: number): boolean {
  return (
    stats.records * 100 >= fillPercent * Math.max(1, stats.maxRecords) ||
    stats.bytes * 100 >= fillPercent * Math.max(1, stats.maxBytes)
  )
}

function isCompositeDue(stats: SwitchStats, timeWeight: number, sizeWeight: number, threshold: number): boolean {
  const { elapsedMs, windowMs } = stats
  if (elapsedMs >= windowMs) return true // Also every window <= 0, so the division below is safe.
  const fill = fillOf(stats.records, stats.bytes, stats.maxRecords, stats.maxBytes)
  return fill >= 1 || (timeWeight * elapsedMs) / windowMs + sizeWeight * fill >= threshold
}
