/**
 * What a member offers when it joins: for each of its assignors a subscription.
 * Why one each: what an assignor may rely on differs. To a cooperative one we say what we hold, and will be asked to
 * give back; to an eager one what we held last, because by then it is given back.
 * Source: kafka.md 5.5; KIP-429 (cooperative), KIP-792 (generation).
 */
import type { AssignorName } from '../../../config/index.js'
import type { TopicPartition } from '../../cursor.js'
import { assignorOf } from '../assignors/index.js'
import { encodeSubscription, userDataOf } from '../consumer-protocol.js'
import type { OfferedProtocol } from './requests.js'

export interface Claims {
  readonly topics: readonly string[]
  /** Held now; empty before an eager round. */
  readonly owned: readonly TopicPartition[]
  /** Held last, and in which generation it was given. */
  readonly previous: readonly TopicPartition[]
  readonly generation: number
  readonly rackId: string | null
}

/** Eager rules apply until every member of the list is cooperative. */
export function isCooperative(assignors: readonly AssignorName[]): boolean {
  return assignors.every((name) => assignorOf(name).protocol === 'cooperative')
}

/** In the order of preference: the coordinator lets the members vote. */
export function offer(assignors: readonly AssignorName[], claims: Claims): OfferedProtocol[] {
  const { topics, owned, previous, generation, rackId } = claims
  return assignors.map((name) => {
    const userData = userDataOf(name, previous, generation)
    return { name, metadata: encodeSubscription({ topics, owned, generation, rackId, userData }) }
  })
}
