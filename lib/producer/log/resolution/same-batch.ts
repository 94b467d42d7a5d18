/** Is what a broker acknowledged the batch that was sent? */
import type { Entry } from '../../../wal/index.js'
import type { AskedPlace, BrokerMemory } from '../../broker-memory.js'

/**
 * Whether the batch at an offset is this entry, content included; null: nobody answered. Brokers compare numbers alone,
 * and a CRC only changes where the broker sets the time.
 */
export async function isSameBatch(
  memory: BrokerMemory,
  place: AskedPlace,
  offset: number,
  entry: Entry,
  crc: number,
): Promise<boolean | null> {
  const page = await memory.headersFrom(place, offset, 1) // The first batch comes whole.
  if (page === null) return null
  const header = page === 'refused' ? undefined : page.headers[0]
  if (header === undefined) return false
  const hasNumbers =
    header.producerId === entry.producerId &&
    header.producerEpoch === entry.epoch &&
    header.baseSequence === entry.baseSequence &&
    header.lastOffsetDelta + 1 === entry.count
  return hasNumbers && (header.isLogAppendTime || header.crc === crc)
}

/** A deduplicated answer carries the time that was remembered with the batch, also where times are ours (CreateTime). */
export function isRemembered(logAppendTimeMs: number, { maxTimestampMs }: Entry): boolean {
  return logAppendTimeMs >= 0 && logAppendTimeMs === maxTimestampMs
}
