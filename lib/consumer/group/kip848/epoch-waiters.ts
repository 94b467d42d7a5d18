/**
 * Callers that wait for the member epoch a heartbeat brings (113 STALE_MEMBER_EPOCH).
 * Invariant: each settles once, at its deadline at the latest, and then holds no timer.
 */
import { MQError } from '../../../errors/index.js'
import { type Clock, type Deferred, deferred } from '../../../util/index.js'

export class EpochWaiters {
  readonly #clock: Clock
  readonly #groupId: string
  readonly #waiting = new Set<Deferred<void>>()

  constructor(clock: Clock, groupId: string) {
    this.#clock = clock
    this.#groupId = groupId
  }

  async wait(deadlineMs: number): Promise<void> {
    const done = deferred<void>()
    const late = () => done.reject(this.#tooLate())
    const timer = this.#clock.setTimer(late, Math.max(0, deadlineMs - this.#clock.monotonicMs()))
    this.#waiting.add(done)
    try {
      await done.promise
    } finally {
      timer.cancel()
      this.#waiting.delete(done)
    }
  }

  resolveAll(): void {
    for (const { resolve } of this.#waiting) resolve()
  }

  rejectAll(reason: MQError): void {
    for (const { reject } of this.#waiting) reject(reason)
  }

  #tooLate(): MQError {
    const text = `no heartbeat brought the member epoch of group ${this.#groupId} in time: its coordinator is silent`
    return new MQError('TIMEOUT', text, { groupId: this.#groupId })
  }
}
