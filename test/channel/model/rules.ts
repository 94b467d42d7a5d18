/**
 * When a buffer is due, written down once more from CH-4 to CH-7 and not from the code under test.
 * Why two answers: a channel looks at the composite rule in steps, 1/64 of the capacity apart, and moves its deadline in steps
 * of a timer's resolution (switch-plan.ts); so a buffer *may* go as soon as the rule is fulfilled and *must* go one step later.
 */

export interface Tuning {
  readonly maxRecords: number
  readonly maxBytes: number
  readonly windowMs: number
  readonly switchStrategy: 'default' | 'time' | 'size' | 'own'
  readonly timeWeight: number
  readonly sizeWeight: number
  readonly threshold: number
  readonly fillPercent: number
}

/** What is in the active buffer. */
export interface Fill {
  readonly records: number
  readonly bytes: number
}

/** Elapsed times from which the buffer may and must be sealed. */
export interface Due {
  readonly mayMs: number
  readonly mustMs: number
}

/** The step between two looks, and the resolution of a timer. */
const LOOK = 1 / 64
const TIMER_MS = 1
const ROUNDING = 1e-9

export function isFull(tuning: Tuning, { records, bytes }: Fill): boolean {
  return records >= tuning.maxRecords || bytes >= tuning.maxBytes
}

/** The rule as published; `isLate`: also when the channel has not looked at the last step. A rounding error decides nothing. */
export function isFulfilled(tuning: Tuning, fill: Fill, elapsedMs: number, isLate = false): boolean {
  if (isFull(tuning, fill)) return true
  const lateMs = fulfilledAfter(tuning, seenFill(tuning, fill))
  if (isLate) return lateMs <= 0 || elapsedMs >= lateMs + ROUNDING
  return elapsedMs >= fulfilledAfter(tuning, share(tuning, fill)) - ROUNDING
}

export function dueAfter(tuning: Tuning, fill: Fill): Due {
  if (isFull(tuning, fill)) return { mayMs: 0, mustMs: 0 }
  const mayMs = fulfilledAfter(tuning, share(tuning, fill))
  if (tuning.switchStrategy !== 'default') return { mayMs, mustMs: mayMs }
  return { mayMs, mustMs: Math.min(tuning.windowMs, fulfilledAfter(tuning, seenFill(tuning, fill)) + TIMER_MS) }
}

function fulfilledAfter(tuning: Tuning, fill: number): number {
  const { switchStrategy, windowMs, timeWeight, sizeWeight, threshold } = tuning
  if (switchStrategy === 'time') return windowMs
  if (switchStrategy === 'size') return fill * 100 >= tuning.fillPercent - 1e-9 ? 0 : Number.POSITIVE_INFINITY
  const missing = threshold - sizeWeight * fill
  if (missing <= 1e-12) return 0
  return timeWeight === 0 ? windowMs : Math.min(windowMs, (missing * windowMs) / timeWeight)
}

function share({ maxRecords, maxBytes }: Tuning, { records, bytes }: Fill): number {
  return Math.max(records / maxRecords, bytes / maxBytes)
}

/** A capacity below 128 is looked at with every unit. */
function seenFill({ maxRecords, maxBytes }: Tuning, { records, bytes }: Fill): number {
  const ofRecords = records / maxRecords - (maxRecords < 128 ? 0 : LOOK)
  const ofBytes = bytes / maxBytes - (maxBytes < 128 ? 0 : LOOK)
  return Math.max(0, ofRecords, ofBytes)
}

/** How many records a policy lets go: the built-in one from 80 % of the fuller bound down to 50 %. 0: it says no. CH-18. */
export function evictCount(policy: 'water-mark' | 'no' | 'two', fill: number, pending: number): number {
  if (policy !== 'water-mark') return policy === 'no' ? 0 : 2
  const percent = fill * 100
  if (pending === 0 || percent < 80) return 0
  return Math.min(pending, Math.max(1, Math.ceil((1 - 50 / percent) * pending)))
}
