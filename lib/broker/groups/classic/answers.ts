/** What a member is told when it joined the present generation; the leader alone is told who the others are. */
import { NONE } from '../codes.js'
import type { ClassicGroup } from './group.js'
import type { JoinAnswer, Member } from './member.js'

export function joined(group: ClassicGroup, member: Member): JoinAnswer {
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
