/**
 * Named checks, asked side by side, with one answer that names those that failed.
 * Why each has a limit of its own: one check that hangs must neither hide the others nor keep the answer back (trap 24).
 * Invariant: a check runs once at a time; who asks while it runs waits for that run, so a check that hangs for good
 * occupies one promise however often somebody asks. Source: features.md ME-5.
 */
import { MQError } from '../errors/index.js'
import { type Clock, systemClock } from '../util/index.js'

/**
 * Healthy unless it throws, rejects, gives `false` (or a promise of it), or takes longer than the limit. `signal` is
 * aborted at the limit.
 */
export type HealthCheck = (signal: AbortSignal) => unknown

export interface CheckResult {
  readonly healthy: boolean
  /** Why not; code and text of an MQError, the text of any other error. */
  readonly error?: string
  /** Milliseconds. */
  readonly durationMs: number
}

export interface HealthReport {
  /** True when every check is healthy; also without any check. */
  readonly overall: boolean
  readonly checks: Readonly<Record<string, CheckResult>>
  /** Wall time at the end, ms since 1970. */
  readonly timestamp: number
}

export interface HealthChecksOptions {
  /** Limit of each check. Milliseconds, default 5000 (`monitoring.healthTimeoutMs`). */
  readonly timeoutMs?: number
  readonly clock?: Clock
  /** Learns why checks fail, each time. */
  readonly failed?: (error: unknown) => void
}

interface Entry {
  readonly check: HealthCheck
  /** The run that has not ended yet. */
  running: Promise<void> | null
}

const DEFAULT_TIMEOUT_MS = 5_000

export class HealthChecks {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #failed: (error: unknown) => void
  readonly #entries = new Map<string, Entry>()
  readonly #waits = new Set<(reason: MQError) => void>()
  #isClosed = false

  constructor(options: HealthChecksOptions = {}) {
    this.#clock = options.clock ?? systemClock
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
    this.#failed = options.failed ?? (() => {})
  }

  /**
   * Adds a check. INVALID_CONFIG for an empty name, a name that is taken (replacing a check in silence would hide what
   * it watched: unregister it first), or something that is not a function.
   */
  register(name: string, check: HealthCheck): void {
    const problem = this.#problemOf(name, check)
    if (problem !== null) throw new MQError('INVALID_CONFIG', problem, { name })
    this.#entries.set(name, { check, running: null })
  }

  /** Takes a check away; true if there was one. A run under way ends unheard. */
  unregister(name: string): boolean {
    return this.#entries.delete(name)
  }

  names(): string[] {
    return [...this.#entries.keys()]
  }

  /** Runs all checks in parallel. Never rejects; ends at the latest when the limit of a check has passed. */
  async run(): Promise<HealthReport> {
    const named = [...this.#entries].map(async ([name, entry]) => [name, await this.#ask(name, entry)] as const)
    const checks = Object.fromEntries(await Promise.all(named))
    const overall = Object.values(checks).every(({ healthy }) => healthy)
    return { overall, checks, timestamp: this.#clock.now() }
  }

  /** Ends the waits that are under way: their checks are unhealthy, and so are all from now on. No timer remains. */
  close(): void {
    this.#isClosed = true
    for (const end of this.#waits) end(new MQError('CONNECTION_CLOSED', 'closed while the check ran'))
  }

  async #ask(name: string, entry: Entry): Promise<CheckResult> {
    if (this.#isClosed) return { healthy: false, error: textOf(closed()), durationMs: 0 }
    const fromMs = this.#clock.monotonicMs()
    const limit = new AbortController()
    const isNew = entry.running === null
    entry.running ??= invoke(entry, limit.signal)
    try {
      await this.#within(name, entry.running, isNew)
      return { healthy: true, durationMs: this.#clock.monotonicMs() - fromMs }
    } catch (error) {
      limit.abort(error)
      this.#failed(error)
      return { healthy: false, error: textOf(error), durationMs: this.#clock.monotonicMs() - fromMs }
    }
  }

  #within(name: string, run: Promise<void>, isNew: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const since = isNew ? '' : ' (it runs since an earlier question)'
      const text = `the check ${name} did not end within ${this.#timeoutMs} ms${since}`
      const timer = this.#clock.setTimer(() => end(new MQError('TIMEOUT', text, { name })), this.#timeoutMs)
      const end = (reason: unknown) => {
        timer.cancel()
        this.#waits.delete(end)
        if (reason === null) resolve()
        else reject(reason)
      }
      this.#waits.add(end)
      run.then(() => end(null), end)
    })
  }

  #problemOf(name: string, check: HealthCheck): string | null {
    if (typeof name !== 'string' || name === '') return 'expected a name for the check'
    if (typeof check !== 'function') return `expected a function for the check ${name}`
    if (this.#entries.has(name)) return `there is a check ${name} already: unregister it first, or take another name`
    return null
  }
}

/** Notes the end of the run before anybody is told of it, so that the next question starts a new one. */
async function invoke(entry: Entry, signal: AbortSignal): Promise<void> {
  await Promise.resolve() // The run is noted before it can end.
  try {
    if ((await entry.check(signal)) === false) {
      throw new MQError('CONNECTION_FAILED', 'the check said false', {}, { retryable: false })
    }
  } finally {
    entry.running = null
  }
}

function closed(): MQError {
  return new MQError('CONNECTION_CLOSED', 'closed: nothing is checked any more')
}

function textOf(error: unknown): string {
  if (error instanceof MQError) return `[${error.code}] ${error.message}`
  return error instanceof Error ? error.message : String(error)
}
