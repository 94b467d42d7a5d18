/**
 * Water marks: how full a queue is, who is told, and who waits for it to fall.
 * What is measured its store says: items in memory, or bytes of the log.
 * Invariant: `backpressure` and `drain` alternate; `overflow` comes once until there was room again.
 */
import { WaiterQueue, type WaitOptions } from '../channel/index.js'
import type { QueueSettings } from '../config/index.js'
import { MQError } from '../errors/index.js'

export interface Level {
  readonly used: number
  readonly limit: number
}

export interface LevelListener {
  soft(level: Level): void
  resumed(level: Level): void
  hard(level: Level): void
}

export class Levels {
  /** Units of the store. */
  readonly limit: number
  readonly softAt: number
  readonly resumeAt: number
  readonly hardAt: number
  readonly #listener: LevelListener
  readonly #waiters = new WaiterQueue<void>()
  /** The soft limit was reached and the resume mark not yet again. */
  isAbove = false
  #isFull = false

  constructor(
    limit: number,
    percents: Pick<QueueSettings, 'softPercent' | 'resumePercent' | 'hardPercent'>,
    listener: LevelListener,
  ) {
    const share = (percent: number) => Math.max(1, Math.floor((limit * percent) / 100))
    this.limit = limit
    this.softAt = share(percents.softPercent)
    this.resumeAt = share(percents.resumePercent)
    this.hardAt = share(percents.hardPercent)
    this.#listener = listener
  }

  /** Resolves when the level is below the resume mark. */
  ready(used: number, options: WaitOptions): Promise<void> {
    if (used < this.resumeAt) return Promise.resolve()
    const { timeoutMs } = options
    const error = () => new MQError('TIMEOUT', `the queue did not drain within ${timeoutMs} ms`, { timeoutMs })
    return this.#waiters.add(undefined, options, error).promise
  }

  rose(used: number): void {
    if (this.isAbove || used < this.softAt) return
    this.isAbove = true
    this.#listener.soft({ used, limit: this.limit })
  }

  fell(used: number): void {
    if (used < this.hardAt) this.#isFull = false
    if (used >= this.resumeAt) return
    this.#waiters.wake(this.#waiters.size, undefined)
    if (!this.isAbove) return
    this.isAbove = false
    this.#listener.resumed({ used, limit: this.limit })
  }

  /** Somebody met the hard limit. */
  met(used: number): void {
    if (this.#isFull) return
    this.#isFull = true
    this.#listener.hard({ used, limit: this.limit })
  }

  rejectAll(error: () => MQError): void {
    this.#waiters.rejectAll(error)
  }
}
