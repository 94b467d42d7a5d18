/**
 * Which transactional batches of one answer belong to aborted transactions (read_committed).
 * Batches must be asked in offset order: entries whose first offset has been reached make their producer aborted until
 * its ABORT marker. Source: kafka.md 5.3.
 */
import type { BatchHeader } from '../../protocol/index.js'
import { MinHeap } from '../../util/index.js'

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

export class AbortedTransactions {
  readonly #coming = new MinHeap<AbortedTransaction>((a, b) => a.firstOffset - b.firstOffset)
  readonly #aborted = new Set<bigint>()

  constructor(transactions: readonly AbortedTransaction[]) {
    for (const transaction of transactions) this.#coming.push(transaction)
  }

  /** True if the batch must not be delivered. */
  covers(batch: BatchHeader): boolean {
    this.#advance(batch.nextOffset - 1)
    return batch.isTransactional && !batch.isControl && this.#aborted.has(batch.producerId)
  }

  /** An ABORT marker ends the producer's transaction; what it writes after is another one. */
  endOf(batch: BatchHeader): void {
    this.#advance(batch.nextOffset - 1)
    this.#aborted.delete(batch.producerId)
  }

  #advance(lastOffset: number): void {
    for (
      let next = this.#coming.peek();
      next !== undefined && next.firstOffset <= lastOffset;
      next = this.#coming.peek()
    ) {
      this.#aborted.add(next.producerId)
      this.#coming.pop()
    }
  }
}
