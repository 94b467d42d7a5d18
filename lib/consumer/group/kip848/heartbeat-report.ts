/**
 * Which fields a heartbeat carries: all of them until the coordinator has answered them once, then those that changed.
 * Why told and sent are kept apart: a heartbeat that was not answered may or may not have been read, so after it
 * everything is said again, and nothing is ever assumed to be known that was not answered.
 * Invariant: what `isTold` says yes to has been in an answered heartbeat, and the coordinator has not been lost since.
 * Source: kafka.md 5.5; KIP-848, "ConsumerGroupHeartbeat".
 */
import type { ConsumerGroupHeartbeat, RequestOf } from '../../../protocol/index.js'

type Body = RequestOf<typeof ConsumerGroupHeartbeat>
/** Partitions as they travel: by topic id. */
export type WirePartitions = readonly { readonly topicId: string; readonly partitions: readonly number[] }[]

/** What the coordinator is to know. Both sorted, so that equal facts look equal. */
export interface MemberFacts {
  readonly topics: readonly string[]
  readonly owned: WirePartitions
}

/** What never changes. */
export interface MemberSettings {
  readonly rackId: string | null
  readonly rebalanceTimeoutMs: number
}

/** The same as texts, for comparison. */
interface Known {
  readonly topics: string
  readonly owned: string | null // null: to be told anyway
}

export class HeartbeatReport {
  readonly #settings: MemberSettings
  #told: Known | null = null
  #sent: Known | null = null

  constructor(settings: MemberSettings) {
    this.#settings = settings
  }

  /** The fields of a heartbeat that leaves now; null stands for "unchanged". */
  next(facts: MemberFacts): Partial<Body> {
    const told = this.#told
    const now = knownOf(facts)
    this.#sent = now
    return {
      rackId: told === null ? this.#settings.rackId : null,
      rebalanceTimeoutMs: told === null ? this.#settings.rebalanceTimeoutMs : -1,
      subscribedTopicNames: told?.topics === now.topics ? null : [...facts.topics],
      topicPartitions: told?.owned === now.owned ? null : facts.owned.map(copyOf),
    }
  }

  /** The last heartbeat was answered: what it said is known. */
  answered(): void {
    this.#told = this.#sent ?? this.#told
    this.#sent = null
  }

  /** The coordinator waits for a list of partitions, even if it is the one it knows. */
  oweList(): void {
    if (this.#told !== null) this.#told = { ...this.#told, owned: null }
  }

  /** A failure, an unsure heartbeat, another coordinator, another epoch: all fields again. */
  forget(): void {
    this.#told = null
    this.#sent = null
  }

  /** The coordinator has answered a heartbeat with just that. */
  isTold(facts: MemberFacts): boolean {
    return isSame(this.#told, facts) && this.isSaid(facts)
  }

  /** As `isTold`, or it is on its way. */
  isSaid(facts: MemberFacts): boolean {
    return isSame(this.#sent ?? this.#told, facts)
  }
}

function isSame(known: Known | null, facts: MemberFacts): boolean {
  const now = knownOf(facts)
  return known?.topics === now.topics && known.owned === now.owned
}

function knownOf({ topics, owned }: MemberFacts): Known {
  return { topics: topics.join(), owned: owned.map(({ topicId, partitions }) => `${topicId}:${partitions}`).join(';') }
}

function copyOf({ topicId, partitions }: WirePartitions[number]) {
  return { topicId, partitions: [...partitions] }
}
