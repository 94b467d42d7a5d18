/**
 * How far a recovery is, told at each change of phase and at least every 500 ms of scanning.
 * Why a listener's error ends here: recovery must not depend on who watches it; it is told to the logger.
 * Source: wal.md 4.3.
 */
import type { RecoveryProgress, WalEvents, WalParts } from '../types.js'

export const PROGRESS_EVERY_MS = 500

export class Progress {
  readonly #parts: WalParts
  readonly #events: WalEvents
  #phase = ''
  #toldAtMs = Number.NEGATIVE_INFINITY

  constructor(parts: WalParts, events: WalEvents) {
    this.#parts = parts
    this.#events = events
  }

  step(step: RecoveryProgress): void {
    const now = this.#parts.clock.monotonicMs()
    const isNews = this.#phase !== step.phase || now - this.#toldAtMs >= PROGRESS_EVERY_MS
    this.#phase = step.phase
    if (!isNews) return
    this.#toldAtMs = now
    this.#tell(step)
  }

  /** The local phase is over: told always, with the final numbers. */
  done(segments: number, bytes: number, entries: number): void {
    this.#tell({ phase: 'done', segments, bytes, totalBytes: bytes, entries })
  }

  #tell(step: RecoveryProgress): void {
    try {
      this.#events.progress(step)
    } catch (error) {
      this.#parts.logger.error('a listener of recovery progress threw', { error: String(error) })
    }
  }
}
