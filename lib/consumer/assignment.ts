/**
 * What callers name when they assign, pause or seek: topics, or partitions with a start.
 * Checked before anything is asked of a broker. Source: features.md CO-8, part 4 (topic names).
 */
import { MQError } from '../errors/index.js'
import { EARLIEST, LATEST } from './fetch/positions.js'
import type { TopicInfo } from './ports.js'

/** A partition and where to start; neither offset nor timestamp: `from`, else `autoOffsetReset`. */
export interface PartitionAssignment {
  readonly topic: string
  readonly partition: number
  /** First offset to read. */
  readonly offset?: number | undefined
  /** First record at or after this time; none: the end. Milliseconds since 1970. */
  readonly timestamp?: number | undefined
}

export interface AssignOptions {
  /** Start of partitions without offset and timestamp. Default: `autoOffsetReset`. */
  readonly from?: 'earliest' | 'latest' | undefined
  /** Longest wait for metadata and positions. Milliseconds, default 60000. */
  readonly timeoutMs?: number | undefined
  /** Rejects with its reason. */
  readonly signal?: AbortSignal | undefined
}

/** Whole topics, or single partitions. */
export type Assignable = readonly string[] | readonly PartitionAssignment[]

/** A wish for one partition, or for all of a topic (`partition` -1). */
export interface Wish {
  readonly topic: string
  readonly partition: number
  readonly offset: number | undefined
  readonly timestamp: number | undefined
}

const MAX_TIMEOUT_MS = 2 ** 31 - 1
const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,249}$/

/** Throws INVALID_TOPIC, INVALID_PARTITION, INVALID_OFFSET, INVALID_CONFIG. */
export function parseWishes(what: Assignable): Wish[] {
  if (!Array.isArray(what) || what.length === 0) {
    throw new MQError('INVALID_CONFIG', 'assign takes a list of topics or of {topic, partition}, at least one', {})
  }
  return (what as readonly (string | PartitionAssignment)[]).map((item) => {
    if (typeof item === 'string')
      return { topic: checkTopic(item), partition: -1, offset: undefined, timestamp: undefined }
    if (typeof item !== 'object' || item === null)
      throw new MQError('INVALID_CONFIG', `assign takes topics or {topic, partition}, not ${String(item)}`)
    const { topic, partition, offset, timestamp } = item
    checkTopic(topic)
    checkPartition(topic, partition)
    if (offset !== undefined) checkOffset(offset, { topic, partition })
    if (timestamp !== undefined) checkOffset(timestamp, { topic, partition })
    return { topic, partition, offset, timestamp }
  })
}

export function checkTopic(topic: string): string {
  if (typeof topic === 'string' && TOPIC_NAME.test(topic) && topic !== '.' && topic !== '..') return topic
  const got = typeof topic === 'string' ? JSON.stringify(topic) : `a value of type ${typeof topic}`
  const text = `a topic has 1..249 characters of a-z A-Z 0-9 . _ -, not ${got}`
  throw new MQError('INVALID_TOPIC', text, { topic: String(topic) })
}

/** Callers without types, or with wrong ones. */
export function checkObject(what: unknown): void {
  if (typeof what === 'object' && what !== null) return
  throw new MQError('INVALID_CONFIG', `expected {topic, partition}, got ${what === null ? 'null' : typeof what}`)
}

export function checkIterable(what: unknown): void {
  if (typeof (what as Iterable<unknown> | null | undefined)?.[Symbol.iterator] === 'function') {
    if (typeof what !== 'string') return
  }
  const got = what === null ? 'null' : typeof what
  throw new MQError('INVALID_CONFIG', `expected a list of {topic, partition}, or a Map by them, got ${got}`)
}

export function checkPartition(topic: string, partition: number): void {
  if (Number.isInteger(partition) && partition >= 0) return
  throw new MQError('INVALID_PARTITION', `a partition is an integer from 0, not ${String(partition)}`, {
    topic,
    partition,
  })
}

/** Offsets and timestamps alike: safe integers from 0. */
export function checkOffset(offset: number, context: { topic: string; partition: number }): void {
  if (Number.isSafeInteger(offset) && offset >= 0) return
  throw new MQError('INVALID_OFFSET', `an offset or timestamp is a safe integer from 0, not ${String(offset)}`, {
    ...context,
    offset,
  })
}

/** What timers take: beyond it they fire at once. */
export function checkTimeout(timeoutMs: number): number {
  if (Number.isInteger(timeoutMs) && timeoutMs >= 0 && timeoutMs <= MAX_TIMEOUT_MS) return timeoutMs
  throw new MQError('INVALID_CONFIG', `timeoutMs is an integer 0..${MAX_TIMEOUT_MS}, not ${String(timeoutMs)}`)
}

/** What ListOffsets is asked for a wish without offset. Throws when the caller must say where to start. */
export function startTimestamp(wish: Wish, from: 'earliest' | 'latest' | 'none'): number {
  if (wish.timestamp !== undefined) return wish.timestamp
  if (from === 'none') {
    const { topic, partition } = wish
    const text = `${topic}/${partition} has no start and autoOffsetReset is 'none': give an offset, a timestamp or 'from'`
    throw new MQError('INVALID_OFFSET', text, { reason: 'OFFSET_OUT_OF_RANGE', topic, partition })
  }
  return from === 'earliest' ? EARLIEST : LATEST
}

/** One wish per partition. Throws INVALID_PARTITION beyond the topic's. */
export function partitionsOf(wish: Wish, topic: TopicInfo): Wish[] {
  const count = topic.partitions.length
  if (wish.partition < 0) return topic.partitions.map(({ partition }) => ({ ...wish, partition }))
  if (wish.partition < count) return [wish]
  const { topic: name, partition } = wish
  const text = `${name} has the partitions 0..${count - 1}, not ${partition}`
  throw new MQError('INVALID_PARTITION', text, { topic: name, partition, partitions: count })
}

/** The promise, or the reason of the signal if that comes first. */
export function withSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
