/**
 * The errors of records and calls that the producer refuses before anything of them is taken.
 * Each says what was expected, what came and what to do about it.
 */
import { MQError } from '../errors/index.js'
import type { TopicLanes } from './topic-lanes.js'

export function notInTime(topic: string, timeoutMs: number): MQError {
  const text = `no acknowledgement from ${topic} within timeoutMs ${timeoutMs}; the record itself goes on`
  return new MQError('TIMEOUT', text, { topic, timeoutMs, persistence: 'possibly-persisted' })
}

export function checkedTopic(topic: unknown): string {
  if (typeof topic === 'string' && /^[a-zA-Z0-9._-]{1,249}$/.test(topic) && topic !== '.' && topic !== '..')
    return topic
  const got = typeof topic === 'string' ? JSON.stringify(topic) : `(a value of type ${typeof topic})`
  const text = `topic ${got}: expected 1..249 characters of a-z A-Z 0-9 . _ -, and not "." or ".."`
  throw new MQError('INVALID_TOPIC', text, { topic: String(topic) })
}

export function badTimestamp(timestamp: unknown): MQError {
  const text = `timestamp ${String(timestamp)}: expected whole milliseconds since 1970, not negative`
  return new MQError('SERIALIZATION_FAILED', text, { timestamp })
}

export function badLimit(timeoutMs: unknown): MQError {
  const text = `timeoutMs: expected at least 0 milliseconds, got ${typeof timeoutMs === 'number' ? timeoutMs : typeof timeoutMs}`
  return new MQError('INVALID_CONFIG', text, { path: 'timeoutMs' })
}

export function invalidPartition(topic: TopicLanes, partition: unknown): MQError {
  const text = `partition ${String(partition)} of ${topic.name}: expected an integer 0..${topic.partitionCount - 1}`
  return new MQError('INVALID_PARTITION', text, {
    topic: topic.name,
    ...(typeof partition === 'number' ? { partition } : {}),
    partitions: topic.partitionCount,
    persistence: 'not-persisted',
  })
}

export function closedError(): MQError {
  return new MQError('PRODUCER_CLOSED', 'the producer is closed: create a new one to go on sending')
}

interface Usage {
  readonly usedBytes: number
  readonly limitBytes: number
}

export function bufferFull({ usedBytes, limitBytes }: Usage, isLogFull = false): MQError {
  const why = isLogFull ? ' of what waits for the write-ahead log, which is full' : ''
  const text = `buffer memory is full${why} (${usedBytes} of ${limitBytes} B): wait for ready() when sendAsync returns false`
  const context = {
    reason: isLogFull ? 'WAL_FULL' : 'BUFFER_FULL',
    usedBytes,
    limitBytes,
    persistence: 'not-persisted',
  } as const
  return new MQError('POOL_EXHAUSTED', text, context)
}

export function tooLarge(bytes: number, maxBatchBytes: number): MQError {
  const text = `the record takes ${bytes} B as a batch of its own, maxBatchBytes is ${maxBatchBytes}: split the value or raise the limit`
  return new MQError('MESSAGE_TOO_LARGE', text, { bytes, maxBatchBytes, persistence: 'not-persisted' })
}

export function pendingAfter(timeoutMs: number, pendingRecords: number): MQError {
  const text = `${pendingRecords} record(s) are still pending after flush timeoutMs ${timeoutMs}; they stay queued`
  return new MQError('TIMEOUT', text, { pendingRecords, timeoutMs })
}

export function noDurableLog(durability: string): MQError {
  const text = `wal.durability is '${durability}': a record is accepted durably with 'os', 'periodic' or 'immediate' and wal.dir`
  return new MQError('INVALID_CONFIG', text, { field: 'wal.durability', value: durability })
}
