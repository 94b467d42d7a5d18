/**
 * The sign of life of a classic member, and the clock of its session.
 * Why a timer of its own: a handler that runs ten minutes, or a revocation that waits for it, must not cost the
 * membership; only silence may. And when the coordinator cannot be reached, nobody tells us that the session is over: we
 * have to know it ourselves, before the group gives our partitions to somebody else.
 * Invariant: one heartbeat outstanding at most; none, and no session clock, while a join or a sync is (the coordinator
 * then waits for us or we for it). The session counts from when the last answered heartbeat was SENT: the coordinator
 * counts from later. Source: kafka.md 5.5.
 */
import type { ResolvedConsumerConfig } from '../../../config/index.js'
import { type MQError, toMQError } from '../../../errors/index.js'
import { backoffMs, type Clock, type RandomSource, type TimerHandle } from '../../../util/index.js'
import { isHopeless, judgeMember } from './verdicts.js'

export interface HeartbeatParts {
  readonly config: ResolvedConsumerConfig
  readonly clock: Clock
  readonly random: RandomSource
  /** Asks; the answer's error number. */
  readonly ask: (deadlineMs: number) => Promise<number>
  /** 27. */
  readonly onRebalance: () => void
  /** Anything that is neither fine nor mends itself. */
  readonly onRefused: (errorNumber: number) => void
  readonly onHopeless: (error: MQError) => void
  /** No contact within the session time-out. */
  readonly onExpired: (silentMs: number) => void
  /** So many heartbeats in a row have failed. */
  readonly onTrouble: (failures: number, error: MQError | null) => void
}

/** Of the session time, so many heartbeats fit into it. */
const BEATS_PER_SESSION = 3
/** Failures in a row that a person is told about. */
const TROUBLE = 5

export class Heartbeats {
  readonly #parts: HeartbeatParts
  #contactMs = 0
  #calmMs = 0
  #isBeating = false
  #turn = 0 // answers of an older turn interest nobody
  #isOutstanding = false
  #isPoked = false
  #failures = 0 // in a row
  #next: TimerHandle | null = null
  #session: TimerHandle | null = null

  constructor(parts: HeartbeatParts) {
    this.#parts = parts
  }

  /** When we last knew that no rebalance was under way. Monotonic. */
  get calmMs(): number {
    return this.#calmMs
  }

  /** A generation has begun for us: its assignment has just arrived. */
  start(): void {
    this.#silence()
    this.#contactMs = this.#now
    this.#calmMs = this.#now
    this.#failures = 0
    this.#isBeating = true
    this.#watchSession()
    this.#plan(this.#parts.config.heartbeatIntervalMs)
  }

  /** A join or sync goes out. */
  suspend(): void {
    this.#silence()
  }

  /** The join or sync has failed and is tried again: what we hold is ours only as long as the session lasts. */
  resumeSession(): void {
    this.#watchSession()
  }

  /** The join was answered: the coordinator counts from here. */
  touch(): void {
    this.#contactMs = this.#now
  }

  /** Not a member any more. */
  stop(): void {
    this.#silence()
  }

  /** As the timer of the session does, which may be due and not have rung: the loop was blocked, the process stopped. */
  checkSession(nowMs: number): void {
    const silentMs = nowMs - this.#contactMs
    if (this.#session === null || silentMs < this.#parts.config.sessionTimeoutMs) return
    this.#session.cancel()
    this.#session = null
    this.#parts.onExpired(silentMs)
  }

  /** Somebody was told that we are not what we think: the coordinator shall say it about the present generation. */
  poke(): void {
    if (!this.#isBeating) return
    this.#isPoked = this.#isOutstanding
    if (!this.#isOutstanding) this.#plan(0)
  }

  get #now(): number {
    return this.#parts.clock.monotonicMs()
  }

  #silence(): void {
    this.#turn++
    this.#isBeating = false
    this.#isOutstanding = false
    this.#isPoked = false
    this.#next?.cancel()
    this.#next = null
    this.#session?.cancel()
    this.#session = null
  }

  #plan(waitMs: number): void {
    this.#next?.cancel()
    this.#next = this.#parts.clock.setTimer(() => {
      this.#next = null
      void this.#beat()
    }, waitMs)
  }

  /** Never rejects. */
  async #beat(): Promise<void> {
    const turn = this.#turn
    const sentMs = this.#now
    this.#isOutstanding = true
    let error: MQError | null = null
    let errorNumber = 0
    try {
      errorNumber = await this.#parts.ask(this.#deadline(sentMs))
    } catch (cause) {
      error = toMQError(cause, 'CONNECTION_FAILED', 'a heartbeat failed here')
    }
    if (turn !== this.#turn) return
    this.#isOutstanding = false
    if (error !== null) this.#failed(error)
    else this.#answered(errorNumber, sentMs)
  }

  /** A coordinator that is silent may be gone: time is left to find another one and to be heard by it. */
  #deadline(sentMs: number): number {
    const { sessionTimeoutMs } = this.#parts.config
    return Math.min(this.#contactMs + sessionTimeoutMs, sentMs + sessionTimeoutMs / BEATS_PER_SESSION)
  }

  #answered(errorNumber: number, sentMs: number): void {
    const verdict = judgeMember(errorNumber)
    if (verdict === 'again' || verdict === 'elsewhere') return this.#repeat(null)
    if (verdict !== 'ok' && verdict !== 'rejoin') return this.#parts.onRefused(errorNumber)
    this.#contactMs = sentMs
    this.#failures = 0
    this.#plan(this.#isPoked ? 0 : Math.max(0, sentMs + this.#parts.config.heartbeatIntervalMs - this.#now))
    this.#isPoked = false
    if (verdict === 'ok') this.#calmMs = sentMs
    else this.#parts.onRebalance()
  }

  #failed(error: MQError): void {
    if (isHopeless(error)) this.#parts.onHopeless(error)
    else this.#repeat(error)
  }

  /** Sooner than the interval: what is left of the session is all the time there is. */
  #repeat(error: MQError | null): void {
    const { config, random } = this.#parts
    const { retryBackoffMs, retryBackoffMaxMs } = config.connection
    const maxMs = Math.min(retryBackoffMaxMs, config.heartbeatIntervalMs)
    this.#plan(backoffMs(this.#failures++, retryBackoffMs, maxMs, random))
    if (this.#failures % TROUBLE === 0) this.#parts.onTrouble(this.#failures, error)
  }

  #watchSession(): void {
    this.#session?.cancel()
    const leftMs = this.#contactMs + this.#parts.config.sessionTimeoutMs - this.#now
    this.#session = this.#parts.clock.setTimer(
      () => {
        this.#session = null
        const silentMs = this.#now - this.#contactMs
        if (silentMs < this.#parts.config.sessionTimeoutMs) this.#watchSession()
        else this.#parts.onExpired(silentMs)
      },
      Math.max(0, leftMs),
    )
  }
}
