/**
 * What an error number speaks of, and what to do about it, in words for a person.
 * Why beside the table of numbers: a number and Kafka's name for it help who knows Kafka by heart. A broker that says
 * something of its own is quoted instead; what a missing permission concerns is told in either case.
 * Source: features.md part 4 (context names resource and operation), the error messages of Apache Kafka 4.1.
 */
import type { ErrorCode, ErrorContext } from '../errors/index.js'

/** Numbers that say: no permission. On what. */
const DENIED: ReadonlyMap<number, 'topic' | 'group' | 'cluster' | 'transactional id'> = new Map([
  [29, 'topic'],
  [30, 'group'],
  [31, 'cluster'],
  [53, 'transactional id'],
])

const TOO_LARGE = 'raise max.message.bytes of the topic, or split the value'
const TOO_FEW_REPLICAS =
  'fewer replicas are in sync than min.insync.replicas of the topic asks for: bring brokers back, or lower it'

/** Only where the advice holds whatever was asked. */
const ADVICE: ReadonlyMap<number, string> = new Map([
  [2, 'bytes were changed on the way to the broker: look at what stands between'],
  [10, TOO_LARGE],
  [18, TOO_LARGE],
  [19, TOO_FEW_REPLICAS],
  [20, TOO_FEW_REPLICAS],
  [32, 'the timestamp is further from now than message.timestamp.before.max.ms or .after.max.ms of the topic allow'],
  [38, 'there are fewer brokers than replicas asked for'],
  [44, 'a policy of the brokers forbids it'],
  [56, 'a disk of the broker failed: look at the log of the broker'],
  [68, 'the group has members: stop them first'],
  [76, 'that version of Kafka does not know the codec: choose another compression'],
  [87, 'the topic refuses the record; a compacted topic wants a key'],
])

/** What the operations of clients need a permission for; other operations say it themselves. */
const PERMISSION: Readonly<Partial<Record<ErrorCode, string>>> = {
  PRODUCE_FAILED: 'WRITE',
  CONSUME_FAILED: 'READ',
  OFFSET_COMMIT_FAILED: 'READ',
  TOPIC_NOT_FOUND: 'DESCRIBE',
}

/** ` for orders/0`, ` for group billing`; empty when the context names nothing. */
export function placeIn({ topic, partition, groupId }: ErrorContext): string {
  if (topic !== undefined) return ` for ${topic}${partition === undefined ? '' : `/${partition}`}`
  return typeof groupId === 'string' ? ` for group ${groupId}` : ''
}

/**
 * Which permission is missing: `resource` and `operation` for the context. What the caller says comes first: in the
 * context, or by `needs`, the permission that its request takes.
 */
export function permissionIn(
  number: number,
  operation: ErrorCode,
  context: ErrorContext,
  needs?: string,
): ErrorContext {
  const kind = DENIED.get(number)
  if (kind === undefined) return {}
  const name = kind === 'topic' ? context.topic : kind === 'group' ? context['groupId'] : ''
  const resource = context['resource'] ?? (typeof name === 'string' ? `${kind} ${name}`.trimEnd() : kind)
  const usual = kind === 'group' ? 'READ' : kind === 'topic' ? PERMISSION[operation] : undefined
  const needed = context['operation'] ?? needs ?? usual
  return { resource, ...(needed === undefined ? {} : { operation: needed }) }
}

/** What to do about it; null: nothing that holds in general. */
export function adviceOn(number: number, { resource, operation }: ErrorContext): string | null {
  if (!DENIED.has(number)) return ADVICE.get(number) ?? null
  const needed = typeof operation === 'string' ? operation : 'a permission'
  return `this principal needs ${needed} on ${String(resource)}: grant it by an ACL`
}
