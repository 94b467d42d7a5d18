/**
 * Committed offsets of groups. Why apart from the groups: offsets outlive members, and groups without members have them too.
 * Invariant: an offset that was never committed is absent, not 0.
 */
export interface CommittedOffset {
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string | null
  readonly committedAtMs: number
  /** Set by clients of old; null: as the broker's settings say. */
  readonly expiresAtMs: number | null
}

export class OffsetStore {
  readonly #groups = new Map<string, Map<string, Map<number, CommittedOffset>>>()

  commit(groupId: string, topic: string, partition: number, committed: CommittedOffset): void {
    const topics = getOrCreate(this.#groups, groupId)
    getOrCreate(topics, topic).set(partition, committed)
  }

  committed(groupId: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#groups.get(groupId)?.get(topic)?.get(partition)
  }

  /** All topics of a group with their partitions. */
  all(groupId: string): ReadonlyMap<string, ReadonlyMap<number, CommittedOffset>> {
    return this.#groups.get(groupId) ?? new Map()
  }

  has(groupId: string): boolean {
    return [...this.all(groupId).values()].some((partitions) => partitions.size > 0)
  }

  /** True if there was one. */
  forget(groupId: string, topic: string, partition: number): boolean {
    return this.#groups.get(groupId)?.get(topic)?.delete(partition) ?? false
  }

  forgetGroup(groupId: string): void {
    this.#groups.delete(groupId)
  }

  /** A deleted topic takes its committed offsets with it. */
  forgetTopic(topic: string): void {
    for (const topics of this.#groups.values()) topics.delete(topic)
  }
}

function getOrCreate<K, A, B>(map: Map<K, Map<A, B>>, key: K): Map<A, B> {
  let found = map.get(key)
  if (found === undefined) {
    found = new Map()
    map.set(key, found)
  }
  return found
}
