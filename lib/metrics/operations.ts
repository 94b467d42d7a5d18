/**
 * The user's own operations: how long they took, how much they moved, how they failed. Source: features.md ME-4.
 * Invariant: names are bounded (trap 14): past `MAX_NAMES` of a kind, what comes is counted under `(other)`, so a name
 * made from an id costs a wrong name and not the process.
 */
import { MQError } from '../errors/index.js'
import { type Clock, Histogram, RateWindow, systemClock } from '../util/index.js'

/** Milliseconds. */
export interface LatencySnapshot {
  readonly count: number
  readonly avgMs: number
  readonly minMs: number
  readonly maxMs: number
  /** Within 6.25 %. */
  readonly p99Ms: number
  /** Wall time, ms since 1970. */
  readonly lastUpdated: number
}

export interface ThroughputSnapshot {
  readonly count: number
  readonly bytes: number
  /** Over the last 10 s. */
  readonly countPerSecond: number
  readonly bytesPerSecond: number
}

export interface ErrorSnapshot {
  readonly count: number
  /** Its text. */
  readonly lastError: string
}

export interface OperationsSnapshot {
  /** By operation. */
  readonly latency: Readonly<Record<string, LatencySnapshot>>
  readonly throughput: Readonly<Record<string, ThroughputSnapshot>>
  /** By `operation:type`. */
  readonly errors: Readonly<Record<string, ErrorSnapshot>>
}

interface Latency {
  readonly histogram: Histogram
  updated: number
}

interface Throughput {
  count: number
  bytes: number
  readonly countRate: RateWindow
  readonly byteRate: RateWindow
}

interface Errors {
  count: number
  last: string
}

/** Names of each kind; a latency takes 5 KB. */
const MAX_NAMES = 500
const OTHER = '(other)'
/** Of a text that is kept. Characters. */
const MAX_TEXT = 1_000

export class Operations {
  readonly #clock: Clock
  readonly #latencies = new Map<string, Latency>()
  readonly #throughputs = new Map<string, Throughput>()
  readonly #errors = new Map<string, Errors>()

  constructor(options: { readonly clock?: Clock } = {}) {
    this.#clock = options.clock ?? systemClock
  }

  /** Throws INVALID_CONFIG unless `ms` is a number of at least 0. */
  recordLatency(operation: string, ms: number): void {
    check(operation, 'milliseconds', ms)
    const entry = entryOf(this.#latencies, operation, () => ({ histogram: new Histogram(), updated: 0 }))
    entry.histogram.record(ms)
    entry.updated = this.#clock.now()
  }

  /** Throws INVALID_CONFIG unless both are numbers of at least 0. */
  recordThroughput(operation: string, count: number, bytes = 0): void {
    check(operation, 'a count', count)
    check(operation, 'bytes', bytes)
    const entry = entryOf(this.#throughputs, operation, () => this.#newThroughput())
    entry.count += count
    entry.bytes += bytes
    entry.countRate.add(count)
    entry.byteRate.add(bytes)
  }

  recordError(operation: string, type: string, error: unknown): void {
    check(operation, 'a count', 1)
    check(type, 'a count', 1)
    const entry = entryOf(this.#errors, `${operation}:${type}`, () => ({ count: 0, last: '' }))
    entry.count++
    entry.last = String(error instanceof Error ? error.message : error).slice(0, MAX_TEXT)
  }

  snapshot(): OperationsSnapshot {
    return {
      latency: mapped(this.#latencies, ({ histogram, updated }) => ({
        count: histogram.count,
        avgMs: histogram.mean,
        minMs: histogram.min,
        maxMs: histogram.max,
        p99Ms: histogram.percentile(0.99),
        lastUpdated: updated,
      })),
      throughput: mapped(this.#throughputs, ({ count, bytes, countRate, byteRate }) => ({
        count,
        bytes,
        countPerSecond: countRate.perSecond(),
        bytesPerSecond: byteRate.perSecond(),
      })),
      errors: mapped(this.#errors, ({ count, last }) => ({ count, lastError: last })),
    }
  }

  /** Forgets everything, the names too. */
  reset(): void {
    this.#latencies.clear()
    this.#throughputs.clear()
    this.#errors.clear()
  }

  #newThroughput(): Throughput {
    return { count: 0, bytes: 0, countRate: new RateWindow(this.#clock), byteRate: new RateWindow(this.#clock) }
  }
}

function entryOf<T>(entries: Map<string, T>, name: string, make: () => T): T {
  // One place is kept for all that come too late.
  const key = entries.has(name) || entries.size < MAX_NAMES - 1 ? name : OTHER
  let entry = entries.get(key)
  if (entry === undefined) {
    entry = make()
    entries.set(key, entry)
  }
  return entry
}

function mapped<T, R>(entries: ReadonlyMap<string, T>, read: (entry: T) => R): Record<string, R> {
  return Object.fromEntries([...entries].map(([name, entry]) => [name, read(entry)]))
}

function check(operation: string, what: string, value: number): void {
  if (typeof operation !== 'string') {
    throw new MQError('INVALID_CONFIG', `operation: expected its name, got a value of type ${typeof operation}`)
  }
  if (Number.isFinite(value) && value >= 0) return
  throw new MQError('INVALID_CONFIG', `${operation}: expected ${what} of at least 0, got ${String(value)}`, {
    operation,
  })
}
