/**
 * The assignors of the broker: `uniform` (counts that differ by one at most) and `range` (the same per topic, in runs).
 * Both move as little as they can: a member keeps its lowest partitions up to its share, and members that have more get
 * the odd ones.
 * Invariant: each partition of a subscribed topic has exactly one owner, who subscribed to it.
 * Source: KIP-848; what Kafka 4.1.1 was seen to answer.
 */
import { partitionKey, topicIdOf } from '../partition-key.js'

export interface AssignedMember {
  readonly memberId: string
  readonly topicIds: ReadonlySet<string>
  /** Its target so far. */
  readonly had: ReadonlySet<string>
}

/** Partitions per member, as keys. */
export type Targets = Map<string, Set<string>>
export type PartitionCounts = ReadonlyMap<string, number>

export const ASSIGNORS = ['uniform', 'range'] as const
export type AssignorName = (typeof ASSIGNORS)[number]

export function isAssignor(name: string): name is AssignorName {
  return ASSIGNORS.some((known) => known === name)
}

export function assignTargets(
  name: AssignorName,
  members: readonly AssignedMember[],
  counts: PartitionCounts,
): Targets {
  if (name === 'range') return byRange(members, counts)
  return isAlike(members) ? dealAll(members, counts) : balance(members, counts)
}

function byRange(members: readonly AssignedMember[], counts: PartitionCounts): Targets {
  const targets: Targets = new Map(members.map(({ memberId }) => [memberId, new Set()]))
  for (const [topicId, count] of counts) {
    const subscribed = members.filter(({ topicIds }) => topicIds.has(topicId))
    for (const [memberId, keys] of deal(subscribed, partitionsOf(topicId, count))) {
      for (const key of keys) targets.get(memberId)?.add(key)
    }
  }
  return targets
}

function dealAll(members: readonly AssignedMember[], counts: PartitionCounts): Targets {
  const [first] = members
  const wanted = [...counts].filter(([topicId]) => first?.topicIds.has(topicId))
  return deal(
    members,
    wanted.flatMap(([topicId, count]) => partitionsOf(topicId, count)),
  )
}

/** Equal shares of these partitions; who has more already gets the odd ones. */
function deal(members: readonly AssignedMember[], keys: readonly string[]): Targets {
  const share = Math.floor(keys.length / members.length)
  const held = new Map(members.map(({ memberId, had }) => [memberId, keys.filter((key) => had.has(key))]))
  const heldBy = (memberId: string) => (held.get(memberId) as string[]).length
  const byHeld = [...members].sort((a, b) => heldBy(b.memberId) - heldBy(a.memberId))
  const lucky = new Set(byHeld.slice(0, keys.length % members.length).map(({ memberId }) => memberId))
  const quota = (memberId: string) => share + (lucky.has(memberId) ? 1 : 0)
  const targets: Targets = new Map()
  for (const [memberId, own] of held) targets.set(memberId, new Set(own.slice(0, quota(memberId))))
  const taken = new Set([...targets.values()].flatMap((own) => [...own]))
  const left = keys.filter((key) => !taken.has(key))
  for (const [memberId, own] of targets) {
    for (const key of left.splice(0, quota(memberId) - own.size)) own.add(key)
  }
  return targets
}

/**
 * Members that want different topics: what nobody has goes to the least loaded, then single partitions move from the more
 * to the less loaded until no move brings two members closer.
 */
function balance(members: readonly AssignedMember[], counts: PartitionCounts): Targets {
  const targets: Targets = new Map(members.map(({ memberId }) => [memberId, new Set()]))
  const load = ({ memberId }: AssignedMember) => (targets.get(memberId) as Set<string>).size
  for (const [topicId, count] of counts) {
    const subscribed = members.filter(({ topicIds }) => topicIds.has(topicId))
    for (const key of partitionsOf(topicId, count)) {
      const holder = subscribed.find(({ had }) => had.has(key)) ?? leastLoaded(subscribed, load)
      if (holder !== undefined) targets.get(holder.memberId)?.add(key)
    }
  }
  for (let move = bestMove(members, targets, load); move !== null; move = bestMove(members, targets, load)) {
    targets.get(move.from.memberId)?.delete(move.key)
    targets.get(move.to.memberId)?.add(move.key)
  }
  return targets
}

function bestMove(
  members: readonly AssignedMember[],
  targets: Targets,
  load: (member: AssignedMember) => number,
): { readonly from: AssignedMember; readonly to: AssignedMember; readonly key: string } | null {
  for (const from of [...members].sort((a, b) => load(b) - load(a))) {
    const poorer = members.filter((to) => load(from) - load(to) >= 2).sort((a, b) => load(a) - load(b))
    for (const to of poorer) {
      const key = [...(targets.get(from.memberId) as Set<string>)].findLast((held) => to.topicIds.has(topicIdOf(held)))
      if (key !== undefined) return { from, to, key }
    }
  }
  return null
}

function leastLoaded(
  members: readonly AssignedMember[],
  load: (member: AssignedMember) => number,
): AssignedMember | undefined {
  return members.reduce<AssignedMember | undefined>(
    (least, one) => (least === undefined || load(one) < load(least) ? one : least),
    undefined,
  )
}

/** True if all subscribed to the same topics. */
export function isAlike(members: readonly AssignedMember[]): boolean {
  const [first] = members
  return members.every(({ topicIds }) => {
    return topicIds.size === first?.topicIds.size && [...topicIds].every((topicId) => first.topicIds.has(topicId))
  })
}

function partitionsOf(topicId: string, count: number): string[] {
  return Array.from({ length: count }, (_, partition) => partitionKey(topicId, partition))
}
