/**
 * A member under test with everything around it scripted: the way to its coordinator, its metadata, its host.
 * Invariant: whoever reads a partition is written down in one ledger; two readers at one instant are an error at once.
 */
import { resolveConsumerConfig } from '../../../lib/config/index.js'
import { consumerMember } from '../../../lib/consumer/group/kip848/consumer-member.js'
import type { GroupHost, Membership } from '../../../lib/consumer/group/ports.js'
import type { GroupCluster, TopicInfo } from '../../../lib/consumer/ports.js'
import { MQError } from '../../../lib/errors/index.js'
import { type Deferred, deferred, type FakeClock, seededRandom, silentLogger } from '../../../lib/util/index.js'
import type { Beat, BeatAnswer } from './kip848-coordinator.js'

type Config = Parameters<typeof resolveConsumerConfig>[0]
type Tp = { readonly topic: string; readonly partition: number }

/** Who reads what, over all members of a test. */
export class Ledger {
  readonly #readers = new Map<string, string>()
  readonly errors: string[] = []

  take(key: string, name: string): void {
    const other = this.#readers.get(key)
    if (other !== undefined) this.errors.push(`${key} is read by ${other} and given to ${name}`)
    this.#readers.set(key, name)
  }

  drop(key: string, name: string): void {
    if (this.#readers.get(key) === name) this.#readers.delete(key)
  }

  get size(): number {
    return this.#readers.size
  }
}

/** The reader of partitions: does what it is told, and writes it down. `hold` keeps its promises open. */
export class ScriptedHost implements GroupHost {
  readonly log: string[] = []
  readonly held = new Set<string>()
  readonly failures: MQError[] = []
  readonly warnings: string[] = []
  subscription: string[] = ['t']
  settlements = 0
  revokeMs = 0
  assignMs = 0
  /** Set: promises of `revoke` or `assign` stay open until resolved by the test (or the deadline of `revoke`). */
  open: { revoke: Deferred<void> | null; assign: Deferred<void> | null } = { revoke: null, assign: null }
  readonly deadlines: number[] = []
  readonly #clock: FakeClock
  readonly #ledger: Ledger
  readonly #name: string

  constructor(clock: FakeClock, ledger: Ledger, name: string) {
    this.#clock = clock
    this.#ledger = ledger
    this.#name = name
  }

  topics(): readonly string[] {
    return [...this.subscription].sort()
  }

  owned(): readonly Tp[] {
    return [...this.held].map((key) => ({ topic: key.split('/')[0] ?? '', partition: Number(key.split('/')[1]) }))
  }

  async revoke(partitions: readonly Tp[], deadlineMs: number): Promise<void> {
    this.#note('revoke', partitions)
    this.deadlines.push(deadlineMs)
    const work = Promise.all([this.#pause(this.revokeMs), this.open.revoke?.promise])
    await Promise.race([work, this.#until(deadlineMs)])
    this.#drop(partitions)
    this.#note('revoked', partitions)
  }

  lose(partitions: readonly Tp[], reason: MQError): void {
    this.#note(`lose ${reason.code}`, partitions)
    this.#drop(partitions)
  }

  async assign(partitions: readonly Tp[]): Promise<void> {
    this.#note('assign', partitions)
    for (const tp of partitions) {
      this.held.add(keyOf(tp))
      this.#ledger.take(keyOf(tp), this.#name)
    }
    await this.#pause(this.assignMs)
    await this.open.assign?.promise
  }

  settled(): void {
    this.settlements++
    this.log.push('settled')
  }

  failed(error: MQError): void {
    this.failures.push(error)
    this.log.push(`failed ${error.code}`)
  }

  warn(message: string): void {
    this.warnings.push(message)
  }

  /** As `consumer.close()`: gives back what it has before the member leaves. */
  giveBack(): void {
    this.#drop(this.owned())
  }

  #note(what: string, partitions: readonly Tp[]): void {
    this.log.push(`${what} ${partitions.map(keyOf).sort().join()}`)
  }

  #drop(partitions: readonly Tp[]): void {
    for (const tp of partitions) {
      this.held.delete(keyOf(tp))
      this.#ledger.drop(keyOf(tp), this.#name)
    }
  }

  async #pause(ms: number): Promise<void> {
    if (ms > 0) await new Promise<void>((resolve) => this.#clock.setTimer(resolve, ms))
  }

  #until(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimer(resolve, deadlineMs - this.#clock.monotonicMs()))
  }
}

/** One heartbeat that has left. */
export interface HeldBeat {
  readonly body: Beat
  readonly atMs: number
  answer(with_: BeatAnswer): void
  cut(): void
}

/** The way to the coordinator. `onBeat` answers by itself; without it the test does. */
export class ScriptedGroupCluster implements GroupCluster {
  readonly beats: HeldBeat[] = []
  readonly forgotten: number[] = []
  readonly inUse = new Set<string>()
  refreshes = 0
  coordinatorId = 1
  groupVersion = 1
  apiKeys = [{ apiKey: 68, minVersion: 0, maxVersion: 1 }]
  /** Set: looking up the coordinator fails. */
  lookUpError: MQError | null = null
  sendError: MQError | null = null
  /** Set: the connection is not there yet. */
  opening: Deferred<void> | null = null
  onBeat: ((body: Beat, held: HeldBeat) => void) | null = null
  readonly #clock: FakeClock
  readonly #topics = new Map<string, TopicInfo>()
  readonly #listeners = new Set<(topic: TopicInfo) => void>()
  /** What the next `refresh` brings. */
  readonly news = new Map<string, TopicInfo>()

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  /** Known at once. */
  learn(name: string, partitions: number, topicId = `id-${name}`): void {
    const info = topicInfo(name, partitions, topicId)
    this.#topics.set(topicId, info)
    for (const listener of this.#listeners) listener(info)
  }

  async coordinator(): Promise<number> {
    if (this.lookUpError !== null) throw this.lookUpError
    return this.coordinatorId
  }

  forgetCoordinator(_groupId: string, brokerId: number): void {
    this.forgotten.push(brokerId)
  }

  finalizedFeature(): number {
    return this.groupVersion
  }

  async requestGroup(
    _groupId: string,
    _api: unknown,
    body: unknown,
    options: { deadlineMs?: number } = {},
  ): Promise<never> {
    await this.opening?.promise
    if (this.sendError !== null) throw this.sendError
    const made = (typeof body === 'function' ? body(1) : body) as Beat
    const done = deferred<BeatAnswer>()
    const timer = this.#clock.setTimer(
      () => done.reject(new MQError('CONNECTION_TIMEOUT', 'no answer in time', { wasSent: 'possibly' })),
      (options.deadlineMs ?? Number.POSITIVE_INFINITY) - this.#clock.monotonicMs(),
    )
    const held: HeldBeat = {
      body: made,
      atMs: this.#clock.monotonicMs(),
      answer: (with_) => {
        timer.cancel()
        done.resolve(with_)
      },
      cut: () => {
        timer.cancel()
        done.reject(new MQError('CONNECTION_CLOSED', 'the connection was cut', { wasSent: 'possibly' }))
      },
    }
    this.beats.push(held)
    this.onBeat?.(made, held)
    return done.promise as Promise<never>
  }

  async request(): Promise<never> {
    const finalizedFeatures = [{ name: 'group.version', maxVersionLevel: this.groupVersion, minVersionLevel: 0 }]
    return { errorCode: 0, apiKeys: this.apiKeys, finalizedFeatures, supportedFeatures: [] } as never
  }

  async refresh(): Promise<void> {
    this.refreshes++
    for (const [name, { topicId, partitions }] of this.news) this.learn(name, partitions.length, topicId)
    this.news.clear()
  }

  topic(name: string): TopicInfo | undefined {
    return [...this.#topics.values()].findLast((topic) => topic.name === name)
  }

  topicById(id: string): TopicInfo | undefined {
    return this.#topics.get(id)
  }

  useTopic(name: string): void {
    this.inUse.add(name)
  }

  onTopic(listener: (topic: TopicInfo) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async connect(): Promise<void> {}
  async close(): Promise<void> {}
  link(): never {
    throw new Error('a member opens no fetch connection')
  }
  waitForTopic(): never {
    throw new Error('a member does not wait for topics')
  }
  applyLeaderHint(): boolean {
    return false
  }

  get last(): HeldBeat {
    return this.beats.at(-1) as HeldBeat
  }
}

export interface Rig {
  readonly clock: FakeClock
  readonly cluster: ScriptedGroupCluster
  readonly host: ScriptedHost
  readonly member: Membership
  readonly ledger: Ledger
}

export function rigOf(clock: FakeClock, config: Config = {}, name = 'a', ledger = new Ledger(), seed = 1): Rig {
  const cluster = new ScriptedGroupCluster(clock)
  cluster.learn('t', 4)
  const host = new ScriptedHost(clock, ledger, name)
  const resolved = resolveConsumerConfig({ groupId: 'g', groupProtocol: 'consumer', logger: silentLogger, ...config })
  const member = consumerMember({ config: resolved, cluster, host, clock, random: seededRandom(seed) })
  return { clock, cluster, host, member, ledger }
}

/** Lets everything that is ready run; time stands still. */
export async function turn(clock: FakeClock): Promise<void> {
  for (let round = 0; round < 4; round++) {
    for (let step = 0; step < 12; step++) await Promise.resolve()
    clock.runDeferred()
  }
}

export function topicInfo(name: string, count: number, topicId = `id-${name}`): TopicInfo {
  const partitions = Array.from({ length: count }, (_, partition) => ({
    partition,
    errorCode: 0,
    leaderId: 1,
    leaderEpoch: 0,
  }))
  return { name, topicId, errorCode: 0, partitions }
}

function keyOf({ topic, partition }: Tp): string {
  return `${topic}/${partition}`
}
