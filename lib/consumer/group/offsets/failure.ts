/**
 * The errors of commits. Why here: one call speaks of many partitions, each with a story of its own, and the caller
 * wants one error that names those that failed and why, and none of the others.
 */
import { MQError } from '../../../errors/index.js'
import { brokerError } from '../../../protocol/index.js'
import { keyOf, type OffsetToCommit } from './offsets.js'

const UNKNOWN_TOPIC_OR_PARTITION = 3
const OFFSET_METADATA_TOO_LARGE = 12
const UNKNOWN_MEMBER_ID = 25
const TOPIC_DENIED = 29
const GROUP_DENIED = 30

export interface FailedOffset {
  readonly value: OffsetToCommit
  readonly cause: MQError
}

/** As in `context.partitions` of OFFSET_COMMIT_FAILED. */
interface FailedPartition {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly code: string
  readonly kafkaCode?: number
}

/** One error for one caller: only its own partitions. Retryable when that may help each of them. */
export function commitFailed(failed: readonly FailedOffset[]): MQError {
  const [first] = failed as readonly [FailedOffset]
  const { topic, partition } = first.value
  const names = failed.map(({ value }) => keyOf(value)).join(', ')
  const others = failed.length === 1 ? '' : ` (the first of ${failed.length})`
  const text = `offsets of ${names} were not committed: ${first.cause.message}${others}`
  const context = { topic, partition, partitions: failed.map(asContext) }
  const retryable = failed.every(({ cause }) => cause.retryable)
  return new MQError('OFFSET_COMMIT_FAILED', text, context, { cause: first.cause, retryable })
}

function asContext({ value, cause }: FailedOffset): FailedPartition {
  const { topic, partition, offset } = value
  const { kafkaCode } = cause.context
  return { topic, partition, offset, code: cause.code, ...(kafkaCode === undefined ? {} : { kafkaCode }) }
}

/** What the coordinator answered for one partition, with what to do about it where the number alone does not say. */
export function refusedOffset(code: number, value: OffsetToCommit, groupId: string, isStandalone: boolean): MQError {
  const context = { topic: value.topic, partition: value.partition, groupId }
  const advice = adviceOn(code, value, groupId, isStandalone)
  return brokerError(code, 'OFFSET_COMMIT_FAILED', advice, { ...context, ...resourceOf(code, value.topic, groupId) })
}

function adviceOn(code: number, value: OffsetToCommit, groupId: string, isStandalone: boolean): string | null {
  if (code === OFFSET_METADATA_TOO_LARGE) {
    const bytes = Buffer.byteLength(value.metadata ?? '')
    return `the metadata of ${keyOf(value)} has ${bytes} B, more than offset.metadata.max.bytes of the broker (4096 unless it was changed): shorten it`
  }
  if (code === UNKNOWN_TOPIC_OR_PARTITION) return `${keyOf(value)} does not exist any more`
  if (code === UNKNOWN_MEMBER_ID && isStandalone)
    return `group ${groupId} has members, and only they may commit: use another groupId with assign, or subscribe`
  return null
}

/** Whose permission is missing: what AUTHORIZATION_FAILED names. */
export function resourceOf(code: number, topic: string, groupId: string): { resource?: string; operation?: string } {
  if (code === TOPIC_DENIED) return { resource: `topic ${topic}`, operation: 'READ' }
  if (code === GROUP_DENIED) return { resource: `group ${groupId}`, operation: 'READ' }
  return {}
}

export function tooLate(groupId: string | undefined, cause: MQError | null): MQError {
  const last = cause === null ? '' : ` (last: ${cause.message})`
  const text = `the coordinator of group ${groupId} acknowledged no commit before the deadline${last}: it may be stored or not`
  return new MQError('TIMEOUT', text, { groupId }, { cause: cause ?? undefined })
}

export function closedMeanwhile(): MQError {
  return new MQError('CONSUMER_CLOSED', 'the consumer was closed before the coordinator answered')
}

/** Longest text of versions without compact lengths. Bytes. */
const LONGEST_TEXT = 32_767

/** No request can carry it. The broker's own limit is lower, and only the broker knows it. */
export function metadataTooLarge({ metadata = '' }: OffsetToCommit): boolean {
  return Buffer.byteLength(metadata) > LONGEST_TEXT
}
