/**
 * Closes parts in order, each of them, whatever the others do. Source: features.md FA-4.
 * Invariant: every part is closed even when one before it failed; nothing that failed is swallowed.
 */
import { type MQError, toMQError } from './errors/index.js'
import { type Clock, systemClock } from './util/index.js'

/** What a time limit is handed on to. */
export interface ClosablePart {
  close(options?: { readonly timeoutMs?: number }): Promise<unknown>
}

/**
 * Closes the parts of each step side by side, step after step, all within `timeoutMs` (each part's own default without
 * it). Throws the first error; the others are in its `context.others`.
 */
export async function closeEach(
  steps: readonly (readonly ClosablePart[])[],
  timeoutMs: number | undefined,
  clock: Clock = systemClock,
): Promise<void> {
  const untilMs = clock.monotonicMs() + (timeoutMs ?? 0)
  const errors: MQError[] = []
  for (const parts of steps) {
    const left = timeoutMs === undefined ? {} : { timeoutMs: Math.max(0, Math.floor(untilMs - clock.monotonicMs())) }
    // An async arrow: a part that throws at once must not keep the others open.
    const results = await Promise.allSettled(parts.map(async (part) => part.close(left)))
    for (const result of results) {
      if (result.status === 'rejected') errors.push(toMQError(result.reason, 'CONNECTION_CLOSED', 'closing failed'))
    }
  }
  const [first, ...others] = errors
  if (first === undefined) return
  throw others.length === 0 ? first : first.withContext('others', others.map(String))
}
