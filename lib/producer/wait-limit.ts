/**
 * A time-out or an abort signal that may end a caller's wait, while what he waits for goes on.
 * Invariant: after `end()` neither timer nor listener is left.
 */
import type { MQError } from '../errors/index.js'
import type { Clock } from '../util/index.js'
import type { SendCallback } from './batch.js'

export interface WaitLimit {
  end(): void
}

export const NO_LIMIT: WaitLimit = { end: () => {} }

export interface WaitLimitOptions {
  readonly timeoutMs: number | undefined
  readonly signal: AbortSignal | undefined
  readonly clock: Clock
  tooLate(timeoutMs: number): MQError
  /** Gets the error of `tooLate`, or the signal's reason. */
  reject(reason: unknown): void
}

/** Ends a wait with `tooLate` after `timeoutMs`, or with the signal's reason; until `end()`. */
export function limitWait({ timeoutMs, signal, clock, tooLate, reject }: WaitLimitOptions): WaitLimit {
  const onAbort = () => {
    limit.end()
    reject(signal?.reason)
  }
  const onTimeout = (ms: number) => {
    limit.end()
    reject(tooLate(ms))
  }
  const timer = timeoutMs === undefined ? null : clock.setTimer(() => onTimeout(timeoutMs), timeoutMs)
  signal?.addEventListener('abort', onAbort, { once: true })
  const limit = {
    end: () => {
      timer?.cancel()
      signal?.removeEventListener('abort', onAbort)
    },
  }
  return limit
}

/** A callback that ends the limit first. */
export function ending(limit: WaitLimit, settle: SendCallback): SendCallback {
  const ended: SendCallback = (error, metadata) => {
    limit.end()
    settle(error, metadata)
  }
  const { accepted } = settle
  if (accepted === undefined) return ended
  return Object.assign(ended, {
    accepted: (topic: string, partition: number, position: number) => {
      limit.end()
      accepted(topic, partition, position)
    },
  })
}
