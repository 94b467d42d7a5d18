/** What a member is told when it joined the present generation; the leader alone is told who the others are. */
import { NONE } from '../codes.js'
import type { JoinAnswer, Member } from './member.js'

/** The group as far as a join answer speaks of it. */
export interface PresentGeneration {
  readonly generation: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leaderId: string | null
  readonly members: readonly Member[]
}

export function joined(group: PresentGeneration, member: Member): JoinAnswer {
  const { generation, protocolType, protocolName, leaderId } = group
  const isLeader = member.memberId === leaderId
  const members = group.members.map((one) => ({
    memberId: one.memberId,
    groupInstanceId: one.facts.instanceId,
    metadata: one.metadataFor(protocolName),
  }))
  return {
    errorCode: NONE,
    memberId: member.memberId,
    generationId: generation,
    protocolType,
    protocolName,
    leader: leaderId ?? '',
    skipAssignment: false,
    members: isLeader ? members : [],
  }
}
