/** A cluster without sockets: the test holds every Fetch and answers it when and how it likes. */
import { Consumer } from '../../lib/consumer/index.js'
import type { FetchLink, GroupCluster, TopicInfo } from '../../lib/consumer/ports.js'
import { MQError } from '../../lib/errors/index.js'
import { type Api, type DecodedResponseOf, type Fetch, ListOffsets, type RequestOf } from '../../lib/protocol/index.js'
import { type Deferred, deferred, FakeClock, seededRandom, silentLogger } from '../../lib/util/index.js'

export const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'
type Answer = DecodedResponseOf<typeof Fetch>
type PartitionAnswer = NonNullable<NonNullable<Answer['responses']>[number]['partitions']>[number]

export class HeldFetch {
  readonly brokerId: number
  readonly body: RequestOf<typeof Fetch>
  readonly limitMs: number
  readonly #done = deferred<Answer>()

  constructor(brokerId: number, body: RequestOf<typeof Fetch>, limitMs: number) {
    this.brokerId = brokerId
    this.body = body
    this.limitMs = limitMs
  }

  get promise(): Deferred<Answer>['promise'] {
    return this.#done.promise
  }

  /** `partition@fetchOffset` of every partition the request names. */
  get asked(): string[] {
    return this.body.topics.flatMap((topic) => topic.partitions.map((p) => `${p.partition}@${p.fetchOffset}`))
  }

  get session(): string {
    return `${this.body.sessionId}/${this.body.sessionEpoch}`
  }

  /** Answers with these partitions, by number. */
  answer(partitions: Record<number, Partial<PartitionAnswer>> = {}, top: Partial<Answer> = {}): void {
    const list = Object.entries(partitions).map(([index, more]) => partitionAnswer(Number(index), more))
    const responses = list.length === 0 ? [] : [{ topic: '', topicId: TOPIC_ID, partitions: list }]
    this.#done.resolve({ throttleTimeMs: 0, errorCode: 0, sessionId: 7, responses, nodeEndpoints: [], ...top })
  }

  fail(): void {
    this.#done.reject(new MQError('CONNECTION_CLOSED', 'the connection broke', { wasSent: 'possibly' }))
  }
}

function partitionAnswer(partitionIndex: number, more: Partial<PartitionAnswer>): PartitionAnswer {
  return {
    partitionIndex,
    errorCode: 0,
    highWatermark: 100,
    lastStableOffset: 100,
    logStartOffset: 0,
    divergingEpoch: { epoch: -1, endOffset: -1 },
    currentLeader: { leaderId: -1, leaderEpoch: -1 },
    snapshotId: { endOffset: -1, epoch: -1 },
    abortedTransactions: null,
    preferredReadReplica: -1,
    records: null,
    ...more,
  }
}

class ScriptedLink implements FetchLink {
  isReady = true
  hasRoom = true
  onRoom: (() => void) | null = null
  onDown: ((reason: MQError) => void) | null = null
  connects = 0
  readonly #brokerId: number
  readonly #held: HeldFetch[]

  constructor(brokerId: number, held: HeldFetch[]) {
    this.#brokerId = brokerId
    this.#held = held
  }

  connect(): void {
    this.connects++
  }

  versionOf(): number {
    return 16
  }

  request<A extends Api>(_api: A, body: RequestOf<A>, options?: { limitMs?: number }): Promise<DecodedResponseOf<A>> {
    const held = new HeldFetch(this.#brokerId, body as RequestOf<typeof Fetch>, options?.limitMs ?? 0)
    this.#held.push(held)
    return held.promise as unknown as Promise<DecodedResponseOf<A>>
  }
}

export class ScriptedCluster implements GroupCluster {
  readonly clock = new FakeClock()
  readonly held: HeldFetch[] = []
  readonly links = new Map<number, ScriptedLink>()
  /** What ListOffsets answers. */
  end = 0
  listOffsets = 0
  refreshes = 0
  #topic: TopicInfo
  readonly #listeners = new Set<(topic: TopicInfo) => void>()

  /** One topic 't'; `leaders[n]` leads partition n. */
  constructor(leaders: readonly number[]) {
    this.#topic = topicOf(leaders, 0)
  }

  async connect(): Promise<void> {}

  link(brokerId: number): ScriptedLink {
    const link = this.links.get(brokerId) ?? new ScriptedLink(brokerId, this.held)
    this.links.set(brokerId, link)
    return link
  }

  async request<A extends Api>(api: A, body: RequestOf<A>): Promise<DecodedResponseOf<A>> {
    if ((api as Api) !== ListOffsets) throw new Error(`the script has no ${api.name}`)
    this.listOffsets++
    const { topics } = body as RequestOf<typeof ListOffsets>
    const answered = topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map((p) => ({ ...p, errorCode: 0, timestamp: -1, offset: this.end, leaderEpoch: 0 })),
    }))
    return { throttleTimeMs: 0, topics: answered } as unknown as DecodedResponseOf<A>
  }

  topic(): TopicInfo {
    return this.#topic
  }

  useTopic(): void {}

  async refresh(): Promise<void> {
    this.refreshes++
  }

  async waitForTopic(): Promise<TopicInfo> {
    return this.#topic
  }

  applyLeaderHint(_topic: string, partition: number, leaderId: number, leaderEpoch: number): boolean {
    const leaders = this.#topic.partitions.map((p) => (p.partition === partition ? leaderId : p.leaderId))
    this.move(leaders, leaderEpoch)
    return true
  }

  onTopic(listener: (topic: TopicInfo) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {}

  topicById(id: string): TopicInfo | undefined {
    return id === TOPIC_ID ? this.#topic : undefined
  }

  finalizedFeature(): number {
    return 0
  }

  /** The script has no groups: partitions are assigned. */
  async coordinator(): Promise<number> {
    throw new Error('the script has no coordinator')
  }

  forgetCoordinator(): void {}

  async requestGroup<A extends Api>(_groupId: string, api: A): Promise<DecodedResponseOf<A>> {
    throw new Error(`the script has no coordinator for ${api.name}`)
  }

  move(leaders: readonly number[], epoch: number): void {
    this.#topic = topicOf(leaders, epoch)
    for (const listener of this.#listeners) listener(this.#topic)
  }

  /** A consumer on this cluster that starts every partition at offset 0. */
  async consumer(
    callback: Parameters<Consumer['assign']>[1],
    config: NonNullable<ConstructorParameters<typeof Consumer>[0]> = {},
  ): Promise<Consumer> {
    const made = new Consumer(
      { logger: silentLogger, ...config },
      { cluster: this, clock: this.clock, random: seededRandom(3) },
    )
    const what = this.#topic.partitions.map(({ partition }) => ({ topic: 't', partition, offset: 0 }))
    await made.assign(what, callback)
    await this.turn()
    return made
  }

  /** Lets everything that is ready run; time stands still. */
  async turn(): Promise<void> {
    for (let round = 0; round < 5; round++) {
      for (let step = 0; step < 20; step++) await Promise.resolve()
      this.clock.runDeferred()
    }
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms)
    await this.turn()
  }

  get last(): HeldFetch {
    return this.held.at(-1) as HeldFetch
  }
}

function topicOf(leaders: readonly number[], leaderEpoch: number): TopicInfo {
  const partitions = leaders.map((leaderId, partition) => ({ partition, errorCode: 0, leaderId, leaderEpoch }))
  return { name: 't', topicId: TOPIC_ID, errorCode: 0, partitions }
}
