/**
 * Lists all topics from time to time: what patterns are matched with.
 * Why a question of its own: ordinary metadata asks for topics in use only, and a pattern speaks of those that are not.
 * Invariant: the timer runs only between `start` and `stop`; a listing that fails is repeated at the next turn.
 * Source: features.md CO-5, kafka.md K-24.
 */
import { Metadata } from '../../protocol/index.js'
import type { Clock, TimerHandle } from '../../util/index.js'
import type { ConsumerCluster } from '../ports.js'

/** A listing that failed is tried again so soon, or after the ordinary time if that is shorter. Milliseconds. */
const RETRY_MS = 5_000

export interface PatternWatchParts {
  readonly cluster: ConsumerCluster
  readonly clock: Clock
  readonly intervalMs: number
  readonly saw: (names: readonly string[]) => void
  readonly failed: (error: unknown) => void
}

export class PatternWatch {
  readonly #parts: PatternWatchParts
  #timer: TimerHandle | null = null
  #isOn = false

  constructor(parts: PatternWatchParts) {
    this.#parts = parts
  }

  /** Gives the first listing. Rejects when that fails; the next ones follow all the same, and go to `saw`. */
  start(deadlineMs: number): Promise<readonly string[]> {
    this.#isOn = true
    this.#timer?.cancel()
    return this.#list(deadlineMs)
  }

  stop(): void {
    this.#isOn = false
    this.#timer?.cancel()
    this.#timer = null
  }

  async #list(deadlineMs: number): Promise<readonly string[]> {
    const { cluster, intervalMs } = this.#parts
    let nextMs = Math.min(RETRY_MS, intervalMs)
    try {
      const body = { topics: null, allowAutoTopicCreation: false }
      const { topics } = await cluster.request(Metadata, body, { deadlineMs })
      nextMs = intervalMs
      const names = (topics ?? []).filter(({ errorCode, isInternal }) => errorCode === 0 && isInternal !== true)
      return names.map(({ name }) => name ?? '').filter((name) => name !== '')
    } finally {
      this.#again(nextMs)
    }
  }

  #again(delayMs: number): void {
    if (!this.#isOn) return
    this.#timer?.cancel()
    this.#timer = this.#parts.clock.setTimer(() => {
      this.#timer = null
      void this.#look()
    }, delayMs)
  }

  async #look(): Promise<void> {
    const { clock, saw, failed } = this.#parts
    try {
      const names = await this.#list(clock.monotonicMs() + RETRY_MS)
      if (this.#isOn) saw(names)
    } catch (error) {
      if (this.#isOn) failed(error)
    }
  }
}
