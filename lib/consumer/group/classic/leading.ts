/**
 * What the member does that leads its group: it shares the partitions out, and watches whether there are more.
 * Why it watches every topic of the group: the others know only their own, and nobody but the leader is told by metadata
 * that a topic has grown or come (C-30). Who leads what is nothing to it: a new partition leader changes no assignment (K-16).
 * Invariant: between `stop` and the next assignment no listener and no timer is left. Source: kafka.md 5.5.
 */
import type { AssignorName } from '../../../config/index.js'
import type { TimerHandle } from '../../../util/index.js'
import { assignorOf, type GroupMember } from '../assignors/index.js'
import { decodeSubscription, encodeAssignment, groupMember } from '../consumer-protocol.js'
import type { MemberParts } from '../member-parts.js'
import type { JoinAnswer, MemberPart } from './requests.js'

type JoinedMember = JoinAnswer['members'][number]

/** All members wait for the leader: a topic that nobody knows is waited for no longer. Milliseconds. */
const UNKNOWN_TOPIC_WAIT_MS = 2_000
/** A topic that is gone has to stay away so long: a broker that lags behind says so by mistake. Milliseconds. */
const GONE_MS = 5_000
const UNKNOWN_TOPIC = 3

export class Leading {
  readonly #parts: MemberParts
  readonly #onChange: (reason: string) => void
  readonly #missing = new Set<string>() // waited for in vain before
  #counts: ReadonlyMap<string, number> | null = null
  #turn = 0 // changes with every `stop`: an assignment that is overtaken watches nothing
  #stopWatching: (() => void) | null = null
  #gone: TimerHandle | null = null

  /** `onChange`: the assignment is out of date. */
  constructor(parts: MemberParts, onChange: (reason: string) => void) {
    this.#parts = parts
    this.#onChange = onChange
  }

  /** Everybody's partitions, by the assignor that the coordinator chose. Watches from then on. */
  async assign(name: AssignorName, joined: readonly JoinedMember[]): Promise<MemberPart[]> {
    const turn = this.#turn
    const members = this.#members(name, joined)
    const counts = await this.#countPartitions(members)
    const assignment = assignorOf(name).assign(members, (topic) => counts.get(topic) ?? 0)
    if (turn === this.#turn) this.#watch(counts)
    return members.map(({ memberId }) => ({ memberId, assignment: encodeAssignment(assignment.get(memberId) ?? []) }))
  }

  /** The coordinator keeps the assignment (a static leader came back); the topics are ours to watch all the same. */
  async resume(name: AssignorName, joined: readonly JoinedMember[]): Promise<void> {
    const turn = this.#turn
    const counts = await this.#countPartitions(this.#members(name, joined))
    if (turn === this.#turn) this.#watch(counts)
  }

  stop(): void {
    this.#turn++
    this.#stopWatching?.()
    this.#stopWatching = null
    this.#gone?.cancel()
    this.#gone = null
    this.#counts = null
  }

  #members(name: AssignorName, joined: readonly JoinedMember[]): GroupMember[] {
    return joined.map(({ memberId, groupInstanceId, metadata }) => {
      try {
        return groupMember(name, memberId, groupInstanceId, decodeSubscription(metadata))
      } catch (error) {
        // One member that writes nonsense must not stop the others.
        this.#parts.host.warn(`member ${memberId} gets no partitions: its subscription cannot be read`, {
          memberId,
          error: String(error),
        })
        return { memberId, instanceId: groupInstanceId, topics: [], owned: [], generation: -1, rackId: null }
      }
    })
  }

  async #countPartitions(members: readonly GroupMember[]): Promise<Map<string, number>> {
    const topics = [...new Set(members.flatMap((member) => member.topics))].sort()
    for (const topic of topics) this.#parts.cluster.useTopic(topic)
    const unknown = topics.filter((topic) => this.#count(topic) === 0 && !this.#missing.has(topic))
    await Promise.all(unknown.map((topic) => this.#await(topic)))
    const counts = new Map(topics.map((topic) => [topic, this.#count(topic)]))
    this.#tellMissing(topics.filter((topic) => counts.get(topic) === 0))
    return counts
  }

  async #await(topic: string): Promise<void> {
    const { cluster, config } = this.#parts
    const timeoutMs = Math.min(UNKNOWN_TOPIC_WAIT_MS, config.rebalanceTimeoutMs / 4)
    try {
      await cluster.waitForTopic(topic, { timeoutMs, allowAutoCreate: false })
    } catch {
      cluster.useTopic(topic) // Counted as empty, told by `#tellMissing`, and watched: it may come.
    }
  }

  #tellMissing(topics: readonly string[]): void {
    const news = topics.filter((topic) => !this.#missing.has(topic))
    this.#missing.clear()
    for (const topic of topics) this.#missing.add(topic)
    if (news.length === 0) return
    this.#parts.host.warn(`the group subscribes to topics without partitions: ${news.join(', ')}`, { topics: news })
  }

  #count(topic: string): number {
    const known = this.#parts.cluster.topic(topic)
    return known === undefined || known.errorCode === UNKNOWN_TOPIC ? 0 : known.partitions.length
  }

  #watch(counts: ReadonlyMap<string, number>): void {
    this.stop()
    this.#counts = counts
    this.#stopWatching = this.#parts.cluster.onTopic(({ name }) => this.#look(name))
    for (const topic of counts.keys()) this.#look(topic) // What changed between counting and now.
  }

  #look(topic: string): void {
    const assigned = this.#counts?.get(topic)
    const now = this.#count(topic)
    if (assigned === undefined || assigned === now) return
    if (now > 0) this.#onChange(`topic ${topic} has ${now} partitions instead of ${assigned}`)
    else this.#gone ??= this.#parts.clock.setTimer(() => void this.#lookAgain(topic), GONE_MS)
  }

  async #lookAgain(topic: string): Promise<void> {
    const counts = this.#counts
    await this.#parts.cluster.refresh(`topic ${topic} seems to be deleted`).catch(() => {}) // Then we know no more than before.
    if (counts !== this.#counts) return
    this.#gone = null
    if (this.#count(topic) === 0) this.#onChange(`topic ${topic} is gone`)
  }
}
