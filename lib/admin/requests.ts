/**
 * Questions to the cluster in our own protocol, asked again while what the broker answers passes by itself.
 * Why own protocol beside kafkajs: see docs/decisions (kafkajs replaces all settings, loses what the broker says about
 * a refusal and the results of its neighbours, and does not know the groups of KIP-848).
 * Invariant: an item is asked again only when its own answer says that it was not done; never more than `maxRetries`
 * times. Source: features.md 3.2 (`connection.maxRetries`), part 4.
 */
import type { Cluster, RequestBody } from '../cluster/index.js'
import { type ErrorCode, type ErrorContext, MQError } from '../errors/index.js'
import { type Api, brokerError, type DecodedResponseOf, kafkaError } from '../protocol/index.js'
import { backoffMs, type RandomSource } from '../util/index.js'
import type { Call } from './call.js'

export interface RetrySettings {
  readonly maxRetries: number
  readonly retryBackoffMs: number
  readonly retryBackoffMaxMs: number
}

/** What a broker says about one item of a request. */
export interface ItemAnswer {
  readonly errorCode: number
  readonly errorMessage?: string | null
}

export interface ItemFailure {
  /** Code for numbers that the table leaves to the operation. */
  readonly operation: ErrorCode
  readonly context: (item: string) => ErrorContext
  /** The permission (Kafka: AclOperation) that the request takes. */
  readonly needs: string
}

const UNKNOWN_TOPIC_OR_PARTITION = 3
/** The request may have been carried out: asking again would answer "exists already", or worse. */
const REQUEST_TIMED_OUT = 7
const UNSUPPORTED_VERSION = 35
const NOT_CONTROLLER = 41
const UNKNOWN_TOPIC_ID = 100
const FINAL = new Set([UNKNOWN_TOPIC_OR_PARTITION, REQUEST_TIMED_OUT, UNKNOWN_TOPIC_ID])

export class Requests {
  readonly cluster: Cluster
  readonly #settings: RetrySettings
  readonly #random: RandomSource

  constructor(cluster: Cluster, settings: RetrySettings, random: RandomSource) {
    this.cluster = cluster
    this.#settings = settings
    this.#random = random
  }

  get maxRetries(): number {
    return this.#settings.maxRetries
  }

  /** Any broker. */
  async any<A extends Api>(api: A, body: RequestBody<A>): Promise<DecodedResponseOf<A>> {
    await this.cluster.connect()
    return this.cluster.request(api, body)
  }

  /**
   * The controller: brokers with KRaft pass such a request on, older ones do not. `call` tells how long the broker may
   * take.
   */
  async controller<A extends Api>(api: A, body: RequestBody<A>, call: Call): Promise<DecodedResponseOf<A>> {
    await this.cluster.connect()
    const { controllerId } = this.cluster
    const isKnown = this.cluster.brokers().some(({ brokerId }) => brokerId === controllerId)
    return this.cluster.request(api, body, { brokerId: isKnown ? controllerId : undefined, limitMs: call.leftMs() })
  }

  /** `brokerId` unset: any. */
  async broker<A extends Api>(
    brokerId: number | undefined,
    api: A,
    body: RequestBody<A>,
  ): Promise<DecodedResponseOf<A>> {
    await this.cluster.connect()
    return this.cluster.request(api, body, { brokerId })
  }

  /**
   * Asks about items until each has a final answer; an item that is missing in a result went well. `ask` gets those
   * that are open. What never settles ends as RETRY_EXHAUSTED with the last answer as its cause.
   */
  async settle(
    items: readonly string[],
    call: Call,
    failure: ItemFailure,
    ask: (open: readonly string[]) => Promise<ReadonlyMap<string, ItemAnswer>>,
  ): Promise<Map<string, MQError>> {
    const errors = new Map<string, MQError>()
    let open = items
    for (let attempt = 1; open.length > 0; attempt++) {
      const answers = await ask(open)
      for (const item of open) {
        const error = errorOf(item, answers.get(item), failure)
        if (error === null) errors.delete(item)
        else errors.set(item, error)
      }
      open = open.filter((item) => isPassing(answers.get(item)?.errorCode ?? 0))
      if (open.length === 0) break
      if (attempt > this.#settings.maxRetries) {
        for (const item of open) errors.set(item, exhausted(attempt, errors.get(item) as MQError))
        break
      }
      await this.beforeRetry(
        attempt,
        open.some((item) => answers.get(item)?.errorCode === NOT_CONTROLLER),
        call,
      )
    }
    return errors
  }

  /** It said that it is not, or not yet: the next question looks it up again. */
  forgetCoordinator(groupId: string): void {
    for (const { brokerId } of this.cluster.brokers()) this.cluster.forgetCoordinator(groupId, brokerId)
  }

  async beforeRetry(attempt: number, isMetadataOld: boolean, call: Call): Promise<void> {
    const { retryBackoffMs, retryBackoffMaxMs } = this.#settings
    await call.pause(backoffMs(attempt - 1, retryBackoffMs, retryBackoffMaxMs, this.#random))
    if (isMetadataOld) await this.cluster.refresh('the controller has moved')
  }
}

/** A number that goes away by itself, and proves that nothing was done. */
export function isPassing(errorCode: number): boolean {
  const { kind } = kafkaError(errorCode)
  return kind !== 'none' && kind !== 'fatal' && !FINAL.has(errorCode)
}

function errorOf(
  item: string,
  answer: ItemAnswer | undefined,
  { operation, context, needs }: ItemFailure,
): MQError | null {
  const { errorCode, errorMessage = null } = answer ?? { errorCode: 0 }
  if (errorCode === 0) return null
  // Not what was asked for is wrong, but who was asked, or when.
  const code = isPassing(errorCode) || errorCode === UNSUPPORTED_VERSION ? 'CONNECTION_FAILED' : operation
  return brokerError(errorCode, code, errorMessage, context(item), needs)
}

export function exhausted(attempts: number, last: MQError): MQError {
  const text = `given up after ${attempts} attempts: ${last.message}`
  return new MQError('RETRY_EXHAUSTED', text, { ...last.context, attempts }, { cause: last })
}
