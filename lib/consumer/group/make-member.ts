/** The member that `groupProtocol` asks for; 'auto' takes KIP-848 where the cluster offers it. Source: kafka.md 5.5. */
import { classicMember } from './classic/classic-member.js'
import { chooseProtocol } from './kip848/choose-protocol.js'
import { consumerMember } from './kip848/consumer-member.js'
import type { MemberParts } from './member-parts.js'
import type { Membership } from './ports.js'

/** A cluster whose first group this is takes a while to have a coordinator. Milliseconds. */
const CHOICE_MS = 30_000

export async function makeMember(parts: MemberParts): Promise<Membership> {
  const { cluster, config, clock } = parts
  const protocol = await chooseProtocol(cluster, config, { deadlineMs: clock.monotonicMs() + CHOICE_MS })
  return protocol === 'classic' ? classicMember(parts) : consumerMember(parts)
}
