/**
 * How much a full channel may throw away under `onFull: 'dropOldest'`. CH-18.
 * Why a policy: dropping is a decision about somebody's data, so it is named, bounded and counted. It decides only; the
 * channel carries it out, oldest sealed buffers first and whole buffers at a time.
 * Invariant: a policy that says no means the write is refused; nothing is pushed anyway.
 */
import { MQError } from '../errors/index.js'
import { checkOptions, count, milliseconds, type OptionRules, percent } from './options.js'

/** What a policy is asked about. */
export interface EvictStats {
  /** Records and bytes in active and sealed buffers. */
  readonly records: number
  readonly bytes: number
  /** Use of the memory budget, which also counts what is leased. */
  readonly usedBytes: number
  readonly limitBytes: number
  readonly usedRecords: number
  /** Infinity: records are not bounded. */
  readonly limitRecords: number
  /** Time since a reader last took something. */
  readonly idleMs: number
}

export interface EvictPolicy {
  readonly name: string
  shouldEvict(stats: EvictStats): boolean
  /** How many records should go; the channel drops whole buffers until at least so many are gone. */
  evict(stats: EvictStats): number
  metrics(): EvictMetrics
}

export interface EvictMetrics {
  readonly asked: number
  readonly refused: number
  /** Records the policy asked to drop. */
  readonly evictedRecords: number
}

export interface WaterMarkOptions {
  /** The capacity the percents count from. Records, default unset: the fuller of the memory budget's two bounds. */
  readonly maxRecords?: number
  /** Evict from this fill; default 80. */
  readonly highWaterPercent?: number
  /** Evict down to this fill; default 50. */
  readonly lowWaterPercent?: number
  /** Bounds of one eviction. Records, default 1 and unlimited. */
  readonly minEvictRecords?: number
  readonly maxEvictRecords?: number
  /** Evict below the high mark too when nobody has read for so long. Milliseconds, default 0 = never. */
  readonly idleTimeoutMs?: number
}

const RULES: OptionRules = {
  maxRecords: count,
  highWaterPercent: percent,
  lowWaterPercent: percent,
  minEvictRecords: count,
  maxEvictRecords: count,
  idleTimeoutMs: milliseconds,
}

/** The built-in policy: from the high water mark down to the low one. */
export class WaterMarkPolicy implements EvictPolicy {
  readonly name = 'water-mark'
  readonly #maxRecords: number
  readonly #highWaterPercent: number
  readonly #lowWaterPercent: number
  readonly #minEvictRecords: number
  readonly #maxEvictRecords: number
  readonly #idleTimeoutMs: number
  #asked = 0
  #refused = 0
  #evictedRecords = 0

  constructor(options: WaterMarkOptions = {}) {
    checkOptions(options, RULES)
    this.#maxRecords = options.maxRecords ?? 0
    this.#highWaterPercent = options.highWaterPercent ?? 80
    this.#lowWaterPercent = options.lowWaterPercent ?? 50
    this.#minEvictRecords = options.minEvictRecords ?? 1
    this.#maxEvictRecords = options.maxEvictRecords ?? Number.POSITIVE_INFINITY
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 0
    this.#check()
  }

  shouldEvict(stats: EvictStats): boolean {
    this.#asked++
    const isIdle = this.#idleTimeoutMs > 0 && stats.idleMs >= this.#idleTimeoutMs
    const should = stats.records > 0 && (isIdle || this.#fillPercent(stats) >= this.#highWaterPercent)
    if (!should) this.#refused++
    return should
  }

  evict(stats: EvictStats): number {
    const fillPercent = this.#fillPercent(stats)
    const excess = fillPercent === 0 ? 0 : Math.max(0, 1 - this.#lowWaterPercent / fillPercent) * stats.records
    const wanted = Math.min(this.#maxEvictRecords, Math.max(this.#minEvictRecords, Math.ceil(excess)))
    const count = Math.min(stats.records, wanted)
    this.#evictedRecords += count
    return count
  }

  metrics(): EvictMetrics {
    return { asked: this.#asked, refused: this.#refused, evictedRecords: this.#evictedRecords }
  }

  #fillPercent(stats: EvictStats): number {
    if (this.#maxRecords > 0) return (stats.records * 100) / this.#maxRecords
    return Math.max(stats.usedBytes / stats.limitBytes, stats.usedRecords / stats.limitRecords) * 100
  }

  #check(): void {
    const [low, high] = [this.#lowWaterPercent, this.#highWaterPercent]
    const [min, max] = [this.#minEvictRecords, this.#maxEvictRecords]
    if (low >= 0 && low <= high && high <= 100 && min >= 1 && min <= max && this.#idleTimeoutMs >= 0) return
    throw new MQError(
      'INVALID_CONFIG',
      `lowWaterPercent ${low}, highWaterPercent ${high}, minEvictRecords ${min}, maxEvictRecords ${max}: expected 0 <= low <= high <= 100 and 1 <= min <= max`,
      { lowWaterPercent: low, highWaterPercent: high, minEvictRecords: min, maxEvictRecords: max },
    )
  }
}
