/**
 * A graceful end on SIGINT and SIGTERM: what was accepted is sent, what was processed is committed, then the process ends.
 * Why a function and not a default: who owns the process decides about its signals; a library must not take them.
 * Invariant: each instance is closed once; a second signal ends the process at once. Source: features.md FA-4.
 */
import { closeTimeout, reportOf, sumOf } from './closing.js'
import { MQError } from './errors/index.js'
import { type Clock, type Logger, systemClock } from './util/index.js'

/** Anything that can be closed: an `MQ`, `MQManager`, `Producer`, `Consumer`, or several of them. */
export interface Closable {
  close(options?: { readonly timeoutMs?: number }): Promise<unknown>
}

/** What is used of `process`; tests replace it. */
export interface SignalSource {
  on(signal: string, listener: () => void): unknown
  off(signal: string, listener: () => void): unknown
  exit(code: number): void
}

export interface CloseOnSignalsOptions {
  /** Longest wait for everything to close. Milliseconds, default 30000. */
  readonly timeoutMs?: number
  /** Default ['SIGINT', 'SIGTERM']. */
  readonly signals?: readonly NodeJS.Signals[]
  /** Ends the process when all is closed: 0, or 1 when closing failed, took too long, or left records unsent. Default true. */
  readonly exit?: boolean
  /** Learns why the exit code is not 0. Default: nobody does. */
  readonly logger?: Logger
  /** @internal */
  readonly process?: SignalSource
  /** @internal */
  readonly clock?: Clock
}

/** Exit code of a process that is ended by its second signal, as a shell would report it. */
const KILLED = 130

/**
 * Closes `mq` when the process is asked to end, then ends the process. A second signal ends it at once.
 * Returns a function that gives the signals back. Throws INVALID_CONFIG.
 *
 * ```ts
 * const mq = new MQ()
 * closeOnSignals(mq, { timeoutMs: 10_000 })
 * ```
 */
export function closeOnSignals(
  mq: Closable | readonly Closable[],
  { timeoutMs = 30_000, signals = ['SIGINT', 'SIGTERM'], exit = true, ...parts }: CloseOnSignalsOptions = {},
): () => void {
  const target = parts.process ?? process
  const all = checked(Array.isArray(mq) ? mq : [mq])
  closeTimeout(timeoutMs, timeoutMs)
  let isEnding = false
  const onSignal = () => {
    if (isEnding) return target.exit(KILLED)
    isEnding = true
    void closeAll(all, timeoutMs, parts.clock ?? systemClock).then((error) => {
      if (error !== null) parts.logger?.error('closing on a signal failed', { error: String(error) })
      if (exit) target.exit(error === null ? 0 : 1)
      else stop()
    })
  }
  const stop = () => {
    for (const signal of signals) target.off(signal, onSignal)
  }
  for (const signal of signals) target.on(signal, onSignal)
  return stop
}

/** Null when all are closed in time, else what went wrong first. Never rejects. */
async function closeAll(all: readonly Closable[], timeoutMs: number, clock: Clock): Promise<unknown> {
  const closing = Promise.allSettled(all.map(async (one) => one.close({ timeoutMs })))
  const isLate = new Promise<null>((resolve) => {
    // Closing has its own limit; the margin is for what it does after it.
    const timer = clock.setTimer(() => resolve(null), timeoutMs + 5_000)
    void closing.then(() => timer.cancel())
  })
  const results = await Promise.race([closing, isLate])
  if (results === null)
    return new MQError('TIMEOUT', `not closed ${timeoutMs + 5_000} ms after the signal`, { timeoutMs })
  const failed = results.find((result) => result.status === 'rejected')
  return failed === undefined ? unsent(results, timeoutMs) : failed.reason
}

/** Records that were accepted and are lost now; null: none. What a log has is not lost. */
function unsent(results: readonly PromiseSettledResult<unknown>[], timeoutMs: number): MQError | null {
  const closed = results.map((result) => reportOf(result.status === 'fulfilled' ? result.value : null))
  const { unsentRecords, inWalRecords } = sumOf(closed)
  if (unsentRecords <= inWalRecords) return null
  return new MQError('TIMEOUT', `${unsentRecords} records could not be sent within ${timeoutMs} ms`, {
    timeoutMs,
    unsentRecords,
  })
}

function checked(all: readonly Closable[]): readonly Closable[] {
  if (all.every((one) => typeof one?.close === 'function')) return all
  throw new MQError('INVALID_CONFIG', 'closeOnSignals takes what has a close(), or a list of such', {})
}
