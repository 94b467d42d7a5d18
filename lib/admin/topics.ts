/**
 * Topics: create, grow, delete, ask for one.
 * Why it waits after a change: the controller answers when the change is decided, and the brokers learn of it a moment
 * later; a caller who describes what he has just created must not be told that it is unknown.
 * Invariant: results stand in the order of the input; a topic that is refused harms no other.
 * Source: features.md AD-1.
 */
import { MQError } from '../errors/index.js'
import {
  brokerError,
  CreatePartitions,
  CreateTopics,
  type DecodedResponseOf,
  DeleteTopics,
  Metadata,
  type RequestOf,
} from '../protocol/index.js'
import type { Call } from './call.js'
import { checkCount, checkDistinct, checkList, checkNewTopic, checkObjects, checkTopicName } from './checks.js'
import { type ItemAnswer, type ItemFailure, isPassing, type Requests } from './requests.js'
import type { CreateTopicResult, MorePartitions, NewTopic, TopicResult } from './types.js'

const UNKNOWN_TOPIC_OR_PARTITION = 3
const TOPIC_ALREADY_EXISTS = 36
/** First version of DeleteTopics that names topics in a list of objects. */
const DELETE_BY_OBJECT = 6
/** Longest wait for brokers to learn of a change that is already decided. Milliseconds. */
const SEEN_MS = 5_000
const SEEN_PAUSE_MS = 25

type MetadataTopic = DecodedResponseOf<typeof Metadata>['topics'][number]

const failure = (needs: string): ItemFailure => ({
  operation: 'INVALID_CONFIG',
  context: (topic) => ({ topic }),
  needs,
})

export class TopicAdmin {
  readonly #requests: Requests

  constructor(requests: Requests) {
    this.#requests = requests
  }

  async create(topics: readonly NewTopic[], validateOnly: boolean, call: Call): Promise<CreateTopicResult[]> {
    checkObjects('topics', topics)
    for (const topic of topics) checkNewTopic(topic)
    const names = topics.map(({ name }) => name)
    checkDistinct('topic', names)
    const errors = await this.#requests.settle(names, call, failure('CREATE'), async (open) => {
      const body = {
        topics: topics.filter(({ name }) => open.includes(name)).map(creationOf),
        timeoutMs: call.leftMs(),
        validateOnly,
      }
      const answer = await this.#requests.controller(CreateTopics, body, call)
      return byName(answer.topics)
    })
    const done = names.filter((name) => !errors.has(name))
    if (!validateOnly) await this.#untilSeen(done, call, isUsable)
    return names.map((topic) => creationResult(topic, errors.get(topic)))
  }

  async delete(topics: readonly string[], call: Call): Promise<TopicResult[]> {
    checkList('topics', topics)
    for (const topic of topics) checkTopicName(topic)
    checkDistinct('topic', topics)
    const errors = await this.#requests.settle(topics, call, failure('DELETE'), async (open) => {
      const timeoutMs = call.leftMs()
      const body = (version: number): RequestOf<typeof DeleteTopics> =>
        version >= DELETE_BY_OBJECT
          ? { topics: open.map((name) => ({ name })), timeoutMs }
          : { topicNames: open, timeoutMs }
      const answer = await this.#requests.controller(DeleteTopics, body, call)
      return byName(answer.responses)
    })
    await this.#untilSeen(
      topics.filter((topic) => !errors.has(topic)),
      call,
      ({ errorCode }) => errorCode === UNKNOWN_TOPIC_OR_PARTITION,
    )
    return topics.map((topic) => resultOf(topic, errors.get(topic)))
  }

  async grow(topics: readonly MorePartitions[], validateOnly: boolean, call: Call): Promise<TopicResult[]> {
    checkObjects('topics', topics)
    for (const { topic, count } of topics) {
      checkTopicName(topic)
      checkCount(topic, count)
    }
    const names = topics.map(({ topic }) => topic)
    checkDistinct('topic', names)
    const errors = await this.#requests.settle(names, call, failure('ALTER'), async (open) => {
      const asked = topics.filter(({ topic }) => open.includes(topic))
      const body = {
        topics: asked.map(({ topic, count }) => ({ name: topic, count, assignments: null })),
        timeoutMs: call.leftMs(),
        validateOnly,
      }
      const answer = await this.#requests.controller(CreatePartitions, body, call)
      return byName(answer.results)
    })
    const counts = new Map(topics.map(({ topic, count }) => [topic, count]))
    const isGrown = (found: MetadataTopic) =>
      isUsable(found) && found.partitions.length >= (counts.get(found.name ?? '') ?? 0)
    if (!validateOnly)
      await this.#untilSeen(
        [...counts.keys()].filter((topic) => !errors.has(topic)),
        call,
        isGrown,
      )
    return names.map((topic) => resultOf(topic, errors.get(topic)))
  }

  /** Asks for this one, and never creates it. */
  async exists(topic: string, call: Call): Promise<boolean> {
    checkTopicName(topic)
    let found: MetadataTopic | undefined
    for (let attempt = 1; ; attempt++) {
      ;[found] = await this.#find([topic])
      const code = found?.errorCode ?? UNKNOWN_TOPIC_OR_PARTITION
      if (code === 0) return true
      if (code === UNKNOWN_TOPIC_OR_PARTITION) return false
      // 5: it exists, and elects its leaders just now.
      if (found !== undefined && found.partitions.length > 0 && isPassing(code)) return true
      if (!isPassing(code)) throw brokerError(code, 'INVALID_TOPIC', null, { topic }, 'DESCRIBE')
      await this.#requests.beforeRetry(attempt, false, call)
    }
  }

  /** Partition ids of a topic with their leaders; throws TOPIC_NOT_FOUND. */
  async leaders(topic: string): Promise<Map<number, number>> {
    const [found] = await this.#find([topic])
    const code = found?.errorCode ?? UNKNOWN_TOPIC_OR_PARTITION
    if (found === undefined || (code !== 0 && found.partitions.length === 0)) {
      throw brokerError(code, 'TOPIC_NOT_FOUND', null, { topic })
    }
    const sorted = [...found.partitions].sort((a, b) => a.partitionIndex - b.partitionIndex)
    return new Map(sorted.map(({ partitionIndex, leaderId }) => [partitionIndex, leaderId]))
  }

  async #find(topics: readonly string[]): Promise<readonly MetadataTopic[]> {
    const body = { topics: topics.map((name) => ({ name })), allowAutoTopicCreation: false }
    return (await this.#requests.any(Metadata, body)).topics
  }

  /** The change is decided: that a broker is slow to learn of it is no failure, and ends the wait silently. */
  async #untilSeen(topics: readonly string[], call: Call, isSeen: (topic: MetadataTopic) => boolean): Promise<void> {
    const rounds = Math.min(SEEN_MS, call.leftMs()) / SEEN_PAUSE_MS
    let open = topics
    for (let round = 0; open.length > 0 && round < rounds; round++) {
      if (round > 0) await call.pause(SEEN_PAUSE_MS)
      const seen = new Set((await this.#find(open)).filter(isSeen).map(({ name }) => name))
      open = open.filter((topic) => !seen.has(topic))
    }
  }
}

function creationOf({ name, partitions = 1, replicationFactor = 1, configs = {} }: NewTopic) {
  return {
    name,
    numPartitions: partitions,
    replicationFactor,
    assignments: [],
    configs: Object.entries(configs).map(([key, value]) => ({ name: key, value: String(value) })),
  }
}

function byName(
  rows: readonly { readonly name: string | null; readonly errorCode: number; readonly errorMessage: string | null }[],
): Map<string, ItemAnswer> {
  return new Map(rows.map(({ name, errorCode, errorMessage }) => [name ?? '', { errorCode, errorMessage }]))
}

function isUsable({ errorCode, partitions }: MetadataTopic): boolean {
  return errorCode === 0 && partitions.length > 0 && partitions.every(({ leaderId }) => leaderId >= 0)
}

function creationResult(topic: string, error: MQError | undefined): CreateTopicResult {
  if (error?.context.kafkaCode === TOPIC_ALREADY_EXISTS) return { topic, created: false }
  return { ...resultOf(topic, error), created: error === undefined }
}

export function resultOf(topic: string, error: MQError | undefined): TopicResult {
  return error === undefined ? { topic } : { topic, error }
}

/** For the calls that name one item: its error is the call's. */
export function only<R extends { readonly error?: MQError }>(results: readonly R[]): R {
  const [result] = results
  if (result === undefined)
    throw new MQError(
      'CONNECTION_FAILED',
      'the answer of the broker leaves out the one item that was asked for: try again',
    )
  if (result.error !== undefined) throw result.error
  return result
}
