/**
 * One step of a member towards its target: first it lets go, then its epoch rises, then it gets what is free.
 *
 *   stable --newer target--> [something to let go?] --yes--> unrevoked --owned list without it--+
 *      ^                             | no                                                       |
 *      |                             v                                                          v
 *      +---- everything free ---- next epoch <-------------------------------------------------+
 *                                    +-- something held by others --> unreleased --free--> stable
 *
 * Invariant: what is let go of stays with the member until its own list of owned partitions no longer names it.
 * Source: KIP-848 (reconciliation), kafka.md 5.5.
 */
import type { MemberProgress } from './member.js'

export interface Aim {
  readonly epoch: number
  readonly target: ReadonlySet<string>
  /** True if no other member holds the partition. */
  readonly isFree: (key: string) => boolean
  /** What the member says it owns; null: it does not say. */
  readonly owned: ReadonlySet<string> | null
}

/** The member's next state; the same object when it cannot move. */
export function reconcile(now: MemberProgress, aim: Aim): MemberProgress {
  if (now.stage === 'stable' && now.epoch === aim.epoch) return now
  if (now.stage === 'unrevoked' && mayStillOwn(now.revoking, aim.owned)) return now
  const kept = new Set([...now.assigned].filter((key) => aim.target.has(key)))
  const revoking = new Set([...now.assigned].filter((key) => !kept.has(key)))
  if (mayStillOwn(revoking, aim.owned)) return { epoch: now.epoch, stage: 'unrevoked', assigned: kept, revoking }
  return receive(now, kept, aim)
}

function receive(now: MemberProgress, kept: ReadonlySet<string>, aim: Aim): MemberProgress {
  const missing = [...aim.target].filter((key) => !kept.has(key))
  const free = missing.filter(aim.isFree)
  const stage = free.length < missing.length ? 'unreleased' : 'stable'
  if (now.stage === stage && now.epoch === aim.epoch && free.length === 0) return now
  return { epoch: aim.epoch, stage, assigned: new Set([...kept, ...free]), revoking: new Set() }
}

/** A member that does not say what it owns may own all it had. */
function mayStillOwn(revoking: ReadonlySet<string>, owned: ReadonlySet<string> | null): boolean {
  if (revoking.size === 0) return false
  return owned === null || [...revoking].some((key) => owned.has(key))
}

export function sameKeys(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((key) => b.has(key))
}
