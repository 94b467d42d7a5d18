/**
 * A caller who waits for the write-ahead log, and for nothing else.
 * Source: wal.md 1.1, "accepted" and "delivered" are separate moments.
 */
import type { MQError } from '../../errors/index.js'
import type { SendCallback } from '../batch.js'

/** The log has the record. `(incarnationId, topic, partition, position)` names it for ever. */
export interface DurableReceipt {
  readonly topic: string
  readonly partition: number
  /** Counts the records of this topic-partition in this log, from 0; it is no offset of Kafka's. */
  readonly position: number
  /** Of the opening of the log that accepted it: 16 hex digits. */
  readonly incarnationId: string
}

/** Stands among the callers of a batch; told once, by the log, or with an error before that. */
export function durableCallback(
  incarnationId: () => string,
  resolve: (receipt: DurableReceipt) => void,
  reject: (error: MQError) => void,
): SendCallback {
  const accepted = (topic: string, partition: number, position: number) =>
    resolve({ topic, partition, position, incarnationId: incarnationId() })
  const told: SendCallback = (error, metadata) => {
    if (error !== null) reject(error)
    // The log failed, and the broker has the record all the same: nothing can lose it any more.
    else if (metadata !== null) accepted(metadata.topic, metadata.partition, -1)
  }
  return Object.assign(told, { accepted })
}
