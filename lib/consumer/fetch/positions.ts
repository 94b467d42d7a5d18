/**
 * Finds offsets by asking the leaders: earliest, latest, or by timestamp (ListOffsets).
 * Why a loop of its own: leaders move while we ask, and a reset in the background may wait as long as it takes.
 * Invariant: each result belongs to the generation it was asked for; the caller checks that before using it.
 * Source: kafka.md C-21, C-22.
 */
import type { ResolvedConsumerConfig } from '../../config/index.js'
import { MQError } from '../../errors/index.js'
import { brokerError, type DecodedResponseOf, ListOffsets, type RequestOf } from '../../protocol/index.js'
import { backoffMs, type Clock, Pauses, type RandomSource } from '../../util/index.js'
import type { ConsumerCluster } from '../ports.js'
import { judgeListOffsets } from './fetch-judge.js'

/** Special timestamps of ListOffsets. */
export const LATEST = -1
export const EARLIEST = -2

/** One round of asking one leader; then metadata is looked at again. Milliseconds. */
const ROUND_MS = 5_000
const ISOLATION = { read_uncommitted: 0, read_committed: 1 } as const

export interface PositionQuery {
  readonly topic: string
  readonly partition: number
  /** Milliseconds since 1970, or LATEST, EARLIEST. */
  readonly timestamp: number
}

type OnFound = (query: PositionQuery, offset: number) => void
type Answer = DecodedResponseOf<typeof ListOffsets>

interface Open {
  readonly query: PositionQuery
  timestamp: number
}

export class PositionFinder {
  readonly #cluster: ConsumerCluster
  readonly #config: ResolvedConsumerConfig
  readonly #clock: Clock
  readonly #random: RandomSource
  readonly #pauses: Pauses

  constructor(cluster: ConsumerCluster, config: ResolvedConsumerConfig, clock: Clock, random: RandomSource) {
    this.#cluster = cluster
    this.#config = config
    this.#clock = clock
    this.#pauses = new Pauses(clock)
    this.#random = random
  }

  /**
   * One offset per query, in their order. Without a record at or after a timestamp: the end. `onFound` is told of each as
   * soon as it is known: partitions with a leader need not wait for one that has none.
   * Throws TIMEOUT after `timeoutMs`, CONSUMER_CLOSED, or what a broker refuses for good.
   */
  async find(queries: readonly PositionQuery[], timeoutMs: number, onFound: OnFound = () => {}): Promise<number[]> {
    const deadlineMs = this.#clock.monotonicMs() + timeoutMs
    const found = new Map<PositionQuery, number>()
    const note: OnFound = (query, offset) => {
      found.set(query, offset)
      onFound(query, offset)
    }
    let open: Open[] = queries.map((query) => ({ query, timestamp: query.timestamp }))
    for (let attempt = 0; open.length > 0; attempt++) {
      if (attempt > 0) await this.#pause(attempt, open, deadlineMs)
      const leaders = this.#byLeader(open)
      const rounds = [...leaders].map(([brokerId, asked]) => this.#ask(brokerId, asked, note, deadlineMs))
      await Promise.all(rounds)
      open = open.filter(({ query }) => !found.has(query))
    }
    return queries.map((query) => found.get(query) as number)
  }

  /** Ends every wait; searches that are under way reject with CONSUMER_CLOSED. */
  close(): void {
    this.#pauses.stop()
  }

  #byLeader(open: readonly Open[]): Map<number, Open[]> {
    const leaders = new Map<number, Open[]>()
    for (const item of open) {
      const leaderId = this.#cluster.topic(item.query.topic)?.partitions[item.query.partition]?.leaderId ?? -1
      if (leaderId < 0) continue
      const asked = leaders.get(leaderId) ?? []
      leaders.set(leaderId, asked)
      asked.push(item)
    }
    return leaders
  }

  async #ask(brokerId: number, asked: readonly Open[], note: OnFound, untilMs: number): Promise<void> {
    const deadlineMs = Math.min(this.#clock.monotonicMs() + ROUND_MS, untilMs)
    const answer = await this.#request(brokerId, this.#body(asked), deadlineMs)
    if (answer !== null) this.#take(asked, answer, note)
  }

  /** Null: that leader could not be reached. It may not be the leader any more; the loop looks until its deadline. */
  async #request(brokerId: number, body: RequestOf<typeof ListOffsets>, deadlineMs: number): Promise<Answer | null> {
    try {
      return await this.#cluster.request(ListOffsets, body, { brokerId, deadlineMs })
    } catch (error) {
      if (error instanceof MQError && !error.fatal) return null
      throw error
    }
  }

  #body(asked: readonly Open[]): RequestOf<typeof ListOffsets> {
    const topics = new Map<string, { partitionIndex: number; currentLeaderEpoch: number; timestamp: number }[]>()
    for (const { query, timestamp } of asked) {
      const partitions = topics.get(query.topic) ?? []
      topics.set(query.topic, partitions)
      const leaderEpoch = this.#cluster.topic(query.topic)?.partitions[query.partition]?.leaderEpoch ?? -1
      partitions.push({ partitionIndex: query.partition, currentLeaderEpoch: leaderEpoch, timestamp })
    }
    return {
      replicaId: -1,
      isolationLevel: ISOLATION[this.#config.isolationLevel],
      topics: [...topics].map(([name, partitions]) => ({ name, partitions })),
    }
  }

  #take(asked: readonly Open[], answer: Answer, note: OnFound): void {
    for (const topic of answer.topics ?? []) {
      for (const partition of topic.partitions ?? []) {
        const item = asked.find(
          ({ query }) => query.topic === topic.name && query.partition === partition.partitionIndex,
        )
        if (item === undefined) continue
        if (partition.errorCode !== 0) refuseIfFinal(item.query, partition.errorCode)
        else if (partition.offset >= 0) note(item.query, partition.offset)
        else item.timestamp = LATEST // No record so late: the end (C-21).
      }
    }
  }

  async #pause(attempt: number, open: readonly Open[], deadlineMs: number): Promise<void> {
    this.#failIfOver(open, deadlineMs)
    const { retryBackoffMs, retryBackoffMaxMs } = this.#config.connection
    const delayMs = backoffMs(attempt - 1, retryBackoffMs, retryBackoffMaxMs, this.#random)
    // A search by timestamp that goes on to the end needs neither new metadata nor a pause.
    if (open.every(({ query, timestamp }) => timestamp !== query.timestamp) && attempt === 1) return
    await this.#pauses.wait(Math.min(delayMs, Math.max(1, deadlineMs - this.#clock.monotonicMs())))
    this.#failIfOver(open, deadlineMs)
    await this.#refresh()
    this.#failIfOver(open, deadlineMs)
  }

  /** Metadata that cannot be had now is asked for again in the next round. */
  async #refresh(): Promise<void> {
    try {
      await this.#cluster.refresh('positions are looked up')
    } catch (error) {
      if (!(error instanceof MQError) || error.fatal) throw error
    }
  }

  #failIfOver(open: readonly Open[], deadlineMs: number): void {
    if (this.#pauses.isStopped)
      throw new MQError('CONSUMER_CLOSED', 'the consumer was closed while it looked up positions')
    if (this.#clock.monotonicMs() < deadlineMs) return
    const partitions = open.map(({ query }) => `${query.topic}/${query.partition}`)
    const text = `no leader told the positions of ${partitions.join(', ')} in time: check the brokers or wait longer`
    throw new MQError('TIMEOUT', text, { partitions })
  }
}

function refuseIfFinal({ topic, partition }: PositionQuery, errorCode: number): void {
  if (judgeListOffsets(errorCode) !== 'fail') return
  throw brokerError(errorCode, 'CONSUME_FAILED', null, { topic, partition })
}
