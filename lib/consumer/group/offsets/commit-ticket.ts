/**
 * One call of `commit` and what it waits for; and one value that is to be stored, with everybody who waits for it.
 * Why two: a newer value takes the place of a waiting one, and whoever waited for the older is served by the newer.
 * Invariant: a ticket settles exactly once, when each of its partitions has or at its deadline, and knows of no others.
 */

import type { MQError } from '../../../errors/index.js'
import { type Clock, type Deferred, deferred, type TimerHandle } from '../../../util/index.js'
import type { MemberIdentity } from '../ports.js'
import { commitFailed, type FailedOffset } from './failure.js'
import { keyOf, type OffsetToCommit } from './offsets.js'

export class CommitTicket {
  /** The later of two values for one partition counts. */
  readonly values: ReadonlyMap<string, OffsetToCommit>
  readonly deadlineMs: number
  readonly #open: Map<string, OffsetToCommit>
  readonly #failed: FailedOffset[] = []
  readonly #done: Deferred<void> = deferred()
  #timer: TimerHandle | null = null

  constructor(offsets: readonly OffsetToCommit[], deadlineMs: number) {
    this.values = new Map(offsets.map((value) => [keyOf(value), value]))
    this.#open = new Map(this.values)
    this.deadlineMs = deadlineMs
  }

  get promise(): Promise<void> {
    return this.#done.promise
  }

  get isSettled(): boolean {
    return this.#open.size === 0
  }

  /** `late` is asked at the deadline what has kept us. */
  watch(clock: Clock, late: () => MQError): void {
    const delayMs = Math.max(0, this.deadlineMs - clock.monotonicMs())
    if (delayMs !== Number.POSITIVE_INFINITY) this.#timer = clock.setTimer(() => this.fail(late()), delayMs)
  }

  /** One of its partitions is stored (null), or has failed. */
  settle(key: string, cause: MQError | null): void {
    const value = this.#open.get(key)
    if (value === undefined) return
    this.#open.delete(key)
    if (cause !== null) this.#failed.push({ value, cause })
    if (this.#open.size === 0) this.#finish()
  }

  /** All of its partitions that are still open. */
  fail(cause: MQError): void {
    for (const key of [...this.#open.keys()]) this.settle(key, cause)
  }

  /** The consumer is closed: nothing is said about single partitions. */
  abort(reason: MQError): void {
    if (this.isSettled) return
    this.#open.clear()
    this.#timer?.cancel()
    this.#done.reject(reason)
  }

  #finish(): void {
    this.#timer?.cancel()
    if (this.#failed.length === 0) this.#done.resolve()
    else this.#done.reject(commitFailed(this.#failed))
  }
}

/** A value on its way to the coordinator. */
export class PendingOffset {
  readonly key: string
  readonly value: OffsetToCommit
  /** In whose name it was committed. */
  readonly identity: MemberIdentity
  readonly tickets: CommitTicket[] = []
  /** Why it is not stored yet. */
  lastError: MQError | null = null
  /** Refused because of a rebalance: it may be repeated within its generation, and no longer (C-32). */
  isBound = false
  /** Its partition is not ours any more: what is on its way may arrive, nothing is repeated. */
  isForgotten = false

  constructor(key: string, value: OffsetToCommit, identity: MemberIdentity) {
    this.key = key
    this.value = value
    this.identity = identity
  }

  /** Somebody still waits for it. */
  get isWanted(): boolean {
    return this.tickets.some((ticket) => !ticket.isSettled)
  }

  get deadlineMs(): number {
    return this.tickets.reduce((max, ticket) => (ticket.isSettled ? max : Math.max(max, ticket.deadlineMs)), 0)
  }

  settle(cause: MQError | null): void {
    for (const ticket of this.tickets) ticket.settle(this.key, cause)
  }
}
