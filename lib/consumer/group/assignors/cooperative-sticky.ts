/**
 * `cooperative-sticky`: the plan of `sticky`, carried out in two rounds without stopping the rest.
 * Why two: members give up partitions only after they have learnt the plan, so whatever anybody else still claims is left
 * out this time. Who finds that it lost something gives it back and joins again; in that round it is free.
 * Invariant: a partition is given only to the one who rightly claims it, or when nobody claims it at all; hence it is
 * never owned twice (C-24). Source: kafka.md 5.5; KIP-429, KIP-792.
 */
import { type Assignment, type Assignor, type GroupMember, inOrder } from './assignor.js'
import { judgeClaims } from './claims.js'
import { PartitionSpace } from './partition-space.js'
import { stickyPlan } from './sticky-plan.js'

export const cooperativeStickyAssignor: Assignor = { name: 'cooperative-sticky', protocol: 'cooperative', assign }

function assign(members: readonly GroupMember[], partitionsOf: (topic: string) => number): Assignment {
  const ordered = inOrder(members)
  const space = new PartitionSpace(ordered, partitionsOf)
  const { keepers, claimed } = judgeClaims(ordered, space)
  const plan = stickyPlan(ordered, space, keepers)
  const given = plan.map((ids, member) => ids.filter((id) => keepers[id] === member || claimed[id] === 0))
  return new Map(ordered.map(({ memberId }, index) => [memberId, space.named(given[index] as number[])]))
}
