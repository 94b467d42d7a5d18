/**
 * What groups have committed: read it, measure the lag, move it.
 * Why moving is our protocol: kafkajs joins the group with a consumer to commit, which took 5 s per topic on Kafka 4.1
 * and cannot be limited. A plain commit without a member does the same at once, and the coordinator itself refuses it
 * while members are active; asking before gives the better text.
 * Source: features.md AD-2.
 */
import { MQError } from '../errors/index.js'
import {
  brokerError,
  type DecodedResponseOf,
  kafkaError,
  OffsetCommit,
  OffsetFetch,
  type RequestOf,
} from '../protocol/index.js'
import type { Call } from './call.js'
import { checkGroupId, checkInteger, checkList, checkTopicName } from './checks.js'
import { sorted } from './group-bytes.js'
import type { GroupAdmin } from './groups.js'
import { EARLIEST, LATEST, type Positions } from './positions.js'
import { exhausted, isPassing, type Requests } from './requests.js'
import type { TopicAdmin } from './topics.js'
import type {
  GroupDescription,
  GroupLag,
  GroupOffset,
  GroupPartition,
  OffsetTarget,
  ResetOffsetsOptions,
  ResetResult,
} from './types.js'

/** First version of OffsetFetch that asks for several groups at once, which moves every field. */
const MANY_GROUPS = 8
const UNKNOWN_MEMBER_ID = 25
const MAX_PARTITION = 0x7fff_ffff

type Fetched = DecodedResponseOf<typeof OffsetFetch>['topics'][number]

export class OffsetAdmin {
  readonly #requests: Requests
  readonly #topics: TopicAdmin
  readonly #groups: GroupAdmin
  readonly #positions: Positions

  constructor(requests: Requests, topics: TopicAdmin, groups: GroupAdmin, positions: Positions) {
    this.#requests = requests
    this.#topics = topics
    this.#groups = groups
    this.#positions = positions
  }

  async fetch(groupId: string, topics: readonly string[] | undefined, call: Call): Promise<GroupOffset[]> {
    checkGroupId(groupId)
    if (topics !== undefined) checkList('topics', topics)
    for (const topic of topics ?? []) checkTopicName(topic)
    const asked = topics === undefined ? null : await this.#partitionsOf(topics)
    const rows = await this.#fetch(groupId, asked, call)
    const known = new Map(rows.map((row) => [keyOf(row), row]))
    const all = asked === null ? rows : asked.map((tp) => known.get(keyOf(tp)) ?? { ...tp, offset: -1, metadata: '' })
    return sorted(all) as GroupOffset[]
  }

  /** Every partition the group has committed or reads. */
  async lag({ groupId, members }: GroupDescription, call: Call): Promise<GroupLag[]> {
    const committed = new Map((await this.#fetch(groupId, null, call)).map((row) => [keyOf(row), row]))
    const readers = new Map(
      members.flatMap(({ memberId, assignment }) => assignment.map((tp) => [keyOf(tp), { ...tp, memberId }] as const)),
    )
    const partitions = new Map<string, GroupPartition>([...committed, ...readers])
    const ranges = await Promise.all(
      [...byTopic([...partitions.values()])].map(([topic, numbers]) => this.#rangeOf(topic, numbers, call)),
    )
    return (sorted(ranges.flat()) as (typeof ranges)[number]).map(({ topic, partition, logStart, logEnd }) => {
      const key = keyOf({ topic, partition })
      const offset = committed.get(key)?.offset ?? -1
      const lag = Math.max(0, logEnd - Math.max(offset, logStart))
      return { topic, partition, committed: offset, logStart, logEnd, lag, memberId: readers.get(key)?.memberId ?? '' }
    })
  }

  async reset(groupId: string, topic: string, options: ResetOffsetsOptions, call: Call): Promise<ResetResult[]> {
    checkGroupId(groupId)
    checkTopicName(topic)
    const { partitions, to, dryRun = false } = options
    for (const partition of partitions ?? [])
      checkInteger('partition', partition, 0, MAX_PARTITION, 'INVALID_PARTITION')
    checkTarget(to)
    await this.#refuseActive(groupId, call)
    const targets = await this.#targets(topic, partitions, to, call)
    const before = new Map(
      (await this.fetch(groupId, [topic], call)).map(({ partition, offset }) => [partition, offset]),
    )
    if (!dryRun && targets.size > 0) await this.#commit(groupId, topic, targets, call)
    return [...targets].map(([partition, offset]) => ({
      topic,
      partition,
      before: before.get(partition) ?? -1,
      offset,
    }))
  }

  async #partitionsOf(topics: readonly string[]): Promise<GroupPartition[]> {
    const lists = await Promise.all(
      topics.map(async (topic) =>
        [...(await this.#topics.leaders(topic)).keys()].map((partition) => ({ topic, partition })),
      ),
    )
    return lists.flat()
  }

  /** A topic that was deleted keeps its commits for a while, and has no lag. */
  async #rangeOf(topic: string, numbers: readonly number[], call: Call) {
    try {
      const existing = await this.#topics.leaders(topic)
      const asked = numbers.filter((partition) => existing.has(partition))
      return await this.#positions.range(topic, call, asked)
    } catch (error) {
      if (error instanceof MQError && error.code === 'TOPIC_NOT_FOUND') return []
      throw error
    }
  }

  async #refuseActive(groupId: string, call: Call): Promise<void> {
    const [group] = await this.#groups.describe([groupId], call)
    const members = group?.members.length ?? 0
    if (members > 0) throw activeGroup(groupId, `it has ${members} member${members === 1 ? '' : 's'} just now`)
    const { error } = group ?? {}
    if (error !== undefined && kafkaError(Number(error.context.kafkaCode)).name !== 'GROUP_ID_NOT_FOUND') throw error
  }

  async #targets(
    topic: string,
    partitions: readonly number[] | undefined,
    to: OffsetTarget,
    call: Call,
  ): Promise<Map<number, number>> {
    if (to === 'earliest') return this.#positions.find(topic, EARLIEST, call, partitions)
    if (to === 'latest') return this.#positions.find(topic, LATEST, call, partitions)
    if ('timestamp' in to) return this.#positions.find(topic, to.timestamp, call, partitions)
    const ranges = await this.#positions.range(topic, call, partitions)
    return new Map(ranges.map((range) => [range.partition, within(to.offset, range)]))
  }

  async #commit(groupId: string, topic: string, targets: ReadonlyMap<number, number>, call: Call): Promise<void> {
    let open = [...targets.keys()]
    for (let attempt = 1; open.length > 0; attempt++) {
      const partitions = open.map((partition) => ({
        partitionIndex: partition,
        committedOffset: targets.get(partition) ?? 0,
        committedMetadata: '',
      }))
      const body = { groupId, memberId: '', topics: [{ name: topic, partitions }] }
      const answer = await this.#requests.cluster.requestGroup(groupId, OffsetCommit, body)
      const rows = answer.topics.flatMap((one) => one.partitions)
      const failed = rows.filter(({ errorCode }) => errorCode !== 0)
      for (const { errorCode, partitionIndex } of failed) refuseIfFinal(errorCode, groupId, topic, partitionIndex)
      open = failed.map(({ partitionIndex }) => partitionIndex)
      if (open.length === 0) return
      const last = brokerError(failed[0]?.errorCode ?? -1, 'OFFSET_COMMIT_FAILED', null, { groupId, topic })
      if (attempt > this.#requests.maxRetries) throw exhausted(attempt, last)
      this.#requests.forgetCoordinator(groupId)
      await this.#requests.beforeRetry(attempt, false, call)
    }
  }

  async #fetch(groupId: string, asked: readonly GroupPartition[] | null, call: Call): Promise<GroupOffset[]> {
    const topics =
      asked === null ? null : [...byTopic(asked)].map(([name, partitionIndexes]) => ({ name, partitionIndexes }))
    const body = (version: number): RequestOf<typeof OffsetFetch> =>
      version >= MANY_GROUPS ? { groups: [{ groupId, topics }] } : { groupId, topics }
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#requests.cluster.requestGroup(groupId, OffsetFetch, body)
      const group = answer.groups.find((one) => one.groupId === groupId) ?? answer
      const code = [group.errorCode, ...codesOf(group.topics)].find((one) => one !== 0) ?? 0
      if (code === 0) return group.topics.flatMap(offsetsOf)
      // A broker says 69 for a KIP-848 group that is not there; older ones say that nothing is committed.
      if (kafkaError(code).name === 'GROUP_ID_NOT_FOUND') return []
      const error = brokerError(code, 'CONSUME_FAILED', null, { groupId }, 'DESCRIBE')
      if (!isPassing(code)) throw error
      if (attempt > this.#requests.maxRetries) throw exhausted(attempt, error)
      this.#requests.forgetCoordinator(groupId)
      await this.#requests.beforeRetry(attempt, false, call)
    }
  }
}

function checkTarget(to: OffsetTarget): void {
  if (to === 'earliest' || to === 'latest') return
  const isObject = typeof to === 'object' && to !== null && !('timestamp' in to && 'offset' in to)
  if (isObject && 'timestamp' in to) return checkInteger('to.timestamp', to.timestamp, 0, Number.MAX_SAFE_INTEGER)
  if (isObject && 'offset' in to) {
    return checkInteger('to.offset', to.offset, 0, Number.MAX_SAFE_INTEGER, 'INVALID_OFFSET')
  }
  throw new MQError('INVALID_CONFIG', "to: expected 'earliest', 'latest', { timestamp } or { offset }", { path: 'to' })
}

function within(
  offset: number,
  { topic, partition, logStart, logEnd }: { topic: string; partition: number; logStart: number; logEnd: number },
): number {
  if (offset >= logStart && offset <= logEnd) return offset
  const text = `offset ${offset} is not in ${topic}/${partition}, which holds ${logStart}..${logEnd}: choose one of these`
  throw new MQError('INVALID_OFFSET', text, { reason: 'OFFSET_OUT_OF_RANGE', topic, partition, logStart, logEnd })
}

function activeGroup(groupId: string, why: string, context: object = {}): MQError {
  const text = `the offsets of group ${groupId} stay as they are, because ${why}: stop its consumers first`
  return new MQError('OFFSET_COMMIT_FAILED', text, { groupId, ...context })
}

function refuseIfFinal(errorCode: number, groupId: string, topic: string, partition: number): void {
  if (isPassing(errorCode)) return
  const context = { groupId, topic, partition }
  if (errorCode === UNKNOWN_MEMBER_ID) {
    const { number: kafkaCode, name: kafkaName } = kafkaError(errorCode)
    throw activeGroup(groupId, 'a member has joined it meanwhile', { topic, partition, kafkaCode, kafkaName })
  }
  throw brokerError(errorCode, 'OFFSET_COMMIT_FAILED', null, context)
}

function byTopic(partitions: readonly GroupPartition[]): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const { topic, partition } of partitions) {
    const of = found.get(topic)
    if (of === undefined) found.set(topic, [partition])
    else of.push(partition)
  }
  return found
}

function keyOf({ topic, partition }: GroupPartition): string {
  return `${topic}/${partition}`
}

function codesOf(topics: readonly Fetched[]): number[] {
  return topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
}

function offsetsOf({ name, partitions }: Fetched): GroupOffset[] {
  return partitions.map(({ partitionIndex, committedOffset, metadata }) => ({
    topic: name,
    partition: partitionIndex,
    offset: committedOffset,
    metadata: metadata ?? '',
  }))
}
