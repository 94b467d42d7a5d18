/**
 * Where logs begin and end, and which offset belongs to a time: asked of each partition's leader (ListOffsets).
 * Invariant: one offset per partition asked for, or an error; leaders that moved are looked up again.
 * Source: features.md AD-2.
 */
import { MQError } from '../errors/index.js'
import { brokerError, ListOffsets } from '../protocol/index.js'
import type { Call } from './call.js'
import { exhausted, isPassing, type Requests } from './requests.js'
import type { TopicAdmin } from './topics.js'
import type { PartitionOffsets } from './types.js'

/** Special timestamps of ListOffsets. */
export const LATEST = -1
export const EARLIEST = -2
const NOT_LEADER = 6
/** Numbers that say "look for the leader again" or "not yet" here, although they are final elsewhere. */
const UNKNOWN_TOPIC_OR_PARTITION = 3

export class Positions {
  readonly #requests: Requests
  readonly #topics: TopicAdmin

  constructor(requests: Requests, topics: TopicAdmin) {
    this.#requests = requests
    this.#topics = topics
  }

  /** Offset by partition. `partitions` unset: all. Without a record at or after a time: the end of the log. */
  async find(
    topic: string,
    timestamp: number,
    call: Call,
    partitions?: readonly number[],
  ): Promise<Map<number, number>> {
    const found = new Map<number, number>()
    let last: MQError | null = null
    for (let attempt = 1; ; attempt++) {
      const leaders = await this.#topics.leaders(topic)
      const wanted = partitions ?? [...leaders.keys()]
      const unknown = wanted.find((partition) => !leaders.has(partition))
      if (unknown !== undefined) throw unknownPartition(topic, unknown, leaders.size)
      const open = wanted.filter((partition) => !found.has(partition))
      if (open.length > 0) last = (await this.#round(topic, timestamp, byLeader(open, leaders), found)) ?? last
      if (wanted.every((partition) => found.has(partition))) return inOrder(wanted, found)
      if (attempt > this.#requests.maxRetries) throw exhausted(attempt, last ?? noLeader(topic))
      await this.#requests.beforeRetry(attempt, false, call)
    }
  }

  async range(topic: string, call: Call, partitions?: readonly number[]): Promise<PartitionOffsets[]> {
    const [starts, ends] = await Promise.all([
      this.find(topic, EARLIEST, call, partitions),
      this.find(topic, LATEST, call, partitions),
    ])
    return [...ends].map(([partition, logEnd]) => ({ topic, partition, logStart: starts.get(partition) ?? 0, logEnd }))
  }

  /** The last error that passes by itself, or null. Throws what is final. */
  async #round(
    topic: string,
    timestamp: number,
    leaders: ReadonlyMap<number, readonly number[]>,
    found: Map<number, number>,
  ): Promise<MQError | null> {
    let last: MQError | null = leaders.has(-1) ? noLeader(topic) : null
    const asked = [...leaders].filter(([brokerId]) => brokerId >= 0)
    const answers = await Promise.all(
      asked.map(([brokerId, partitions]) => this.#ask(brokerId, topic, timestamp, partitions)),
    )
    for (const { partition, errorCode, offset } of answers.flat()) {
      const error =
        errorCode === 0 ? null : brokerError(errorCode, 'CONSUME_FAILED', null, { topic, partition }, 'DESCRIBE')
      if (error !== null && !isPassing(errorCode) && errorCode !== UNKNOWN_TOPIC_OR_PARTITION) throw error
      if (error === null) found.set(partition, offset)
      else last = error
    }
    await this.#toTheEnd(topic, timestamp, leaders, found)
    return last
  }

  /** -1: no record so late. */
  async #toTheEnd(
    topic: string,
    timestamp: number,
    leaders: ReadonlyMap<number, readonly number[]>,
    found: Map<number, number>,
  ): Promise<void> {
    const late = new Set([...found].flatMap(([partition, offset]) => (offset < 0 ? [partition] : [])))
    if (late.size === 0 || timestamp === LATEST) return
    for (const partition of late) found.delete(partition)
    const some = [...leaders].map(([brokerId, all]) => [brokerId, all.filter((one) => late.has(one))] as const)
    await this.#round(topic, LATEST, new Map(some.filter(([, rest]) => rest.length > 0)), found)
  }

  async #ask(brokerId: number, topic: string, timestamp: number, partitions: readonly number[]) {
    const rows = partitions.map((partition) => ({ partitionIndex: partition, timestamp }))
    const body = { replicaId: -1, isolationLevel: 0, topics: [{ name: topic, partitions: rows }] }
    const answer = await this.#requests.broker(brokerId, ListOffsets, body)
    return answer.topics.flatMap((one) =>
      one.partitions.map(({ partitionIndex, errorCode, offset }) => ({ partition: partitionIndex, errorCode, offset })),
    )
  }
}

function byLeader(partitions: readonly number[], leaders: ReadonlyMap<number, number>): Map<number, number[]> {
  const found = new Map<number, number[]>()
  for (const partition of partitions) {
    const leader = leaders.get(partition) ?? -1
    const of = found.get(leader)
    if (of === undefined) found.set(leader, [partition])
    else of.push(partition)
  }
  return found
}

function inOrder(wanted: readonly number[], found: ReadonlyMap<number, number>): Map<number, number> {
  return new Map(wanted.map((partition) => [partition, found.get(partition) as number]))
}

function noLeader(topic: string): MQError {
  return brokerError(NOT_LEADER, 'CONSUME_FAILED', 'a partition has no leader just now', { topic })
}

export function unknownPartition(topic: string, partition: number, count: number): MQError {
  const text = `${topic} has no partition ${partition}: it has ${count}, counted from 0`
  return new MQError('PARTITION_NOT_FOUND', text, { topic, partition })
}
