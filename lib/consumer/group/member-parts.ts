/**
 * What a group member is made of.
 * Why a bundle: both protocols need the same five things, and time and chance are arguments like everything else.
 * Invariant: `config.groupId` is set; `subscribe` has checked it.
 */
import type { ResolvedConsumerConfig } from '../../config/index.js'
import type { Clock, RandomSource } from '../../util/index.js'
import type { GroupCluster } from '../ports.js'
import type { GroupHost } from './ports.js'

export interface MemberParts {
  readonly config: ResolvedConsumerConfig
  readonly cluster: GroupCluster
  readonly host: GroupHost
  readonly clock: Clock
  readonly random: RandomSource
}
