/**
 * Which topics the members of a KIP-848 group read: names and patterns resolved to topic ids, and whether that changed.
 * Why resolved later: a broker matches a pattern it has not met before after answering, so the first answer to a member
 * with a new pattern gives no partitions for it. Known patterns are matched again as soon as topics came or went.
 * Source: KIP-848; what Kafka 4.1.1 was seen to answer.
 */
import type { Topic } from '../../topics.js'
import type { ConsumerFacts, ConsumerMember } from './member.js'
import { compilePattern } from './pattern.js'

/** What a group needs of the cluster's topics. */
export interface TopicsRead {
  /** Rises whenever a topic comes, goes or grows. */
  readonly version: number
  all(): readonly Topic[]
  byName(name: string): Topic | undefined
}

export class Subscriptions {
  readonly #topics: TopicsRead
  /** Topics per pattern; a pattern that is missing was not matched yet. */
  readonly #matches = new Map<string, readonly string[]>()
  #print = ''
  #seenVersion = -1

  constructor(topics: TopicsRead) {
    this.#topics = topics
  }

  /** True if this pattern was matched before. */
  knows(pattern: string): boolean {
    return this.#matches.has(pattern)
  }

  /** Matches what members ask for and nobody matched yet; true if that found topics. Forgets what nobody asks for. */
  matchNew(members: readonly ConsumerMember[]): boolean {
    const wanted = new Set(members.map(({ facts }) => facts.pattern).filter((pattern) => pattern !== ''))
    for (const known of this.#matches.keys()) if (!wanted.has(known)) this.#matches.delete(known)
    const fresh = [...wanted].filter((pattern) => !this.knows(pattern))
    for (const pattern of fresh) this.#matches.set(pattern, this.#matching(pattern))
    return fresh.some((pattern) => (this.#matches.get(pattern) as readonly string[]).length > 0)
  }

  /** True if topics that are read came, went or grew since the last call. */
  hasMoved(members: readonly ConsumerMember[]): boolean {
    if (this.#topics.version === this.#seenVersion) return false
    this.#seenVersion = this.#topics.version
    for (const pattern of this.#matches.keys()) this.#matches.set(pattern, this.#matching(pattern))
    const before = this.#print
    this.remember(members)
    return before !== this.#print
  }

  /** What is read now is what later changes are compared with. */
  remember(members: readonly ConsumerMember[]): void {
    this.#print = [...this.counts(members)].map((entry) => entry.join()).join(';')
  }

  /** Topics read, by name; those that do not exist among them only when they were named. */
  names({ topics, pattern }: ConsumerFacts): Set<string> {
    return new Set([...topics, ...(this.#matches.get(pattern) ?? [])])
  }

  topicIds(facts: ConsumerFacts): Set<string> {
    return new Set([...this.names(facts)].flatMap((name) => this.#topics.byName(name)?.topicId ?? []))
  }

  /** Partitions per id of every topic that somebody reads, by name. */
  counts(members: readonly ConsumerMember[]): Map<string, number> {
    const names = new Set(members.flatMap(({ facts }) => [...this.names(facts)]))
    const topics = [...names].sort().flatMap((name) => this.#topics.byName(name) ?? [])
    return new Map(topics.map(({ topicId, partitions }) => [topicId, partitions.length]))
  }

  #matching(pattern: string): string[] {
    const expression = compilePattern(pattern)
    if (expression === null) return []
    return this.#topics.all().flatMap(({ name }) => (expression.test(name) ? name : []))
  }
}
