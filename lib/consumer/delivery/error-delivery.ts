/**
 * Errors of a partition on their way to its callback (`deliverErrors`, CO-2).
 * Why they wait: a callback must not run twice at a time for one partition, and never inside our own state change.
 * Invariant: the `error` event has told each of them already, so the oldest may be dropped when nobody takes them.
 */
import type { MQError } from '../../errors/index.js'
import type { CallbackResult, PartitionCursor } from '../cursor.js'

/** Errors that wait behind one long callback. Nobody needs more to see what is wrong. */
const KEPT = 16

export function keepError(cursor: PartitionCursor, error: MQError): void {
  const waiting = cursor.errors ?? []
  cursor.errors = waiting.length < KEPT ? [...waiting, error] : [...waiting.slice(1), error]
}

/** The oldest, or null. */
export function takeError(cursor: PartitionCursor): MQError | null {
  const [first, ...others] = cursor.errors ?? []
  cursor.errors = others.length === 0 ? null : others
  return first ?? null
}

/** Calls the callback with it: no record, or no records. */
export function callWithError(cursor: PartitionCursor, error: MQError): CallbackResult {
  const { perRecord, perBatch } = cursor.delivery
  return perRecord !== null ? perRecord(null as never, cursor.tp, error) : perBatch?.([], cursor.tp, error)
}

export function isThenable(result: unknown): result is Promise<unknown> {
  return typeof result === 'object' && result !== null && typeof (result as { then?: unknown }).then === 'function'
}
