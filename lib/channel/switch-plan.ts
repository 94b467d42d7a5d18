/**
 * The same decision as the strategy, turned into numbers that a write can compare.
 * Why: asking the composite rule means reading a clock (~40 ns), more than a record costs. Below a certain fill time
 * alone decides, and that is the timer's business; so a write below `fromRecords` and `fromBytes` asks nobody.
 * Invariant: below both numbers the strategy says no at every elapsed time below the window; a plan is shared by all
 * channels with equal settings and never changes.
 *
 *   composite 0.4 / 0.6 / 0.85     fill 0 ......... 0.75 ...... 1      1 = seals whatever the time
 *                                  timer only      | look      |       looks are 1/64 of the capacity apart
 */
import { fillOf, makeStrategy, type StrategyConfig, type SwitchStats, type SwitchStrategy } from './switch-strategy.js'

/** Larger than any buffer: a small integer that compares fast and is never reached. */
export const NEVER = 0x7fffffff

/** Between two looks of the composite rule lies this share of the capacity. */
const LOOKS_PER_BUFFER = 64

export interface PlanConfig extends StrategyConfig {
  readonly maxRecords: number
  readonly maxBytes: number
  readonly windowMs: number
}

/** Filled in again before each question. */
export type ReusedStats = { -readonly [K in keyof SwitchStats]: SwitchStats[K] }

export interface SwitchPlan {
  readonly strategy: SwitchStrategy
  /** A function of the user: asked at every write, and may throw. */
  readonly isUserFunction: boolean
  /** The rule looks at the clock. */
  readonly needsClock: boolean
  readonly stats: ReusedStats
  /** Capacity: reached means due, whatever the strategy says (CH-4). */
  readonly fullRecords: number
  readonly fullBytes: number
  /** First fill at which a write asks the strategy, and the distance to the next question. */
  readonly fromRecords: number
  readonly fromBytes: number
  readonly stepRecords: number
  readonly stepBytes: number
  /** Elapsed time from which the rule can say yes below a full buffer; Infinity = never by time. */
  readonly earliestMs: number
  /** Elapsed time at which the rule says yes with this fill. */
  dueAfterMs(records: number, bytes: number): number
}

export function makePlan(config: PlanConfig): SwitchPlan {
  const { maxRecords, maxBytes, windowMs, switchStrategy } = config
  const isUserFunction = typeof switchStrategy === 'function'
  const from = isUserFunction ? 0 : fromFill(config)
  const isComposite = switchStrategy === 'default'
  return Object.freeze({
    strategy: makeStrategy(config),
    isUserFunction,
    needsClock: switchStrategy !== 'size',
    stats: { records: 0, bytes: 0, maxRecords, maxBytes, elapsedMs: 0, windowMs },
    fullRecords: Math.min(NEVER, maxRecords),
    fullBytes: Math.min(NEVER, maxBytes),
    fromRecords: share(from, maxRecords),
    fromBytes: isUserFunction ? NEVER : share(from, maxBytes),
    stepRecords: isComposite ? step(maxRecords) : 1,
    stepBytes: isUserFunction ? NEVER : isComposite ? step(maxBytes) : 1,
    earliestMs: isComposite ? compositeDueMs(config, 1) : timeOnlyMs(config),
    dueAfterMs: isComposite
      ? (records: number, bytes: number) => compositeDueMs(config, fillOf(records, bytes, maxRecords, maxBytes))
      : () => timeOnlyMs(config),
  })
}

/** The fill below which the built-in rule cannot say yes before the window ends. */
function fromFill(config: PlanConfig): number {
  if (config.switchStrategy === 'size') return config.fillPercent / 100
  if (config.switchStrategy === 'time' || config.sizeWeight === 0) return 1
  return Math.min(1, Math.max(0, (config.threshold - config.timeWeight) / config.sizeWeight))
}

/** When the composite rule is fulfilled by this fill: at the latest when the window ends. */
function compositeDueMs(config: PlanConfig, fill: number): number {
  const { windowMs, timeWeight, sizeWeight, threshold } = config
  const missing = threshold - sizeWeight * fill
  if (missing <= 0) return 0
  return timeWeight === 0 ? windowMs : Math.min(windowMs, (windowMs * missing) / timeWeight)
}

function timeOnlyMs(config: PlanConfig): number {
  return config.switchStrategy === 'size' ? Number.POSITIVE_INFINITY : config.windowMs
}

/** Rounded down a little, so that rounding errors make a look too many and never one too few. */
function share(fill: number, capacity: number): number {
  return capacity >= NEVER ? NEVER : Math.max(1, Math.floor(fill * capacity * (1 - 1e-9)))
}

function step(capacity: number): number {
  return capacity >= NEVER ? NEVER : Math.max(1, Math.floor(capacity / LOOKS_PER_BUFFER))
}
