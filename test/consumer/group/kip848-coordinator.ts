/**
 * A coordinator of one KIP-848 group as Kafka 4.1 decides, without sockets: for members under test.
 * Why a model of its own: the in-process broker is a product; here each decision can be looked at, held and repeated.
 * What matters most: a member that lists what it owns, without a partition that is to be revoked, has given it back.
 * Source: answers of Kafka 4.1.1 to the same questions.
 */
import type { ConsumerGroupHeartbeat, DecodedResponseOf, RequestOf } from '../../../lib/protocol/index.js'
import type { FakeClock, TimerHandle } from '../../../lib/util/index.js'

export type Beat = RequestOf<typeof ConsumerGroupHeartbeat>
export type BeatAnswer = DecodedResponseOf<typeof ConsumerGroupHeartbeat>
type Wire = readonly { readonly topicId: string; readonly partitions: readonly number[] }[]

interface Known {
  readonly memberId: string
  readonly instanceId: string | null
  topics: readonly string[]
  epoch: number
  previous: number
  assigned: Set<string>
  pending: Set<string> // to be given back
  rebalanceTimeoutMs: number
  session: TimerHandle | null
  rebalance: TimerHandle | null
}

export class Kip848Coordinator {
  readonly #clock: FakeClock
  /** Topic name -> id and number of partitions. */
  readonly topics = new Map<string, { topicId: string; partitions: number }>()
  readonly members = new Map<string, Known>()
  /** Partition -> who may read it. */
  readonly holders = new Map<string, string>()
  sessionMs = 45_000
  intervalMs = 5_000
  epoch = 0

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  addTopic(name: string, partitions: number, topicId = `id-${name}`): void {
    this.topics.set(name, { topicId, partitions })
    if (this.members.size > 0) this.epoch++
  }

  /** Removes a member without a word, as a time-out does. */
  fence(memberId: string): void {
    const member = this.members.get(memberId)
    if (member === undefined) return
    member.session?.cancel()
    member.rebalance?.cancel()
    this.members.delete(memberId)
    for (const [key, holder] of this.holders) if (holder === memberId) this.holders.delete(key)
    this.epoch++
  }

  beat(body: Beat): BeatAnswer {
    if (body.memberEpoch < 0) return this.#leave(body)
    const code = body.memberEpoch === 0 ? this.#join(body) : this.#judge(body)
    if (code !== 0) return answer(code)
    const member = this.members.get(body.memberId) as Known
    const before = keysText(member.assigned)
    this.#touch(member)
    this.#subscribe(member, body)
    this.#reconcile(member, body.topicPartitions === null ? null : keysOf(body.topicPartitions ?? []))
    const isFull = body.rebalanceTimeoutMs !== -1 && body.subscribedTopicNames !== null && body.topicPartitions !== null
    const tells = body.memberEpoch === 0 || isFull || before !== keysText(member.assigned)
    return {
      ...answer(0),
      ...this.#facts(member),
      assignment: tells ? { topicPartitions: wireOf(member.assigned) } : null,
    }
  }

  #facts({ memberId, epoch }: Known) {
    return { memberId, memberEpoch: epoch, heartbeatIntervalMs: this.intervalMs }
  }

  #leave(body: Beat): BeatAnswer {
    const member = this.members.get(body.memberId)
    if (member === undefined) return answer(this.#ofInstance(body.instanceId ?? null) === undefined ? 25 : 82)
    if (body.memberEpoch === -2) {
      member.epoch = -2
      this.#touch(member)
    } else this.fence(body.memberId)
    return { ...answer(0), memberId: body.memberId, memberEpoch: body.memberEpoch }
  }

  #join(body: Beat): number {
    if ((body.topicPartitions ?? null)?.length !== 0 || (body.rebalanceTimeoutMs ?? -1) < 1) return 42
    const instanceId = body.instanceId ?? null
    const holder = this.#ofInstance(instanceId)
    if (holder !== undefined && holder.epoch !== -2) return 111
    if (holder !== undefined) return this.#takeOver(holder, body)
    const known = this.members.get(body.memberId)
    if (known !== undefined) return known.previous === 0 ? 0 : 110
    this.members.set(body.memberId, this.#newMember(body, new Set()))
    return 0
  }

  #takeOver(old: Known, body: Beat): number {
    old.session?.cancel()
    this.members.delete(old.memberId)
    const made = this.#newMember(body, old.assigned)
    made.topics = old.topics
    for (const [key, holder] of this.holders) if (holder === old.memberId) this.holders.set(key, made.memberId)
    this.members.set(made.memberId, made)
    return 0
  }

  #newMember(body: Beat, assigned: Set<string>): Known {
    return {
      memberId: body.memberId,
      instanceId: body.instanceId ?? null,
      topics: [],
      epoch: 0,
      previous: -1,
      assigned,
      pending: new Set(),
      rebalanceTimeoutMs: body.rebalanceTimeoutMs ?? -1,
      session: null,
      rebalance: null,
    }
  }

  #judge(body: Beat): number {
    const member = this.members.get(body.memberId)
    if (member === undefined) return 25
    if (body.memberEpoch === member.epoch) return 0
    if (body.memberEpoch > member.epoch || body.memberEpoch !== member.previous) return 110
    const owned = body.topicPartitions ?? null
    return owned !== null && [...keysOf(owned)].every((key) => member.assigned.has(key)) ? 0 : 110
  }

  #touch(member: Known): void {
    member.session?.cancel()
    member.session = this.#clock.setTimer(() => this.fence(member.memberId), this.sessionMs)
  }

  #subscribe(member: Known, { subscribedTopicNames }: Beat): void {
    const topics = [...(subscribedTopicNames ?? member.topics)].sort()
    if (topics.join() !== [...member.topics].join() || member.epoch === 0) this.epoch++
    member.topics = topics
  }

  /** As CurrentAssignmentBuilder: first what must go, then the epoch, then what is free. */
  #reconcile(member: Known, owned: ReadonlySet<string> | null): void {
    const owns = (keys: ReadonlySet<string>) => owned === null || [...keys].some((key) => owned.has(key))
    if (member.pending.size > 0) {
      if (owns(member.pending)) return
      this.#release(member, member.pending)
      member.pending = new Set()
      member.rebalance?.cancel()
    }
    const target = this.#targetOf(member)
    const gone = new Set([...member.assigned].filter((key) => !target.has(key)))
    for (const key of gone) member.assigned.delete(key)
    if (gone.size > 0 && owns(gone)) {
      member.pending = gone
      member.rebalance = this.#clock.setTimer(() => this.fence(member.memberId), member.rebalanceTimeoutMs)
      return
    }
    this.#release(member, gone)
    if (member.epoch !== this.epoch) {
      member.previous = Math.max(0, member.epoch)
      member.epoch = this.epoch
    }
    for (const key of target) {
      if (this.holders.has(key)) continue
      this.holders.set(key, member.memberId)
      member.assigned.add(key)
    }
  }

  #release(member: Known, keys: ReadonlySet<string>): void {
    for (const key of keys) if (this.holders.get(key) === member.memberId) this.holders.delete(key)
  }

  /** Partition n of a topic goes to its n-th subscriber, round and round. */
  #targetOf(member: Known): ReadonlySet<string> {
    const keys = member.topics.flatMap((name) => {
      const topic = this.topics.get(name)
      if (topic === undefined) return []
      const subscribers = [...this.members.values()].filter(({ topics }) => topics.includes(name))
      const ids = subscribers.map(({ memberId }) => memberId).sort()
      const all = Array.from({ length: topic.partitions }, (_, partition) => partition)
      const mine = all.filter((partition) => ids[partition % ids.length] === member.memberId)
      return mine.map((partition) => `${topic.topicId}/${partition}`)
    })
    return new Set(keys)
  }

  #ofInstance(instanceId: string | null): Known | undefined {
    if (instanceId === null) return undefined
    return [...this.members.values()].find((member) => member.instanceId === instanceId)
  }
}

export function answer(errorCode: number, more: Partial<BeatAnswer> = {}): BeatAnswer {
  const nothing = { memberId: null, memberEpoch: 0, heartbeatIntervalMs: 0, assignment: null }
  return { throttleTimeMs: 0, errorCode, errorMessage: null, ...nothing, ...more }
}

export function assigned(
  memberEpoch: number,
  parts: Readonly<Record<string, readonly number[]>>,
  more: Partial<BeatAnswer> = {},
): BeatAnswer {
  const topicPartitions = Object.entries(parts).map(([topicId, list]) => ({ topicId, partitions: [...list] }))
  return answer(0, { memberEpoch, heartbeatIntervalMs: 5_000, assignment: { topicPartitions }, ...more })
}

function keysOf(wire: Wire): Set<string> {
  return new Set(wire.flatMap(({ topicId, partitions }) => partitions.map((partition) => `${topicId}/${partition}`)))
}

function keysText(keys: ReadonlySet<string>): string {
  return [...keys].sort().join()
}

function wireOf(keys: ReadonlySet<string>) {
  const byTopic = new Map<string, number[]>()
  for (const key of [...keys].sort()) {
    const [topicId = '', partition] = key.split('/')
    byTopic.set(topicId, [...(byTopic.get(topicId) ?? []), Number(partition)])
  }
  return [...byTopic].map(([topicId, partitions]) => ({ topicId, partitions }))
}
