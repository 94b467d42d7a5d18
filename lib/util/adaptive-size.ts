/**
 * A batch size that follows a target latency. PR-10, QU-4.
 * The latency is smoothed (nine tenths of what was, one tenth of what came); above 1.1 times the target the size falls
 * by a tenth, below 0.9 times it rises by a tenth, between them it stays.
 * Invariant: `min <= size <= max`, a whole number; a step is never 0, so no size is too small to leave.
 */
import { assert } from './assert.js'

const KEPT = 0.9
const STEP = 0.1
const TOO_SLOW = 1.1
const FAST = 0.9

export interface AdaptiveSizeOptions {
  /** Bytes, or items. */
  readonly min: number
  readonly max: number
  readonly start: number
  readonly targetLatencyMs: number
}

export class AdaptiveSize {
  readonly #min: number
  readonly #max: number
  readonly #targetLatencyMs: number
  #size: number
  #latencyMs = -1 // smoothed; -1 before the first

  constructor({ min, max, start, targetLatencyMs }: AdaptiveSizeOptions) {
    assert(min >= 1 && min <= max && targetLatencyMs > 0, 'config checked bounds and target')
    this.#min = Math.ceil(min)
    this.#max = Math.max(this.#min, Math.floor(max))
    this.#targetLatencyMs = targetLatencyMs
    this.#size = this.#within(Math.round(start))
  }

  get size(): number {
    return this.#size
  }

  /** Smoothed; 0 before the first. Milliseconds. */
  get latencyMs(): number {
    return Math.max(0, this.#latencyMs)
  }

  /** A batch took so long. True when the size changed. */
  observe(latencyMs: number): boolean {
    const before = this.#size
    this.#latencyMs = this.#latencyMs < 0 ? latencyMs : KEPT * this.#latencyMs + (1 - KEPT) * latencyMs
    const share = this.#latencyMs / this.#targetLatencyMs
    const step = Math.max(1, Math.round(before * STEP))
    if (share > TOO_SLOW) this.#size = this.#within(before - step)
    else if (share < FAST) this.#size = this.#within(before + step)
    return this.#size !== before
  }

  /** Goes on from another size: somebody set it. */
  restart(size: number): void {
    this.#size = this.#within(Math.round(size))
  }

  #within(size: number): number {
    return Math.min(this.#max, Math.max(this.#min, size))
  }
}
