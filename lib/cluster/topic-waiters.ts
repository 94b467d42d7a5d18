/**
 * Callers that wait for a topic to become known.
 * Why apart: each has its own patience, its own count of "unknown" answers and its own abort signal, and one topic that
 * never comes must not hold up another (kafka.md P-39, P-62; features.md PR-24).
 * Invariant: a waiter settles exactly once and then holds neither timer nor listener.
 */
import { MQError } from '../errors/index.js'
import { brokerError, kafkaError } from '../protocol/index.js'
import { type Clock, type Deferred, deferred } from '../util/index.js'
import type { TopicMetadata } from './topic-metadata.js'

export interface WaitOptions {
  readonly timeoutMs: number
  /** The brokers may make the topic. */
  readonly allowAutoCreate?: boolean | undefined
  /** "Unknown" answers that are tolerated; unset: as many as come within `timeoutMs`. */
  readonly unknownTopicRetries?: number | undefined
  readonly signal?: AbortSignal | undefined
}

interface Waiter {
  readonly name: string
  readonly options: WaitOptions
  readonly done: Deferred<TopicMetadata>
  unknownAnswers: number
  lastErrorCode: number
}

const UNKNOWN_TOPIC = 3
/** A topic with one of these will not come by waiting. */
const FINAL: ReadonlySet<number> = new Set([17, 29])

export class TopicWaiters {
  readonly #clock: Clock
  readonly #waiters = new Map<string, Set<Waiter>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get names(): string[] {
    return [...this.#waiters.keys()]
  }

  get size(): number {
    return this.#waiters.size
  }

  mayCreate(name: string): boolean {
    return [...(this.#waiters.get(name) ?? [])].some(({ options }) => options.allowAutoCreate === true)
  }

  async wait(name: string, options: WaitOptions, lastError: () => MQError | null): Promise<TopicMetadata> {
    const { signal, timeoutMs } = options
    signal?.throwIfAborted()
    const waiter: Waiter = { name, options, done: deferred(), unknownAnswers: 0, lastErrorCode: 0 }
    const abort = () => waiter.done.reject(signal?.reason)
    signal?.addEventListener('abort', abort)
    const timer = this.#clock.setTimer(() => waiter.done.reject(waitedTooLong(waiter, lastError())), timeoutMs)
    this.#add(waiter)
    try {
      return await waiter.done.promise
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', abort)
      this.#remove(waiter)
    }
  }

  /** One answer about this topic. */
  answered(topic: TopicMetadata): void {
    for (const waiter of this.#waiters.get(topic.name) ?? []) this.#judge(waiter, topic)
  }

  rejectAll(reason: MQError): void {
    for (const waiters of this.#waiters.values()) for (const { done } of waiters) done.reject(reason)
  }

  #judge(waiter: Waiter, topic: TopicMetadata): void {
    const { errorCode } = topic
    waiter.lastErrorCode = errorCode
    if (errorCode === 0 && topic.partitions.length > 0) return waiter.done.resolve(topic)
    const { name } = waiter
    if (FINAL.has(errorCode)) {
      return waiter.done.reject(
        brokerError(errorCode, 'TOPIC_NOT_FOUND', null, {
          topic: name,
          resource: `topic ${name}`,
          operation: 'DESCRIBE',
        }),
      )
    }
    const { unknownTopicRetries } = waiter.options
    if (
      errorCode === UNKNOWN_TOPIC &&
      unknownTopicRetries !== undefined &&
      waiter.unknownAnswers++ >= unknownTopicRetries
    ) {
      waiter.done.reject(notFound(waiter))
    }
  }

  #add(waiter: Waiter): void {
    const set = this.#waiters.get(waiter.name) ?? new Set()
    set.add(waiter)
    this.#waiters.set(waiter.name, set)
  }

  #remove(waiter: Waiter): void {
    const set = this.#waiters.get(waiter.name)
    set?.delete(waiter)
    if (set?.size === 0) this.#waiters.delete(waiter.name)
  }
}

function waitedTooLong(waiter: Waiter, lastError: MQError | null): MQError {
  if (waiter.lastErrorCode !== 0) return notFound(waiter)
  const { name, options } = waiter
  const why = lastError === null ? 'none has answered' : lastError.message
  const text = `no broker told about topic ${name} within ${options.timeoutMs} ms: ${why}`
  return new MQError('TIMEOUT', text, { topic: name, timeoutMs: options.timeoutMs }, { cause: lastError ?? undefined })
}

function notFound({ name, options, lastErrorCode, unknownAnswers }: Waiter): MQError {
  const { name: kafkaName } = kafkaError(lastErrorCode)
  const advice = options.allowAutoCreate === true ? 'the brokers do not create topics by themselves' : 'create it first'
  const text = `topic ${name} is not there (${kafkaName}) after ${options.timeoutMs} ms or ${unknownAnswers} answers: ${advice}`
  return new MQError('TOPIC_NOT_FOUND', text, { topic: name, kafkaCode: lastErrorCode, kafkaName })
}
