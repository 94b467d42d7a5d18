/**
 * How many unacknowledged batches of one partition may be on the wire.
 * Why: a broker without state for a producer id accepts any base sequence, so a second batch that overtakes a
 * bounced first one is stored in its place and the first is lost (KAFKA-15591).
 * Invariant: one until the first acknowledgement by the present leader under the present identity, then at most
 * `maxInFlight`; after a retry one again until the head succeeded (P-22).
 */
import { assert } from '../util/index.js'

/** Batches a broker remembers per partition and producer id (Kafka producer state, since 1.0). */
export const REMEMBERED_BATCHES = 5

export class InFlightWindow {
  #maxInFlight: number // batches
  readonly #isGated: boolean
  #inFlight = 0 // batches
  #brokerId = -1
  #leaderEpoch = -1
  #isOpen = false

  constructor(maxInFlight: number, isGated: boolean) {
    assert(maxInFlight >= 1, 'maxInFlight is at least 1: config checked it')
    this.#maxInFlight = maxInFlight
    this.#isGated = isGated
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get isOpen(): boolean {
    return this.#isOpen || !this.#isGated
  }

  /** Another limit from now on; what is in flight above it stays there, and nothing joins it. */
  resize(maxInFlight: number): void {
    assert(maxInFlight >= 1, 'maxInFlight is at least 1: config checked it')
    this.#maxInFlight = maxInFlight
  }

  /** True if one more batch may leave now. */
  hasRoom(): boolean {
    return this.#inFlight < (this.#isOpen || !this.#isGated ? this.#maxInFlight : 1)
  }

  take(): void {
    assert(this.hasRoom(), 'a batch left although the window was full')
    this.#inFlight++
  }

  /** An attempt ended, however it ended. */
  release(): void {
    this.#inFlight--
    assert(this.#inFlight >= 0, 'more attempts ended than began')
  }

  /** An OK from this leader under the present identity opens the gate. */
  acknowledged(brokerId: number, leaderEpoch: number): void {
    this.#brokerId = brokerId
    this.#leaderEpoch = leaderEpoch
    this.#isOpen = true
  }

  /** A batch is about to leave to this leader: another leader than the one that opened the gate closes it. */
  towards(brokerId: number, leaderEpoch: number): void {
    if (brokerId !== this.#brokerId || leaderEpoch !== this.#leaderEpoch) this.#isOpen = false
  }

  /** New identity, retry, long idleness: one at a time until the next acknowledgement. */
  close(): void {
    this.#isOpen = false
  }
}
