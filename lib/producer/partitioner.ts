/**
 * Which partition a record goes to. Hot path.
 * Explicit, else murmur2 of the key exactly as the Java client, else sticky: a keyless record stays on one partition
 * until that lane seals (or, while it cannot seal, until `batchBytes` were written since the choice), so that
 * batches fill up. An empty key is a key; null is none.
 * Source: KIP-480, KIP-794; kafka.md 3.8.
 */
import { type RandomSource, randomInt } from '../util/index.js'
import { murmur2, partitionOfHash } from './murmur2.js'

/** What a sticky choice weighs: lanes of one topic, index = partition. */
export interface PartitionLoad {
  /** Batches waiting or in flight; a slow partition collects more and is chosen less. */
  queuedBatches(partition: number): number
  /** Leader known and its broker taking bytes. */
  isAvailable(partition: number): boolean
}

const keyScratch = Buffer.allocUnsafeSlow(4096)

/** Partition of a keyed record. */
export function keyedPartition(key: Uint8Array | string, partitionCount: number): number {
  return partitionOfHash(hashOfKey(key), partitionCount)
}

function hashOfKey(key: Uint8Array | string): number {
  if (typeof key !== 'string') return murmur2(key)
  if (key.length * 3 > keyScratch.length) return murmur2(Buffer.from(key))
  return murmur2(keyScratch, 0, keyScratch.write(key, 0, 'utf8'))
}

/**
 * The sticky choice of one topic. Choices go in shuffled rounds: every available partition once a round, so that equal
 * partitions get equal shares (P-16); one with a longer queue is passed over with the probability of its excess (P-17).
 */
export class StickyPartition {
  readonly #load: PartitionLoad
  readonly #random: RandomSource
  #current = -1
  #bytesSinceChoice = 0
  #round: number[] = []
  #roundAt = 0
  #longest = 0
  #shortest = 0

  constructor(load: PartitionLoad, random: RandomSource) {
    this.#load = load
    this.#random = random
  }

  /** The partition for a keyless record; stays until `moveOn`. */
  pick(partitionCount: number): number {
    if (this.#current < 0 || this.#current >= partitionCount) {
      this.#bytesSinceChoice = 0
      this.#current = this.#choose(partitionCount)
    }
    return this.#current
  }

  /** Counts bytes of keyless records; past `limit` without a seal the choice ends. */
  wrote(bytes: number, limit: number): void {
    this.#bytesSinceChoice += bytes
    if (this.#bytesSinceChoice >= limit) this.#current = -1
  }

  /** Ends the choice if it is this partition: its lane sealed or lost its leader. */
  moveOn(partition: number): void {
    if (this.#current === partition) this.#current = -1
  }

  #choose(partitionCount: number): number {
    let fallback = -1
    for (let tries = 2 * partitionCount; tries > 0; tries--) {
      if (this.#roundAt >= this.#round.length || this.#round.length !== partitionCount) this.#startRound(partitionCount)
      const partition = this.#round[this.#roundAt++] as number
      if (!this.#load.isAvailable(partition)) continue
      fallback = partition
      const span = this.#longest + 1 - this.#shortest
      const room = Math.max(0, this.#longest + 1 - this.#load.queuedBatches(partition))
      if (room >= span || this.#random.next() * span < room) return partition
    }
    return fallback >= 0 ? fallback : randomInt(this.#random, partitionCount)
  }

  /** Shuffles the partitions and weighs their queues, once per round instead of once per choice. */
  #startRound(partitionCount: number): void {
    const round = Array.from({ length: partitionCount }, (_, partition) => partition)
    this.#longest = 0
    this.#shortest = Number.MAX_SAFE_INTEGER
    for (let at = partitionCount - 1; at >= 0; at--) {
      const other = randomInt(this.#random, at + 1)
      const partition = round[other] as number
      round[other] = round[at] as number
      round[at] = partition
      if (!this.#load.isAvailable(partition)) continue
      const queued = this.#load.queuedBatches(partition)
      this.#longest = Math.max(this.#longest, queued)
      this.#shortest = Math.min(this.#shortest, queued)
    }
    this.#shortest = Math.min(this.#shortest, this.#longest)
    this.#round = round
    this.#roundAt = 0
  }
}
