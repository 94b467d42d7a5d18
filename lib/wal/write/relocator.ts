/**
 * Copies the few live entries of the oldest segment forward, so that one slow stream does not pin the whole log.
 * Bounded to 32 MiB/s; an entry stays readable at its old place until its copy is written, and its segment until the
 * copy is durable.
 * Source: wal.md 5.
 */
import type { Clock, TimerHandle } from '../../util/index.js'
import type { LogTables } from '../state/tables.js'
import type { Entry } from '../types.js'
import type { Gauges } from './gauges.js'
import type { Limits } from './limits.js'

const BYTES_PER_MS = (32 * 1024 * 1024) / 1000
/** Of a segment: with less live in it, copying is worth it. */
const LIVE_SHARE = 0.1
/** Of `maxBytes`: with less pinned nothing is copied. */
const PINNED_SHARE = 0.5

export interface RelocatorParts {
  readonly tables: LogTables
  readonly limits: Limits
  readonly maxBytes: number
  readonly clock: Clock
  readonly gauges: Gauges
  readonly read: (lsn: number) => Promise<Uint8Array>
  /** Appends the copy; false: no room now. */
  readonly append: (entry: Entry, content: Uint8Array) => boolean
  readonly report: (error: unknown) => void
}

export class Relocator {
  readonly #parts: RelocatorParts
  #isRunning = false
  #isStopped = false
  #timer: TimerHandle | null = null
  #wake: (() => void) | null = null
  /** Looked at already: not again before it changes. */
  #doneSegment = 0

  constructor(parts: RelocatorParts) {
    this.#parts = parts
  }

  /** `oldest` is not the current segment; `segments` are pinned. */
  look(oldest: number, segments: number): void {
    const { limits, maxBytes, tables } = this.#parts
    if (this.#isRunning || this.#isStopped || oldest === this.#doneSegment) return
    if (segments * limits.segmentBytes <= maxBytes * PINNED_SHARE) return
    const live = tables.liveBytes(oldest)
    if (live === 0 || live >= limits.segmentBytes * LIVE_SHARE) return
    this.#isRunning = true
    this.#copy(oldest)
      .catch((error: unknown) => this.#parts.report(error))
      .finally(() => {
        this.#isRunning = false
      })
  }

  async #copy(segment: number): Promise<void> {
    const { tables, gauges } = this.#parts
    this.#doneSegment = segment
    const entries = [...tables.streams.keys()].flatMap((stream) =>
      tables.entriesOf(stream).filter((entry) => entry.segment === segment && entry.at >= 0),
    )
    for (const { lsn, bodyBytes } of entries) {
      if (this.#isStopped) return
      const before = tables.entry(lsn)
      if (before === undefined || before.segment !== segment) continue
      const content = await this.#parts.read(lsn)
      const entry = tables.entry(lsn)
      if (entry === undefined || this.#isStopped) continue
      if (!this.#parts.append(entry, content)) {
        this.#doneSegment = 0
        return
      }
      gauges.relocatedBytes += bodyBytes
      await this.#pause(bodyBytes / BYTES_PER_MS)
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      this.#timer = this.#parts.clock.setTimer(resolve, ms)
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#wake?.()
  }
}
