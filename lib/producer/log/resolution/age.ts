/**
 * Condition C6: does a broker surely still know a producer id, if it ever wrote there? Brokers count from the
 * timestamps of records, so we do.
 * Why a time far in the future does not pass: either the clock jumped back, and the true age is not known, or the
 * records do not carry times at all.
 */
import type { WalSettings } from '../../../config/index.js'
import type { Entry } from '../../../wal/index.js'

/** Brokers take records that are so much ahead of them (log.message.timestamp.after.max.ms). Milliseconds. */
const AHEAD_MS = 3_600_000

export function isYoung(
  entries: readonly Entry[],
  nowMs: number,
  { producerIdExpirationMs, expirationMarginMs }: WalSettings,
): boolean {
  const limitMs = producerIdExpirationMs - expirationMarginMs
  return entries.every(({ maxTimestampMs }) => {
    const ageMs = nowMs - maxTimestampMs
    return ageMs < limitMs && ageMs >= -AHEAD_MS
  })
}
