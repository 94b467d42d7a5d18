/**
 * Tells callers what became of their records, after our own state is settled and never inside it.
 * Invariant: each caller is told once, in partition order; one that throws hurts no other (P-52, P-53).
 */
import type { MQError } from '../errors/index.js'
import type { Batch, Outcome, SendCallback, SettleToken } from './batch.js'

/** What delivery needs of a settled batch; the batch itself is spent by then. */
export interface Delivery {
  readonly topic: string
  readonly partition: number
  readonly batch: Batch
  readonly outcome: Outcome
}

export interface DeliveryEvents {
  /** Records failed, whether somebody waits for them or not. */
  failed(error: MQError): void
  /** A caller's callback threw, or the promise it gave was rejected. */
  threw(error: unknown, topic: string): void
}

export class Deliveries {
  readonly #events: DeliveryEvents
  #queue: Delivery[] = []
  #isScheduled = false

  constructor(events: DeliveryEvents) {
    this.#events = events
  }

  add(delivery: Delivery): void {
    const { batch } = delivery
    if (batch.waiters === null && batch.tokens === null && errorOf(delivery) === null) return
    this.#queue.push(delivery)
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => this.#run())
  }

  #run(): void {
    this.#isScheduled = false
    const queue = this.#queue
    this.#queue = []
    for (const delivery of queue) {
      const error = errorOf(delivery)
      if (error !== null) this.#events.failed(error)
      this.#tellWaiters(delivery)
      tellTokens(delivery.batch.tokens)
    }
  }

  #tellWaiters({ topic, partition, batch, outcome }: Delivery): void {
    const { waiters, waiterRecords, waiterTimestamps, waiterErrors } = batch
    if (waiters === null || waiterRecords === null || waiterTimestamps === null) return
    for (let at = 0; at < waiters.length; at++) {
      const record = waiterRecords[at] as number
      const error: MQError | null = waiterErrors?.get(at) ?? outcome.error
      const waiter = waiters[at] as SendCallback
      try {
        let result: unknown
        if (error !== null) result = waiter(error, null)
        else {
          const offset = outcome.baseOffset < 0 ? -1 : outcome.baseOffset + record
          const timestamp = outcome.logAppendTimeMs >= 0 ? outcome.logAppendTimeMs : (waiterTimestamps[at] as number)
          result = waiter(null, { topic, partition, offset, timestamp })
        }
        if (result !== undefined) hearRejection(result, (thrown) => this.#events.threw(thrown, topic))
      } catch (thrown) {
        this.#events.threw(thrown, topic)
      }
    }
  }
}

/** What an async callback rejects with: nobody awaits it, and an unhandled rejection would end the process. */
export function hearRejection(result: unknown, threw: (thrown: unknown) => void): void {
  if (result instanceof Promise) result.catch(threw)
}

/** Why the batch failed, or the first of its records that did. */
function errorOf({ batch, outcome }: Delivery): MQError | null {
  return outcome.error ?? batch.refusal
}

function tellTokens(tokens: readonly SettleToken[] | null): void {
  if (tokens === null) return
  for (const token of tokens) if (--token.left === 0) token.done()
}
