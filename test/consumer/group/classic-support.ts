/**
 * What tests of group members share: hosts without records, a ledger of who owns what, members on virtual time.
 * Why a ledger beside the hosts: "at no instant two owners" is a claim about all members together, and none of them can
 * judge it.
 */
import { afterEach } from 'vitest'
import { type Broker, type BrokerOptions, createBroker } from '../../../lib/broker/index.js'
import { Cluster } from '../../../lib/cluster/index.js'
import { parseBrokers, resolveConsumerConfig } from '../../../lib/config/index.js'
import type { TopicPartition } from '../../../lib/consumer/cursor.js'
import { classicMember } from '../../../lib/consumer/group/classic/classic-member.js'
import { consumerMember } from '../../../lib/consumer/group/kip848/consumer-member.js'
import type { GroupHost, Membership } from '../../../lib/consumer/group/ports.js'
import { MQError } from '../../../lib/errors/index.js'
import { type Clock, seededRandom, systemClock } from '../../../lib/util/index.js'
import { DrivenClock } from '../../support/driven-clock.js'

export type MemberConfig = Parameters<typeof resolveConsumerConfig>[0]

/** Who owns what; a second owner is noted, with the first. */
export class Ledger {
  readonly owners = new Map<string, string>()
  readonly conflicts: string[] = []
  /** Partitions that changed hands. */
  moves = 0

  take(who: string, name: string): void {
    const owner = this.owners.get(name)
    if (owner !== undefined) this.conflicts.push(`${name}: ${who} while ${owner}`)
    this.owners.set(name, who)
    this.moves++
  }

  drop(who: string, name: string): void {
    if (this.owners.get(name) === who) this.owners.delete(name)
  }

  of(who: string): string[] {
    return [...this.owners].filter(([, owner]) => owner === who).map(([name]) => name)
  }
}

/** Tells what it is told, in order: `assign t/0 t/1`, `revoke t/1`, `lose t/0 UNKNOWN_MEMBER_ID`, `settled`, `failed CODE`. */
export class FakeHost implements GroupHost {
  readonly name: string
  readonly story: string[] = []
  readonly warnings: string[] = []
  readonly ledger: Ledger
  wanted: string[]
  /** Takes nothing any more. */
  isClosed = false
  error: MQError | null = null
  lostBecause: MQError | null = null
  settledCount = 0
  /** Given back only when this resolves. */
  beforeRevoked: ((deadlineMs: number) => Promise<void>) | null = null
  beforeAssigned: (() => Promise<void>) | null = null
  readonly #owned = new Map<string, TopicPartition>()

  constructor(name: string, topics: readonly string[], ledger: Ledger) {
    this.name = name
    this.wanted = [...topics]
    this.ledger = ledger
  }

  get held(): string[] {
    return [...this.#owned.keys()].sort()
  }

  topics(): readonly string[] {
    return [...this.wanted].sort()
  }

  owned(): readonly TopicPartition[] {
    return [...this.#owned.values()]
  }

  async assign(partitions: readonly TopicPartition[]): Promise<void> {
    if (this.isClosed) return
    this.story.push(`assign ${namesOf(partitions)}`)
    for (const one of partitions) {
      this.#owned.set(nameOf(one), one)
      this.ledger.take(this.name, nameOf(one))
    }
    await this.beforeAssigned?.()
  }

  async revoke(partitions: readonly TopicPartition[], deadlineMs: number): Promise<void> {
    this.story.push(`revoke ${namesOf(partitions)}`)
    await this.beforeRevoked?.(deadlineMs)
    this.#drop(partitions)
  }

  lose(partitions: readonly TopicPartition[], reason: MQError): void {
    this.story.push(`lose ${namesOf(partitions)} ${reason.code}`)
    this.lostBecause = reason
    this.#drop(partitions)
  }

  settled(): void {
    this.settledCount++
    this.story.push('settled')
  }

  failed(error: MQError): void {
    this.story.push(`failed ${error.code}`)
    this.error = error
  }

  warn(message: string): void {
    this.warnings.push(message)
  }

  #drop(partitions: readonly TopicPartition[]): void {
    for (const one of partitions) {
      if (this.#owned.delete(nameOf(one))) this.ledger.drop(this.name, nameOf(one))
    }
  }
}

export interface Played {
  readonly name: string
  readonly member: Membership
  readonly host: FakeHost
  readonly cluster: Cluster
  /** The process is gone: nothing is said to anybody. */
  kill(): Promise<void>
}

export interface PlayOptions {
  readonly topics?: readonly string[]
  readonly config?: MemberConfig
}

export class GroupBench {
  broker!: Broker
  clock!: Clock
  #bootstrap = ''
  readonly ledger = new Ledger()
  readonly #played = new Set<Played>()
  #count = 0

  /** Virtual time unless `isReal`. Members do not wait for company before their first generation. */
  async start(options: BrokerOptions = {}, isReal = false): Promise<Broker> {
    this.clock = isReal ? systemClock : new DrivenClock().start()
    const config = { 'group.initial.rebalance.delay.ms': 0, 'group.min.session.timeout.ms': 100, ...options.config }
    this.broker = await createBroker({ clock: this.clock, random: seededRandom(1), ...options, config })
    this.#bootstrap = this.broker.bootstrap
    return this.broker
  }

  /** A real Kafka, in real time. Members name group and topics themselves. */
  useKafka(bootstrap: string): void {
    this.clock = systemClock
    this.#bootstrap = bootstrap
  }

  /** A member that joins group `g` for topic `t` now. */
  play(name: string, options: PlayOptions = {}): Played {
    const played = this.make(name, options)
    played.member.start()
    return played
  }

  make(name: string, { topics = ['t'], config = {} }: PlayOptions = {}): Played {
    const waits = { retryBackoffMs: 20, retryBackoffMaxMs: 200 }
    const connection = { ...waits, ...config.connection }
    const base = { brokers: this.#bootstrap, groupId: 'g', clientId: name, assignors: ['range'] as const }
    const resolved = resolveConsumerConfig({ ...base, ...config, connection })
    const random = seededRandom(100 + this.#count++)
    const cluster = new Cluster(
      { brokers: parseBrokers(this.#bootstrap) ?? [], clientId: name, ...waits, metadataMaxAgeMs: 2_000 },
      { clock: this.clock, random },
    )
    const host = new FakeHost(name, topics, this.ledger)
    const make = resolved.groupProtocol === 'consumer' ? consumerMember : classicMember
    const member = make({ config: resolved, cluster, host, clock: this.clock, random })
    const kill = async () => {
      this.#played.delete(played)
      await cluster.close()
      member.abandon(new MQError('CONSUMER_CLOSED', 'killed'))
      await member.close(0)
    }
    const played: Played = { name, member, host, cluster, kill }
    this.#played.add(played)
    return played
  }

  /** Leaves, as a consumer that is closed does: gives everything back before. */
  async close(played: Played): Promise<void> {
    const deadlineMs = this.clock.monotonicMs() + 10_000
    played.host.isClosed = true
    await played.host.revoke(played.host.owned(), deadlineMs)
    await played.member.close(deadlineMs)
    await played.cluster.close()
    this.#played.delete(played)
  }

  /** Turns the event loop until it is so. */
  async until(what: string, fact: () => boolean, limitMs = 120_000): Promise<void> {
    const untilMs = this.clock.monotonicMs() + limitMs
    while (!fact()) {
      if (this.clock.monotonicMs() > untilMs) throw new Error(`not within ${limitMs} ms: ${what}\n${this.story()}`)
      await this.#turn()
    }
  }

  async pass(ms: number): Promise<void> {
    const untilMs = this.clock.monotonicMs() + ms
    while (this.clock.monotonicMs() < untilMs) await this.#turn()
  }

  /** All partitions are owned, by these and nobody else, and every one of them rests. */
  async shared(players: readonly Played[], partitions: number, limitMs?: number): Promise<void> {
    await this.until(
      `${partitions} partitions are shared by ${players.map(({ name }) => name).join(', ')}`,
      () =>
        players.every(({ member }) => member.state === 'stable') &&
        players.reduce((sum, { host }) => sum + host.held.length, 0) === partitions &&
        this.ledger.owners.size === partitions,
      limitMs,
    )
  }

  /** A turn of the loop; in real time a few milliseconds. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      if (this.clock === systemClock) setTimeout(resolve, 5)
      else setImmediate(resolve)
    })
  }

  story(): string {
    const lines = [...this.#played].map(
      ({ name, member, host }) => `${name} (${member.state}): ${host.story.join(' | ')} [${host.warnings.join('; ')}]`,
    )
    return [...lines, `group g: ${this.broker?.group('g').state}`].join('\n')
  }

  async end(): Promise<void> {
    for (const { member, cluster } of [...this.#played]) {
      await member.close(this.clock.monotonicMs() + 1_000)
      await cluster.close()
    }
    this.#played.clear()
    await this.broker?.close()
    if (this.clock instanceof DrivenClock) this.clock.stop()
  }
}

/** A bench that is ended after each test. */
export function groupBench(): () => GroupBench {
  let made = new GroupBench()
  afterEach(async () => {
    await made.end()
    made = new GroupBench()
  })
  return () => made
}

export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

function namesOf(partitions: readonly TopicPartition[]): string {
  return partitions.map(nameOf).sort().join(' ')
}
