/** The member that `groupProtocol` asks for; 'auto' takes KIP-848 where the cluster offers it. Source: kafka.md 5.5. */
import { classicMember } from './classic/classic-member.js'
import { chooseProtocol } from './kip848/choose-protocol.js'
import { consumerMember } from './kip848/consumer-member.js'
import type { MemberParts } from './member-parts.js'
import type { Membership } from './ports.js'

export async function makeMember(parts: MemberParts): Promise<Membership> {
  const { groupProtocol } = parts.config
  const protocol = groupProtocol === 'auto' ? await chooseProtocol(parts.cluster, parts.config) : groupProtocol
  return protocol === 'classic' ? classicMember(parts) : consumerMember(parts)
}
