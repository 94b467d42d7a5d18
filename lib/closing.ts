/**
 * Closes parts in order, each of them, whatever the others do. Source: features.md FA-4.
 * Invariant: every part is closed even when one before it failed; nothing that failed is swallowed, nor is a record that
 * could not be sent.
 */
import { MQError, toMQError } from './errors/index.js'
import type { CloseReport } from './producer/index.js'
import { type Clock, systemClock } from './util/index.js'

/** What a time limit is handed on to. */
export interface ClosablePart {
  close(options?: { readonly timeoutMs?: number }): Promise<unknown>
}

/** Parts that are closed side by side. Asked when it is their turn: a callback that ends may have made one more. */
export type ClosingStep = () => readonly ClosablePart[]

/** What no timer takes is no limit. */
const MAX_TIMEOUT_MS = 0x7fff_ffff

/**
 * Closes the parts of each step side by side, step after step, all within `timeoutMs` (each part's own default without
 * it). Gives the records that were left, of all of them. Throws the first error; the others are in its `context.others`.
 */
export async function closeEach(
  steps: readonly ClosingStep[],
  timeoutMs: number | undefined,
  clock: Clock = systemClock,
): Promise<CloseReport> {
  const untilMs = clock.monotonicMs() + (timeoutMs ?? 0)
  const errors: MQError[] = []
  const reports: CloseReport[] = []
  for (const parts of steps) {
    const left = timeoutMs === undefined ? {} : { timeoutMs: Math.max(0, Math.floor(untilMs - clock.monotonicMs())) }
    // An async arrow: a part that throws at once must not keep the others open.
    const results = await Promise.allSettled(parts().map(async (part) => part.close(left)))
    for (const result of results) {
      if (result.status === 'fulfilled') reports.push(reportOf(result.value))
      else errors.push(toMQError(result.reason, 'CONNECTION_CLOSED', 'closing failed'))
    }
  }
  const sum = sumOf(reports)
  const [first, ...others] = errors
  if (first === undefined) return sum
  throw first.with({ ...sum, ...(others.length === 0 ? {} : { others: others.map(String) }) })
}

/** Of what a part said when it was closed; most say nothing. */
export function reportOf(value: unknown): CloseReport {
  const { unsentRecords = 0, inWalRecords = 0 } = (value ?? {}) as Partial<CloseReport>
  return { unsentRecords, inWalRecords }
}

export function sumOf(reports: readonly CloseReport[]): CloseReport {
  return {
    unsentRecords: reports.reduce((sum, { unsentRecords }) => sum + unsentRecords, 0),
    inWalRecords: reports.reduce((sum, { inWalRecords }) => sum + inWalRecords, 0),
  }
}

/** Checked before anything is closed: a part that refused the limit would stay open. Throws INVALID_CONFIG. */
export function closeTimeout(timeoutMs: number | undefined, fallback: number): number {
  if (timeoutMs === undefined) return fallback
  if (typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= MAX_TIMEOUT_MS) return timeoutMs
  const text = `timeoutMs: expected 0..${MAX_TIMEOUT_MS} milliseconds, got ${String(timeoutMs)}; nothing was closed`
  throw new MQError('INVALID_CONFIG', text, { path: 'timeoutMs', value: timeoutMs })
}
