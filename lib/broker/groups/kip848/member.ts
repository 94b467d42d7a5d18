/**
 * One member of a KIP-848 group: what it told, and how far it has come on the way to its target assignment.
 * Invariant: a partition in `assigned` or `revoking` belongs to this member alone, until it is seen to have let go.
 * Source: KIP-848, kafka.md 5.5.
 */
import type { TimerHandle } from '../../../util/index.js'

/** Epoch of a static member that is away and will be back. */
export const AWAY_EPOCH = -2

/** What a member says about itself; each field stays until it says otherwise. */
export interface ConsumerFacts {
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: number
  /** Topics subscribed by name, sorted. */
  readonly topics: readonly string[]
  /** Topics subscribed by pattern (RE2); empty: none. */
  readonly pattern: string
  /** The assignor it votes for; null: whatever the group likes. */
  readonly assignor: string | null
}

/**
 * - `stable`: has what it shall have, as of its epoch
 * - `unrevoked`: has to let go of `revoking` before it moves to the next epoch
 * - `unreleased`: waits for partitions that others still hold
 */
export type MemberStage = 'stable' | 'unrevoked' | 'unreleased'

export interface MemberProgress {
  readonly epoch: number
  readonly stage: MemberStage
  readonly assigned: ReadonlySet<string>
  readonly revoking: ReadonlySet<string>
}

const NOTHING: ReadonlySet<string> = new Set()

export class ConsumerMember {
  readonly memberId: string
  facts: ConsumerFacts
  /** The epoch before the last step: an answer with the newer one may have been lost. */
  previousEpoch = 0
  progress: MemberProgress = { epoch: 0, stage: 'stable', assigned: NOTHING, revoking: NOTHING }
  session: TimerHandle | null = null
  /** Runs while it has to let go of partitions. */
  revocation: TimerHandle | null = null

  constructor(memberId: string, facts: ConsumerFacts) {
    this.memberId = memberId
    this.facts = facts
  }

  get epoch(): number {
    return this.progress.epoch
  }

  /** Everything that nobody else may have. */
  get held(): Set<string> {
    return new Set([...this.progress.assigned, ...this.progress.revoking])
  }

  /** True if it has just what this epoch's target gives it. */
  isAt(epoch: number): boolean {
    return this.progress.stage === 'stable' && this.epoch === epoch
  }

  cancelTimers(): void {
    this.session?.cancel()
    this.revocation?.cancel()
    this.session = null
    this.revocation = null
  }
}
