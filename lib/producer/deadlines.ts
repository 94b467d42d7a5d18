/**
 * Looks at waiting lanes now and then: what is older than linger leaves, what is past its delivery deadline ends.
 * Why a sweep and not a timer per batch: deadlines are minutes, batches thousands; a twentieth of the deadline late is
 * early enough. It runs only while some lane has records.
 * Invariant: a batch that is past its deadline ends, unless it is on the wire: then its socket is given up first.
 */
import { MQError } from '../errors/index.js'
import type { Clock, TimerHandle } from '../util/index.js'
import type { Answers } from './answers.js'
import type { Batch } from './batch.js'
import type { Lane } from './lane.js'
import type { ProducerSettings } from './settings.js'

const SWEEP_MAX_MS = 1000
/** A buffer takes in records during this share of the delivery time at most: so much earlier may a record expire. */
const ACTIVE_SHARES = 4

export interface DeadlinesHost {
  readonly clock: Clock
  readonly settings: ProducerSettings
  readonly lanes: Iterable<Lane>
  /** Lanes with records. */
  readonly busyLanes: number
  /** null: no batch is kept for longer than its deadline. */
  readonly log: unknown
}

export class Deadlines {
  readonly #host: DeadlinesHost
  readonly #answers: Pick<Answers, 'isExpired' | 'expire'>
  #timer: TimerHandle | null = null
  #isStopped = false

  constructor(host: DeadlinesHost, answers: Pick<Answers, 'isExpired' | 'expire'>) {
    this.#host = host
    this.#answers = answers
  }

  /** A lane got records. */
  watch(): void {
    if (this.#timer !== null || this.#isStopped) return
    const everyMs = Math.max(5, Math.min(SWEEP_MAX_MS, this.#host.settings.deliveryTimeoutMs / 20))
    this.#timer = this.#host.clock.setTimer(() => {
      this.#timer = null
      for (const lane of this.#host.lanes) this.#look(lane)
      if (this.#host.busyLanes > 0) this.watch()
    }, everyMs)
  }

  /** No timer remains. */
  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#timer = null
  }

  #look(lane: Lane): void {
    if (lane.isIdle || lane.isHeld) return
    const { lingerMs, deliveryTimeoutMs } = this.#host.settings
    // A strategy without a deadline ('size', or a function that never says yes) is still bound by linger (PR-9).
    if (lane.isActiveOlderThan(lingerMs)) lane.leaveSoon()
    // A deadline is that of a batch, from its first record on. One that cannot leave must not take in records for ever
    // and end them all with its oldest: those that come later begin another.
    if (lane.isActiveOlderThan(deliveryTimeoutMs / ACTIVE_SHARES)) lane.sealFull()
    if (this.#host.log !== null) return this.#lookBehindKept(lane)
    for (let head = lane.head; head !== undefined && this.#answers.isExpired(head); head = lane.head) {
      if (!this.#end(lane, head)) return
    }
  }

  /** What is past its deadline; false: nothing behind it may be looked at now. */
  #end(lane: Lane, batch: Batch): boolean {
    if (batch.isInFlight) {
      const text = `a batch for ${lane.topic}-${lane.partition} is past its delivery deadline`
      lane.home?.abort(new MQError('TIMEOUT', text, { topic: lane.topic, partition: lane.partition }))
      return false
    }
    if (lane.isFinishing || (lane.isLogging && !batch.isFinished)) return false
    lane.withdraw(batch)
    this.#answers.expire(lane, batch)
    return !lane.isHeld
  }

  /** What the log keeps goes on without end: its callers are told, and so is the end of what it did not take. */
  #lookBehindKept(lane: Lane): void {
    for (const batch of lane.pendingBatches) {
      if (batch.isTold || !this.#answers.isExpired(batch)) continue
      if (batch.isAccepted) this.#answers.expire(lane, batch)
      else if (!this.#end(lane, batch)) return
    }
  }
}
