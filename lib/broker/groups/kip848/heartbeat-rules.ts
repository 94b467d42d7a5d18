/**
 * Which heartbeats of KIP-848 are malformed, whatever the group. Wrong fields are told by any broker, wrong patterns only by
 * the coordinator; neither makes a group.
 * Source: KIP-848; what Kafka 4.1.1 was seen to answer.
 */
import type { ConsumerGroupHeartbeat, DecodedRequestOf } from '../../../protocol/index.js'
import { INVALID_REGULAR_EXPRESSION, INVALID_REQUEST, UNSUPPORTED_ASSIGNOR } from '../codes.js'
import { ASSIGNORS, isAssignor } from './assignors.js'
import { AWAY_EPOCH } from './member.js'
import { compilePattern } from './pattern.js'

type Body = DecodedRequestOf<typeof ConsumerGroupHeartbeat>

export const JOIN_EPOCH = 0
export const LEAVE_EPOCH = -1
/** First version in which the client makes its member id. */
const CLIENT_MAKES_ID = 1

export interface Problem {
  readonly code: number
  readonly message: string
}

export function malformed(body: Body, version: number): Problem | null {
  const wrong = wrongField(body, version)
  if (wrong !== null) return { code: INVALID_REQUEST, message: wrong }
  const { serverAssignor } = body
  if (serverAssignor === null || isAssignor(serverAssignor)) return null
  return { code: UNSUPPORTED_ASSIGNOR, message: `No assignor ${serverAssignor}: choose ${ASSIGNORS.join(' or ')}.` }
}

/** Null: no pattern, or a good one. */
export function wrongPattern({ subscribedTopicRegex: pattern }: Body): Problem | null {
  if (pattern === null || pattern === '' || compilePattern(pattern) !== null) return null
  return { code: INVALID_REGULAR_EXPRESSION, message: `No expression of RE2: \`${pattern}\`.` }
}

function wrongField(body: Body, version: number): string | null {
  if (body.groupId === '') return 'The group id is empty.'
  if (body.instanceId === '') return 'The instance id is empty: send null for none.'
  if (body.rackId === '') return 'The rack is empty: send null for none.'
  const needsMemberId = version >= CLIENT_MAKES_ID || body.memberEpoch !== JOIN_EPOCH
  if (needsMemberId && body.memberId === '') return 'The member id is empty.'
  if (body.memberEpoch === AWAY_EPOCH && body.instanceId === null) return 'Epoch -2 is for static members.'
  if (body.memberEpoch < AWAY_EPOCH) return `There is no member epoch ${body.memberEpoch}.`
  return body.memberEpoch === JOIN_EPOCH ? wrongJoin(body) : null
}

function wrongJoin(body: Body): string | null {
  if (body.rebalanceTimeoutMs < 0) return 'A joining member tells its rebalance timeout.'
  if (body.topicPartitions === null || body.topicPartitions.length > 0) return 'A joining member owns no partitions.'
  const hasTopics = body.subscribedTopicNames !== null || body.subscribedTopicRegex !== null
  return hasTopics ? null : 'A joining member subscribes to topics, by name or by pattern.'
}
