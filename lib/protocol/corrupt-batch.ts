/**
 * The one error of reading batches: what the log holds at that place cannot be read, and reading it again will not help.
 */
import { type ErrorContext, MQError } from '../errors/index.js'

/** CONSUME_FAILED with reason CORRUPT_BATCH. `baseOffset` in the context is where the partition stands. */
export function corruptBatch(what: string, context: ErrorContext = {}): MQError {
  const text = `a batch is corrupt: ${what}; fetch it again, and if it stays so skip it by seeking behind it`
  return new MQError('CONSUME_FAILED', text, { reason: 'CORRUPT_BATCH', ...context })
}
