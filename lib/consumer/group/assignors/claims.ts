/**
 * Who may keep which partition, out of what the members say they own.
 * Why judged: a member that missed a round still claims what another one has since got, and a claim is only as good as
 * its generation. The newest claim of a partition wins; two of the same generation cancel each other, since one of them
 * must be wrong and nobody can tell which. Source: KIP-792, kafka.md 5.5.
 */
import type { GroupMember } from './assignor.js'
import type { PartitionSpace } from './partition-space.js'

export const NOBODY = -1

export interface Claims {
  /** By partition number: index of the member that may keep it, or NOBODY. */
  readonly keepers: Int32Array
  /** By partition number: 1 if any member claims it, rightly or not: it may still be reading it. */
  readonly claimed: Uint8Array
}

export function judgeClaims(members: readonly GroupMember[], space: PartitionSpace): Claims {
  const claimants = new Int32Array(space.size).fill(NOBODY)
  const generations = new Int32Array(space.size)
  const isContested = new Uint8Array(space.size)
  const claimed = new Uint8Array(space.size)
  for (const [index, { owned, generation }] of members.entries()) {
    for (const partition of owned) {
      const id = space.idOf(partition)
      if (id < 0 || claimants[id] === index) continue
      const isFirst = claimed[id] === 0
      const newest = generations[id] as number
      claimed[id] = 1
      if (!isFirst && generation < newest) continue
      isContested[id] = !isFirst && generation === newest ? 1 : 0
      claimants[id] = index
      generations[id] = generation
    }
  }
  return { keepers: keepersOf(members, space, claimants, isContested), claimed }
}

/** A claimant that is no longer a subscriber keeps nothing. */
function keepersOf(
  members: readonly GroupMember[],
  space: PartitionSpace,
  claimants: Int32Array,
  isContested: Uint8Array,
): Int32Array {
  const subscribed = members.map(({ topics }) => new Set(space.topicIndices(topics)))
  const keepers = new Int32Array(space.size).fill(NOBODY)
  for (let topic = 0; topic < space.topics.length; topic++) {
    for (let id = space.firstOf(topic); id < space.firstOf(topic + 1); id++) {
      const claimant = claimants[id] as number
      if (isContested[id] === 0 && subscribed[claimant]?.has(topic)) keepers[id] = claimant
    }
  }
  return keepers
}
