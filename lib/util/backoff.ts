/**
 * Exponential back-off with full jitter: uniform in [0, min(max, base * 2^attempt)], at least 1 ms.
 * Why full jitter: many clients that failed together must not come back together.
 */
import type { RandomSource } from './random.js'

export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: RandomSource): number {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30))
  return Math.max(1, Math.round(random.next() * ceiling))
}
