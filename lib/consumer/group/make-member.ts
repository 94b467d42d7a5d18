/** The member that `groupProtocol` asks for; 'auto' takes KIP-848 where the cluster offers it. Source: kafka.md 5.5. */
import { MQError } from '../../errors/index.js'
import type { MemberParts } from './member-parts.js'
import type { Membership } from './ports.js'

export async function makeMember(parts: MemberParts): Promise<Membership> {
  throw new MQError('INVALID_CONFIG', `no member for ${parts.config.groupProtocol} yet`)
}
