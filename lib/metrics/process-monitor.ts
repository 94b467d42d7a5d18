/**
 * Looks at the process and its machine at intervals: processor, memory, disks, network, heap, event loop.
 * Why off by default: most services have an agent for it. A figure that the platform cannot give is absent, never zero.
 * Invariant: one look at a time (a dead network disk holds back the next look, it does not pile up); after `close` no
 * timer, no event-loop histogram and nothing told. Source: features.md ME-7, part 5.
 */
import { type Clock, Emitter, type Logger, silentLogger, systemClock, type TimerHandle } from '../util/index.js'
import type { ProcessMeasures } from './process-measures.js'
import { type ProcessProbe, systemProbe } from './process-probe.js'

export interface ProcessMonitorOptions {
  /** Milliseconds, default 5000 (`metrics.processIntervalMs`). */
  readonly intervalMs?: number
  readonly clock?: Clock
  /** Gets a line per look; the default logger writes it to the console. */
  readonly logger?: Logger
  readonly probe?: ProcessProbe
}

interface ProcessEvents {
  measures: ProcessMeasures
}

const DEFAULT_INTERVAL_MS = 5_000

export class ProcessMonitor {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #probe: ProcessProbe
  readonly #intervalMs: number
  readonly #events: Emitter<ProcessEvents>
  #timer: TimerHandle | null = null
  #isRunning = false
  #isLooking = false
  #measures: ProcessMeasures = {}

  constructor(options: ProcessMonitorOptions = {}) {
    this.#clock = options.clock ?? systemClock
    this.#logger = options.logger ?? silentLogger
    this.#probe = options.probe ?? systemProbe()
    this.#intervalMs = options.intervalMs ?? DEFAULT_INTERVAL_MS
    this.#events = new Emitter((error) => this.#logger.error('an observer threw', { error: String(error) }))
  }

  /** Of the last look; without any value before the first and after `close`. */
  measures(): ProcessMeasures {
    return this.#measures
  }

  /** Calls at each look; returns the function that ends it. */
  observe(observer: (measures: ProcessMeasures) => void): () => void {
    return this.#events.on('measures', observer)
  }

  /** The first look comes one interval later. Harmless when it runs. */
  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#probe.start()
    this.#arm()
  }

  close(): void {
    if (!this.#isRunning) return
    this.#isRunning = false
    this.#timer?.cancel()
    this.#timer = null
    this.#measures = {}
    this.#probe.stop()
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(() => {
      this.#arm()
      if (!this.#isLooking) void this.#look()
    }, this.#intervalMs)
  }

  async #look(): Promise<void> {
    this.#isLooking = true
    try {
      const measures = await this.#probe.look()
      if (this.#isRunning) this.#tell(measures)
    } catch (error) {
      this.#logger.error('the process could not be looked at', { error: String(error) })
    } finally {
      this.#isLooking = false
    }
  }

  #tell(measures: ProcessMeasures): void {
    this.#measures = measures
    this.#logger.info('process', lineOf(measures))
    this.#events.emit('measures', measures)
  }
}

function lineOf({ disks = [], ...values }: ProcessMeasures): Record<string, number> {
  const named = [...Object.entries(values), ...disks.map((one) => [`disk ${one.mountpoint}`, one.usedPercent] as const)]
  return Object.fromEntries(
    named.flatMap(([name, value]) => (value === undefined ? [] : [[name, Math.round(value * 1_000) / 1_000]])),
  )
}
