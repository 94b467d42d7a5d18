/**
 * Connects and finds topics within one limit: what `assign` and `subscribe` begin with.
 * A first connection that fails is tried again by the next call.
 */
import { MQError } from '../errors/index.js'
import type { Clock } from '../util/index.js'
import { checkTimeout, type Wish } from './assignment.js'
import type { ConsumerCluster, TopicInfo } from './ports.js'

const DEFAULT_TIMEOUT_MS = 60_000

/** A limit that several steps share. */
export interface Until {
  readonly timeoutMs: number
  /** On the monotonic clock. */
  readonly deadlineMs: number
  leftMs(): number
}

export class TopicLookup {
  readonly #cluster: ConsumerCluster
  readonly #clock: Clock
  readonly #brokers: number
  #connected: Promise<void> | null = null

  constructor(cluster: ConsumerCluster, clock: Clock, brokers: number) {
    this.#cluster = cluster
    this.#clock = clock
    this.#brokers = brokers
  }

  /** Throws INVALID_CONFIG for what is no time-out. */
  until(timeoutMs = DEFAULT_TIMEOUT_MS): Until {
    checkTimeout(timeoutMs)
    const deadlineMs = this.#clock.monotonicMs() + timeoutMs
    return { timeoutMs, deadlineMs, leftMs: () => Math.max(0, Math.ceil(deadlineMs - this.#clock.monotonicMs())) }
  }

  /** Each topic by its name. Rejects with TOPIC_NOT_FOUND, INVALID_TOPIC, AUTHORIZATION_FAILED, TIMEOUT. */
  async find(names: readonly string[], until: Until): Promise<Map<string, TopicInfo>> {
    await this.connect(until)
    const timeoutMs = until.leftMs()
    const waiting = names.map(async (name) => {
      this.#cluster.useTopic(name)
      return [name, await this.#cluster.waitForTopic(name, { timeoutMs, allowAutoCreate: false })] as const
    })
    return new Map(await Promise.all(waiting))
  }

  /** As `find` for wishes; a topic with too few partitions is asked for once more, because it may have grown since. */
  async findFor(wishes: readonly Wish[], until: Until): Promise<Map<string, TopicInfo>> {
    const names = [...new Set(wishes.map(({ topic }) => topic))]
    const topics = await this.find(names, until)
    const isKnown = ({ topic, partition }: Wish) => partition < (topics.get(topic) as TopicInfo).partitions.length
    if (wishes.every(isKnown)) return topics
    const text = `metadata did not come within ${until.timeoutMs} ms`
    const late = () => new MQError('TIMEOUT', text, { timeoutMs: until.timeoutMs })
    await this.within(this.#cluster.refresh('a partition is asked for that is not known'), until, late)
    return this.find(names, until)
  }

  connect(until: Until): Promise<void> {
    this.#connected ??= this.#connect()
    const text = `no broker of ${this.#brokers} could be reached within ${until.timeoutMs} ms`
    return this.within(this.#connected, until, () => new MQError('TIMEOUT', text, { timeoutMs: until.timeoutMs }))
  }

  /** The promise, or that error at the deadline; what it waits for goes on. */
  within<T>(promise: Promise<T>, until: Until, late: () => MQError): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(() => reject(late()), until.leftMs())
      promise.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  #connect(): Promise<void> {
    const connected = this.#cluster.connect()
    connected.catch(() => {
      this.#connected = null // The next call tries again.
    })
    return connected
  }
}
