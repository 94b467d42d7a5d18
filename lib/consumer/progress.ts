/**
 * Watches that what was handed out ends: a callback's promise settles, a pulled record is followed by the next read.
 * Why: heartbeats go on whatever callbacks do (K-15), so a handler that hangs would keep its partitions for ever. After
 * `maxPollIntervalMs` they go to others, and come back when the handler ended (C-26, CO-10).
 * Why it costs records nothing: cursors know since when they are busy, and that is looked at once per interval; what is
 * open then is looked at again exactly when it would be too old.
 * Invariant: `exceeded` and `progressed` alternate; a timer runs only between `start` and `stop`, while partitions are read.
 */
import { MQError } from '../errors/index.js'
import type { Clock, TimerHandle } from '../util/index.js'
import { HOLD, type PartitionCursor } from './cursor.js'

export interface ProgressParts {
  readonly maxPollIntervalMs: number
  readonly clock: Clock
  /** Partitions that are read now, and those that were and have not come to rest. */
  readonly cursors: () => readonly PartitionCursor[]
  /** Leave the group because of this; the partitions are lost. */
  readonly exceeded: (reason: MQError) => void
  /** What kept us has ended: join again. */
  readonly progressed: () => void
}

export class ProgressWatch {
  readonly #parts: ProgressParts
  #timer: TimerHandle | null = null
  #term = 0 // of watching; what an earlier one waits for concerns nobody
  #stuck = 0 // partitions that have to come to rest before we may join again
  #waitingSinceMs = -1 // pulled partitions have data that nobody asks for

  constructor(parts: ProgressParts) {
    this.#parts = parts
  }

  /** The group gave us partitions. Does nothing while it runs, and while the group is left for lack of progress. */
  start(): void {
    if (this.#timer === null && this.#stuck === 0) this.#look()
  }

  /** The group is left for good. */
  stop(): void {
    this.#term++
    this.#stuck = 0
    this.#waitingSinceMs = -1
    this.#timer?.cancel()
    this.#timer = null
  }

  #look(): void {
    const { clock, cursors, maxPollIntervalMs } = this.#parts
    const all = cursors()
    this.#timer = null
    if (all.length === 0) return // The next assignment starts again.
    const nowMs = clock.monotonicMs()
    this.#seePulled(all, nowMs)
    let oldestMs = nowMs
    const overdue: PartitionCursor[] = []
    for (const cursor of all) {
      const sinceMs = this.#openSince(cursor)
      if (sinceMs < 0) continue
      oldestMs = Math.min(oldestMs, sinceMs)
      if (nowMs - sinceMs >= maxPollIntervalMs) overdue.push(cursor)
    }
    if (overdue.length > 0) this.#exceed(overdue, nowMs)
    else this.#timer = clock.setTimer(() => this.#look(), oldestMs + maxPollIntervalMs - nowMs)
  }

  /** A record that was pulled keeps others waiting only if there are others. */
  #seePulled(all: readonly PartitionCursor[], nowMs: number): void {
    const isWaiting = all.some((cursor) => isPulled(cursor) && hasToWait(cursor))
    if (!isWaiting) this.#waitingSinceMs = -1
    else if (this.#waitingSinceMs < 0) this.#waitingSinceMs = nowMs
  }

  /** -1: nothing of it is open that others would wait for. */
  #openSince(cursor: PartitionCursor): number {
    if (!cursor.isBusy || cursor.busySinceMs < 0) return -1
    if (!isPulled(cursor)) return cursor.busySinceMs
    return this.#waitingSinceMs < 0 ? -1 : Math.max(cursor.busySinceMs, this.#waitingSinceMs)
  }

  /** All of them have to rest: a partition that came back to us must not be worked on twice at a time. */
  #exceed(overdue: readonly PartitionCursor[], nowMs: number): void {
    const term = ++this.#term
    this.#stuck = overdue.length
    this.#waitingSinceMs = -1
    this.#parts.exceeded(tooSlow(overdue, this.#parts.maxPollIntervalMs, nowMs))
    for (const cursor of overdue) cursor.whenIdle(() => this.#rested(term))
  }

  #rested(term: number): void {
    if (term !== this.#term || --this.#stuck > 0) return
    this.#parts.progressed()
  }
}

/** It could go on if its reader did. */
function hasToWait({ isHeldBack, holds, reader }: PartitionCursor): boolean {
  return (holds & HOLD.follows) !== 0 || (!isHeldBack && reader.hasData)
}

function isPulled({ delivery }: PartitionCursor): boolean {
  return delivery.perRecord === null && delivery.perBatch === null
}

function tooSlow(overdue: readonly PartitionCursor[], maxPollIntervalMs: number, nowMs: number): MQError {
  const [first] = overdue as readonly [PartitionCursor]
  const { topic, partition, position: offset, busySinceMs } = first
  const openMs = Math.round(nowMs - busySinceMs)
  const what = isPulled(first) ? 'was read, and nothing since' : 'is with its callback'
  const text =
    `${topic}/${partition} offset ${offset} ${what} for ${openMs} ms, longer than maxPollIntervalMs ${maxPollIntervalMs}: ` +
    'the group is left and joined again once it ended; allow more time, or do less per record'
  const context = { topic, partition, offset, openMs, maxPollIntervalMs, partitions: overdue.map(({ tp }) => tp) }
  return new MQError('REBALANCE_IN_PROGRESS', text, { reason: 'POLL_INTERVAL', ...context })
}
