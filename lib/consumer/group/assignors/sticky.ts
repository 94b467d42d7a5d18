/**
 * `sticky`: level, and close to what was. Eager: all is given back before the round, so what counts as owned is what
 * the members held last, told in their user data. Source: kafka.md 5.5; KIP-54, KIP-792.
 */
import { type Assignment, type Assignor, type GroupMember, inOrder } from './assignor.js'
import { judgeClaims } from './claims.js'
import { PartitionSpace } from './partition-space.js'
import { stickyPlan } from './sticky-plan.js'

export const stickyAssignor: Assignor = { name: 'sticky', protocol: 'eager', assign }

function assign(members: readonly GroupMember[], partitionsOf: (topic: string) => number): Assignment {
  const ordered = inOrder(members)
  const space = new PartitionSpace(ordered, partitionsOf)
  const plan = stickyPlan(ordered, space, judgeClaims(ordered, space).keepers)
  return new Map(ordered.map(({ memberId }, index) => [memberId, space.named(plan[index] as number[])]))
}
