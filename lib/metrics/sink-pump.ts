/**
 * Brings every sample to a sink, one round at a time.
 * Why a limit: a sink is code of the user, and one that throws or hangs must hurt neither the client nor `close()`.
 * Invariants: never rejects; at most one round is under way, and a sink that hangs gets no second one; a streak of
 * failures is told once, and so is its end.
 */
import type { MetricsSink } from '../config/index.js'
import type { Buckets, Clock, Logger } from '../util/index.js'
import type { Family, Sample } from './collector.js'

/** How long a round may take before it counts as failed. */
export const SINK_LIMIT_MS = 5_000

export class SinkPump {
  readonly #sink: MetricsSink
  readonly #clock: Clock
  readonly #logger: Logger
  #running: Promise<void> | null = null
  #isFailing = false

  constructor(sink: MetricsSink, clock: Clock, logger: Logger) {
    this.#sink = sink
    this.#clock = clock
    this.#logger = logger
  }

  /** A round is under way. */
  get isBusy(): boolean {
    return this.#running !== null
  }

  /** Resolves when the sink has taken the round, has failed, or `limitMs` have passed; waits for the round before. */
  async push(collect: () => readonly Family[], limitMs = SINK_LIMIT_MS): Promise<void> {
    while (this.#running !== null) {
      if (!(await this.#isDoneInTime(this.#running, limitMs))) return
    }
    const round = this.#round(collect()).then(() => {
      this.#running = null
    })
    this.#running = round
    await this.#isDoneInTime(round, limitMs)
  }

  async #round(families: readonly Family[]): Promise<void> {
    try {
      for (const { row, name, samples } of families) {
        for (const sample of samples) give(this.#sink, row.type, name, sample)
      }
      await this.#sink.flush()
      if (this.#isFailing) this.#logger.info('the metrics sink works again')
      this.#isFailing = false
    } catch (error) {
      this.#failed(String(error))
    }
  }

  #isDoneInTime(round: Promise<void>, limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(() => {
        this.#failed(`the sink did not end its flush within ${limitMs} ms`)
        resolve(false)
      }, limitMs)
      void round.then(() => {
        timer.cancel()
        resolve(true)
      })
    })
  }

  #failed(error: string): void {
    if (!this.#isFailing) this.#logger.warn('the metrics sink fails; it is asked again at each flush', { error })
    this.#isFailing = true
  }
}

function give(sink: MetricsSink, type: Family['row']['type'], name: string, { labels, value }: Sample): void {
  if (typeof value !== 'number') sink.histogram(name, labels, totalsOf(value))
  else if (type === 'counter') sink.counter(name, labels, value)
  else sink.gauge(name, labels, value)
}

function totalsOf({ bounds, counts, sum, count }: Buckets) {
  return { bounds, counts: [...counts], sum, count }
}
