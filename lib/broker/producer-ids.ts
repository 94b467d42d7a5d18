/**
 * Hands out producer ids in blocks of 1,000 per broker, as Kafka's controllers do (kafka.md B-14).
 * Invariant: unique within one in-process cluster, also over restarts of its brokers.
 */
const BLOCK_IDS = 1000

export class ProducerIds {
  readonly #blocks = new Map<number, { next: number; end: number }>()
  #nextBlock = 0

  next(brokerId: number): bigint {
    let block = this.#blocks.get(brokerId)
    if (block === undefined || block.next === block.end) {
      block = { next: this.#nextBlock, end: this.#nextBlock + BLOCK_IDS }
      this.#nextBlock += BLOCK_IDS
      this.#blocks.set(brokerId, block)
    }
    return BigInt(block.next++)
  }

  /** A restarted broker takes a new block; the rest of the old one is never used. */
  brokerRestarted(brokerId: number): void {
    this.#blocks.delete(brokerId)
  }
}
