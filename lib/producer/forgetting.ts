/**
 * When brokers forget us, and with us every batch that they could have recognised as a copy.
 * A broker drops its memory of a producer id once the newest batch of it on the partition is older than
 * `producer.id.expiration.ms` (default 24 h). It looks every ten minutes and whenever it loads a log, and the age is that
 * of the record's own time: after a restart of the broker, yesterday's records are forgotten as soon as they are written.
 * What is forgotten is taken for new (kafka.md B-8, B-11), so a copy would be stored, and a batch could overtake another.
 * Invariant: a batch of old records is alone in flight on its lane, and in doubt it is looked for before it goes again.
 */
import type { Batch } from './batch.js'

/** Half of the brokers' default: within this they surely remember, whatever our clock differs from theirs. */
export const SURE_MEMORY_MS = 43_200_000

/** Whether brokers may forget this batch at any moment; `nowMs` is wall-clock time, as record times are. */
export function isForgettable(batch: Batch, nowMs: number): boolean {
  return nowMs - batch.maxTimestamp > SURE_MEMORY_MS
}
