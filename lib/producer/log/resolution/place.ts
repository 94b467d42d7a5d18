/**
 * Where the batches of one stream go: the leader of its topic-partition, and the wait for one.
 * Why the topic id is compared at every look: what was meant for a topic that was deleted is never written into its
 * namesake (P-41, E6).
 * Invariant: a slot is held whenever the stream does anything but wait.
 */
import { toMQError } from '../../../errors/index.js'
import { ZERO_UUID } from '../../../protocol/index.js'
import { backoffMs } from '../../../util/index.js'
import type { StreamFacts } from '../../../wal/index.js'
import type { AskedPlace } from '../../broker-memory.js'
import { Interruption } from './interruption.js'
import type { Slots } from './slots.js'
import type { ResolutionParts } from './types.js'

/** First and longest wait before the same is tried again. Milliseconds. */
const RETRY_MS = 100
const RETRY_MAX_MS = 1000

export interface Leader {
  readonly brokerId: number
  /** -1: the cluster does not tell. */
  readonly epoch: number
}

export class Place {
  readonly #stream: StreamFacts
  readonly #parts: ResolutionParts
  readonly #slots: Slots
  readonly #isStopped: () => boolean
  #failures = 0 // in a row
  /** What it waits for; '' = it does not. */
  waitsFor = ''
  /** Topic ids are not compared: it was decided that the records go to whatever has the name now. */
  isRetargeted = false

  constructor(stream: StreamFacts, parts: ResolutionParts, slots: Slots, isStopped: () => boolean) {
    this.#stream = stream
    this.#parts = parts
    this.#slots = slots
    this.#isStopped = isStopped
  }

  /** Id for requests: that of the log, and the present one where the log has none. */
  get topicId(): string {
    const present = this.#parts.cluster.topic(this.#stream.topic)?.topicId ?? ZERO_UUID
    return this.#stream.topicId === '' || present === ZERO_UUID ? present : this.#stream.topicId
  }

  at(leader: Leader): AskedPlace {
    const { topic, partition } = this.#stream
    return { topic, topicId: this.topicId, partition, leaderId: leader.brokerId }
  }

  /** The partition is led by somebody else now, as far as is known without asking. */
  hasLeft({ brokerId, epoch }: Leader): boolean {
    const known = this.#parts.cluster.topic(this.#stream.topic)?.partitions[this.#stream.partition]
    return known !== undefined && (known.leaderId !== brokerId || known.leaderEpoch !== epoch)
  }

  /** After the end nothing more is settled: the log may be closed. */
  goOn(): void {
    if (this.#isStopped()) throw new Interruption('stopped')
  }

  /** Waits until the partition has a leader. */
  async leader(): Promise<Leader> {
    const { topic: name, partition } = this.#stream
    for (;;) {
      this.goOn()
      const topic = this.#parts.cluster.topic(name)
      const known = topic?.partitions[partition]
      if (topic !== undefined && topic.errorCode === 0) this.#checkId(topic.topicId)
      if (topic?.errorCode === 0 && known !== undefined && known.leaderId >= 0) {
        return { brokerId: known.leaderId, epoch: known.leaderEpoch }
      }
      const why = topic === undefined || topic.errorCode !== 0 ? 'its topic cannot be found' : 'it has no leader'
      await this.backOff(why)
    }
  }

  /** Waits, without a slot, longer each time, then asks for fresh metadata. */
  async backOff(why: string): Promise<void> {
    const { random, cluster } = this.#parts
    await this.wait(backoffMs(this.#failures++, RETRY_MS, RETRY_MAX_MS, random), why)
    try {
      await cluster.refresh(`resolving the log: ${why}`)
    } catch (error) {
      // The next round asks again; meanwhile whoever looks is told why nothing moves.
      this.waitsFor = toMQError(error, 'CONNECTION_FAILED', why).message
    }
  }

  /** The last step succeeded. */
  progressed(): void {
    this.#failures = 0
    this.waitsFor = ''
  }

  async wait(ms: number, why: string): Promise<void> {
    this.waitsFor = why
    await this.withoutSlot(async () => {
      await this.#parts.pauses.wait(ms)
    })
    this.goOn()
  }

  async withoutSlot<T>(task: () => Promise<T>): Promise<T> {
    this.#slots.give()
    try {
      return await task()
    } finally {
      await this.#slots.take()
    }
  }

  #checkId(present: string): void {
    const meant = this.#stream.topicId
    if (this.isRetargeted || meant === '' || meant === ZERO_UUID || present === ZERO_UUID) return
    if (meant !== present) throw new Interruption('otherTopic')
  }
}
