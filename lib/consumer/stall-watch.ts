/**
 * Says why nothing comes: a partition that has records waiting and does not move (C-43).
 * Why: paused, no credit, a callback that hangs and a silent broker look the same from outside, and the one question
 * of production is which of them it is. Everything is read off the cursor and its broker; nothing is kept per record.
 * Invariant: one warning per stall and cause; the timer runs only while partitions are read.
 */
import { kafkaError } from '../protocol/index.js'
import type { Clock, Logger, TimerHandle } from '../util/index.js'
import { HOLD, type PartitionCursor } from './cursor.js'
import type { WarningEvent } from './events.js'
import type { BrokerStatus } from './fetch/broker-fetcher.js'
import type { MemberState } from './group/ports.js'

/** A partition that has not moved for so long, although records wait, stalls. Milliseconds. */
const AFTER_MS = 30_000
/** How often partitions are looked at. Milliseconds. */
const EVERY_MS = 10_000
/** A broker answers a fetch after `fetchMaxWaitMs` and this at the latest, or is silent. Milliseconds. */
const SILENT_AFTER_MS = 5_000

export type StallCause =
  | 'partition failed'
  | 'paused'
  | 'rebalancing'
  | 'position unknown'
  | 'callback running'
  | 'waiting for retry'
  | 'not read'
  | 'back-off'
  | 'no leader'
  | 'no credit'
  | 'broker silent'
  | 'unknown'

export interface StallReason {
  readonly cause: StallCause
  /** A sentence that ends a warning. */
  readonly text: string
}

/** What a cursor does not know itself. */
export interface StallSituation {
  readonly nowMs: number
  /** Null or 'unsubscribed': not in a group. */
  readonly memberState: MemberState | null
  /** Who is asked for the partition; null: nobody. */
  readonly broker: BrokerStatus | null
  readonly fetchMaxWaitMs: number
}

/** Why nothing of the partition is delivered now: what stands in the way first on its path from broker to callback. */
export function stallReason(cursor: PartitionCursor, situation: StallSituation): StallReason {
  return heldReason(cursor, situation) ?? deliveryReason(cursor, situation) ?? fetchReason(cursor, situation)
}

function heldReason(cursor: PartitionCursor, { memberState }: StallSituation): StallReason | null {
  const { holds, failure } = cursor
  if ((holds & HOLD.failed) !== 0)
    return reason('partition failed', `the partition failed (${failure?.message}): seek to go on`)
  if ((holds & HOLD.paused) !== 0) return reason('paused', 'it is paused: resume it')
  if ((holds & HOLD.leaving) !== 0) return reason('rebalancing', 'it is being given back to the group')
  if ((holds & HOLD.follows) !== 0)
    return reason('callback running', 'what was begun with it before it left and came back has not ended')
  if ((holds & HOLD.position) === 0) return null
  if (isInTransit(memberState)) return rebalancing(memberState)
  return reason('position unknown', 'its position is not known yet: the coordinator or its leader did not tell it')
}

/** Records are here, or on their way through us. */
function deliveryReason(cursor: PartitionCursor, { nowMs }: StallSituation): StallReason | null {
  const { isBusy, busySinceMs, retryTimer, attempts, delivery, reader, position } = cursor
  const isPulled = delivery.perRecord === null && delivery.perBatch === null
  if (isBusy) {
    const since = busySinceMs < 0 ? '' : ` since ${secondsText(nowMs - busySinceMs)}`
    if (isPulled) return reason('not read', `offset ${position} was read, and nothing was read after it${since}`)
    return reason('callback running', `its callback has been running${since} for offset ${position}`)
  }
  if (retryTimer !== null)
    return reason('waiting for retry', `its callback failed ${attempts} times and is called again later`)
  if (!reader.hasData) return null
  if (isPulled) return reason('not read', 'records are here, and nobody reads them')
  const { running } = delivery.sink
  if (running === 0) return null
  return reason('callback running', `${running} callbacks of other partitions take every place of concurrency`)
}

function fetchReason(cursor: PartitionCursor, { nowMs, broker, fetchMaxWaitMs, memberState }: StallSituation) {
  if ((cursor.holds & HOLD.backoff) !== 0) return backOffReason(cursor)
  if (broker === null) return reason('no leader', 'nobody leads it just now, as far as metadata tells')
  const { brokerId, isReady, isBackingOff, isStarved, outstandingSinceMs } = broker
  if (!isReady) return reason('broker silent', `broker ${brokerId} is not connected`)
  if (isBackingOff) return reason('back-off', `the last fetch from broker ${brokerId} failed and is repeated`)
  const waitsMs = outstandingSinceMs < 0 ? 0 : nowMs - outstandingSinceMs
  if (waitsMs > fetchMaxWaitMs + SILENT_AFTER_MS)
    return reason('broker silent', `broker ${brokerId} has not answered a fetch for ${secondsText(waitsMs)}`)
  if (isStarved || (cursor.holds & HOLD.full) !== 0)
    return reason('no credit', 'prefetchBytes is used up by records that are not processed')
  if (isInTransit(memberState)) return rebalancing(memberState)
  return reason('unknown', `broker ${brokerId} answers, but without records of it`)
}

function backOffReason({ reportedCode, failures }: PartitionCursor): StallReason {
  const after = reportedCode === 0 ? `${failures} failures` : `error ${reportedCode} ${kafkaError(reportedCode).name}`
  return reason('back-off', `it waits before the next fetch after ${after}`)
}

/** A member that is neither settled nor absent. */
function isInTransit(memberState: MemberState | null): memberState is MemberState {
  return memberState !== null && memberState !== 'stable' && memberState !== 'unsubscribed'
}

function rebalancing(memberState: MemberState): StallReason {
  return reason('rebalancing', `the group is being rebalanced (this member: ${memberState})`)
}

function reason(cause: StallCause, text: string): StallReason {
  return { cause, text }
}

function secondsText(ms: number): string {
  return `${Math.round(ms / 1000)} s`
}

/** How a partition stood when it was last seen to move. */
interface Seen {
  position: number
  generation: number
  sinceMs: number
  told: StallCause | null
}

export interface StallWatchParts {
  readonly clock: Clock
  readonly cursors: () => readonly PartitionCursor[]
  readonly situation: (cursor: PartitionCursor) => StallSituation
  readonly warn: (event: WarningEvent) => void
  readonly logger: Logger
  /** Default 30000 and 10000. */
  readonly afterMs?: number
  readonly everyMs?: number
}

export class StallWatch {
  readonly #parts: StallWatchParts
  readonly #afterMs: number
  readonly #everyMs: number
  readonly #seen = new WeakMap<PartitionCursor, Seen>()
  #timer: TimerHandle | null = null
  #isClosed = false

  constructor(parts: StallWatchParts) {
    this.#parts = parts
    this.#afterMs = parts.afterMs ?? AFTER_MS
    this.#everyMs = parts.everyMs ?? EVERY_MS
  }

  /** Partitions were added. Does nothing while it runs. */
  start(): void {
    if (this.#timer !== null || this.#isClosed) return
    this.#look()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = null
  }

  #look(): void {
    const { clock, cursors } = this.#parts
    const all = cursors()
    this.#timer = null
    if (all.length === 0) return // The next `start` goes on.
    for (const cursor of all) this.#check(cursor, clock.monotonicMs())
    if (!this.#isClosed) this.#timer = clock.setTimer(() => this.#look(), this.#everyMs)
  }

  #check(cursor: PartitionCursor, nowMs: number): void {
    const { position, generation, lag } = cursor
    const seen = this.#seen.get(cursor)
    // A lag of -1 is unknown: without a position, or before the broker ever answered.
    if (seen === undefined || seen.position !== position || seen.generation !== generation || lag === 0) {
      this.#seen.set(cursor, { position, generation, sinceMs: nowMs, told: null })
    } else if (nowMs - seen.sinceMs >= this.#afterMs) this.#tell(cursor, seen, nowMs)
  }

  #tell(cursor: PartitionCursor, seen: Seen, nowMs: number): void {
    const { cause, text } = stallReason(cursor, this.#parts.situation(cursor))
    if (cause === seen.told) return
    seen.told = cause
    const { topic, partition, position, lag } = cursor
    const waiting = lag < 0 ? 'its end is not known' : `${lag} records wait`
    const message = `nothing of ${topic}/${partition} was delivered for ${secondsText(nowMs - seen.sinceMs)}, ${waiting}: ${text}`
    const context = { topic, partition, position, lag, cause, stalledMs: Math.round(nowMs - seen.sinceMs) }
    // Whoever pauses a partition knows; the others want to be told.
    if (cause === 'paused') this.#parts.logger.debug(message, context)
    else this.#parts.warn({ message, context })
  }
}
