/**
 * What every field of a client's frame must be, whatever the format: one place for the rules and the words about them.
 * Invariant: what passes is legal for Kafka; what does not is an MQError that names the field, and nothing was done.
 */
import { MQError } from '../../errors/index.js'
import type { FrameId } from '../types.js'

const TOPIC = /^[a-zA-Z0-9._-]{1,249}$/
/** A text as `id` is echoed: it must not become a way to make us carry large things. */
const MAX_ID_LENGTH = 64

/** A frame that cannot be understood: the fault of its sender, named by field. */
export function malformed(text: string, context: Readonly<Record<string, unknown>> = {}): MQError {
  return new MQError('DESERIALIZATION_FAILED', text, { reason: 'MALFORMED_FRAME', ...context })
}

/**
 * The error with the id of its frame. Made anew, because `withContext` would write out a stack that nobody reads: broken
 * frames must not cost more than whole ones by far.
 */
export function identified(error: unknown, id: FrameId | undefined): unknown {
  if (!(error instanceof MQError) || id === undefined) return error
  return new MQError(error.code, error.message, { ...error.context, id })
}

export function checkId(id: unknown): FrameId | undefined {
  if (id === undefined) return undefined
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return id
  if (typeof id === 'string' && id.length <= MAX_ID_LENGTH) return id
  throw malformed(`id must be an integer from 0 to 2^53 - 1, or a text of at most ${MAX_ID_LENGTH} characters`, {
    field: 'id',
  })
}

export function checkTopic(topic: unknown): string {
  if (typeof topic === 'string' && TOPIC.test(topic) && topic !== '.' && topic !== '..') return topic
  const shown = typeof topic === 'string' ? topic.slice(0, 64) : typeof topic
  throw new MQError('INVALID_TOPIC', `topic ${shown}: expected 1 to 249 of a-z A-Z 0-9 . _ -`, { field: 'topic' })
}

export function checkPartition(partition: unknown): number {
  if (typeof partition === 'number' && Number.isInteger(partition) && partition >= 0 && partition <= 0x7fffffff) {
    return partition
  }
  throw new MQError('INVALID_PARTITION', `partition ${String(partition)}: expected an integer from 0`, {
    field: 'partition',
  })
}

export function checkOffset(offset: unknown): number {
  if (typeof offset === 'number' && Number.isSafeInteger(offset) && offset >= 0) return offset
  throw new MQError('INVALID_OFFSET', `offset ${String(offset)}: expected an integer from 0 to 2^53 - 1`, {
    field: 'from',
  })
}

export function checkTimestamp(timestamp: unknown): number {
  if (typeof timestamp === 'number' && Number.isSafeInteger(timestamp) && timestamp >= 0) return timestamp
  throw malformed(`timestamp ${String(timestamp)}: expected milliseconds since 1970`, { field: 'timestamp' })
}
