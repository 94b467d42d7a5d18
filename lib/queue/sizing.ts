/** How large a queue should be. Source: QU-6. */
import { MQError } from '../errors/index.js'

/**
 * Items that come in while a batch waits for company: `memoryMaxItems` should be at least that.
 * `qps`: items per second; `lingerMs`: that of the queue. Throws INVALID_CONFIG for what is no number from 0.
 *
 * ```ts
 * recommendedMemoryItems(20_000, 500) // 10000
 * ```
 */
export function recommendedMemoryItems(qps: number, lingerMs: number): number {
  check('qps', qps)
  check('lingerMs', lingerMs)
  return Math.ceil((qps * lingerMs) / 1_000)
}

function check(path: string, value: number): void {
  if (Number.isFinite(value) && value >= 0) return
  throw new MQError('INVALID_CONFIG', `${path}: expected a number from 0, got ${String(value)}`, { path })
}
