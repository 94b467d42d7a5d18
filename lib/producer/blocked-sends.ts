/**
 * Sends that wait for memory (`onFull: 'block'`): first come, first served, and nothing overtakes them.
 * Each waits at most `maxBlockMs`; past it, TIMEOUT/BUFFER_FULL, and nothing of the record was taken.
 */
import type { MemoryBudget } from '../channel/index.js'
import { type MQError, toMQError } from '../errors/index.js'
import { type Clock, Deque, runInBackground } from '../util/index.js'

export interface BlockedSend {
  /** Bytes the record needs at least. */
  readonly bytes: number
  readonly deadlineMs: number // monotonic
  /** Tries again; false: memory is still full. */
  attempt(): boolean
  fail(error: MQError): void
  isAborted(): boolean
}

export class BlockedSends {
  readonly #budget: MemoryBudget
  readonly #clock: Clock
  readonly #queue = new Deque<BlockedSend>()
  #isRunning = false
  /** Time senders spent here, summed. Milliseconds. */
  blockedMs = 0

  constructor(budget: MemoryBudget, clock: Clock) {
    this.#budget = budget
    this.#clock = clock
  }

  get size(): number {
    return this.#queue.size
  }

  add(send: BlockedSend): void {
    this.#queue.pushBack(send)
    if (this.#isRunning) return
    this.#isRunning = true
    runInBackground(
      'blocked sends',
      () => this.#run(),
      () => {},
    )
  }

  failAll(error: MQError): void {
    for (let send = this.#queue.popFront(); send !== undefined; send = this.#queue.popFront()) send.fail(error)
    this.#budget.rejectWaiters(() => error)
  }

  async #run(): Promise<void> {
    const startMs = this.#clock.monotonicMs()
    for (let head = this.#queue.peekFront(); head !== undefined; head = this.#queue.peekFront()) {
      if (head.isAborted()) {
        this.#queue.popFront()
        continue
      }
      const error = await this.#room(head)
      if (this.#queue.peekFront() !== head) continue // Failed while it waited.
      if (error !== null) {
        this.#queue.popFront()
        head.fail(error)
      } else if (head.attempt()) this.#queue.popFront()
    }
    this.#isRunning = false
    this.blockedMs += this.#clock.monotonicMs() - startMs
  }

  /** Waits until there is room for one more arena. We are the only one who waits there, so nobody slips in between. */
  async #room(send: BlockedSend): Promise<MQError | null> {
    try {
      const timeoutMs = Math.max(1, send.deadlineMs - this.#clock.monotonicMs())
      await this.#budget.waitForRoom(send.bytes, { timeoutMs, clock: this.#clock })
      this.#budget.give(send.bytes, 0)
      return null
    } catch (error) {
      return toMQError(error, 'TIMEOUT', 'waiting for buffer memory failed')
    }
  }
}
