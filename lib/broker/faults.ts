/**
 * Faults on demand: which requests they hit, and what becomes of those (kafka.md 6.2).
 * Invariant: a fault is counted when a request that it matches is taken up; it acts at most `times` times, from the
 * `nth` match on. Several faults may act on one request.
 */
import { deferred } from '../util/index.js'

/** Which requests a fault concerns. Every field that is given has to fit. */
export interface FaultMatcher {
  /** Name of the api, for example `Produce`. */
  readonly api?: string
  /** Id of the broker that was asked. */
  readonly node?: number
  readonly clientId?: string
  /** Requests that name this topic; a per-partition fault acts on its partitions only. */
  readonly topic?: string
  readonly partition?: number
  /** Acts from the n-th matching request on, counted from 1. Default 1. */
  readonly nth?: number
  /** Acts on this many requests. Default 1 when `nth` is given, else without end. */
  readonly times?: number
}

export interface ErrorFaultOptions {
  /** 'before': nothing is done; 'after': it is done, but the answer lies. Default 'before'. */
  readonly when?: 'before' | 'after'
  readonly message?: string
  /** Adds the present leader and its address (Produce >= 10, Fetch >= 12), or the one given. */
  readonly hint?: boolean | { readonly leaderId: number; readonly leaderEpoch: number }
}

export type Fault =
  | {
      readonly kind: 'error'
      readonly code: number
      readonly when: 'before' | 'after'
      readonly message: string | null
      readonly hint: boolean | { readonly leaderId: number; readonly leaderEpoch: number }
    }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'hold' }
  | { readonly kind: 'drop'; readonly when: 'before' | 'after' }
  | { readonly kind: 'disconnect'; readonly afterBytes: number }
  | { readonly kind: 'blackhole' }
  | { readonly kind: 'corrupt'; readonly offset: number; readonly xor: number }
  | { readonly kind: 'truncate'; readonly bytes: number }
  | { readonly kind: 'wrongCorrelation' }
  | { readonly kind: 'extraTags' }
  | { readonly kind: 'garbage'; readonly bytes: Uint8Array }
  | { readonly kind: 'throttle'; readonly ms: number }

/** How to make each fault. */
export const fault = {
  /** This Kafka error number, per partition where the api has partitions. */
  error: (code: number, options: ErrorFaultOptions = {}): Fault => ({
    kind: 'error',
    code,
    when: options.when ?? 'before',
    message: options.message ?? null,
    hint: options.hint ?? false,
  }),
  /** Does the work, answers `ms` later. Answers of one connection keep their order. */
  delay: (ms: number): Fault => ({ kind: 'delay', ms }),
  /** Does the work, answers when the handle's `release()` was called. */
  hold: (): Fault => ({ kind: 'hold' }),
  /** Closes the connection without an answer, before or after the work. */
  drop: (when: 'before' | 'after' = 'after'): Fault => ({ kind: 'drop', when }),
  /** Does the work, sends the first `afterBytes` bytes of the answer frame (its size field counts), then closes. */
  disconnect: (options: { readonly afterBytes: number }): Fault => ({
    kind: 'disconnect',
    afterBytes: options.afterBytes,
  }),
  /** The connection stays open, but from now on nothing is done or answered on it. */
  blackhole: (): Fault => ({ kind: 'blackhole' }),
  /** Flips bits of one byte of the answer; `offset` counts from the size field, from the end when negative. */
  corrupt: (options: { readonly offset: number; readonly xor?: number }): Fault => ({
    kind: 'corrupt',
    offset: options.offset,
    xor: options.xor ?? 0xff,
  }),
  /** The answer loses its last `bytes` bytes and its size says so: a whole frame with a cut body. */
  truncate: (bytes: number): Fault => ({ kind: 'truncate', bytes }),
  /** The answer carries another correlation id. */
  wrongCorrelation: (): Fault => ({ kind: 'wrongCorrelation' }),
  /** Unknown tagged fields in a flexible answer, which every client must skip. */
  extraTags: (): Fault => ({ kind: 'extraTags' }),
  /** These bytes instead of the answer, as they are. */
  garbage: (bytes: Uint8Array): Fault => ({ kind: 'garbage', bytes }),
  /** `throttleTimeMs` in the answer, and the connection is not served for that long. */
  throttle: (ms: number): Fault => ({ kind: 'throttle', ms }),
} as const

/** What `broker.on` returns. */
export interface FaultHandle {
  /** Requests the fault acted on so far. */
  readonly hits: number
  /** The fault acts no more; what it holds is released. */
  remove(): void
  /** Lets held answers go; a fault that was released holds no more. */
  release(): void
}

/** What a fault needs to know of a request. */
export interface FaultSubject {
  readonly api: string
  readonly node: number
  readonly clientId: string | null
  /** Topic-partitions that the request names; null: the api has none. */
  names(topic: string | undefined, partition: number | undefined): boolean
}

export class ActiveFault {
  readonly matcher: FaultMatcher
  readonly fault: Fault
  readonly #first: number
  readonly #last: number
  readonly #onHit: () => void
  readonly #released = deferred<void>()
  #matches = 0
  hits = 0

  constructor(matcher: FaultMatcher, what: Fault, onHit: () => void) {
    this.matcher = matcher
    this.fault = what
    this.#first = matcher.nth ?? 1
    const times = matcher.times ?? (matcher.nth === undefined ? Number.POSITIVE_INFINITY : 1)
    this.#last = this.#first + times - 1
    this.#onHit = onHit
  }

  /** Settles when a held answer may go. */
  get released(): Promise<void> {
    return this.#released.promise
  }

  release(): void {
    this.#released.resolve()
  }

  /** True if the fault acts on this request; counts it. */
  takes(subject: FaultSubject): boolean {
    if (!this.#fits(subject)) return false
    this.#matches++
    if (this.#matches < this.#first || this.#matches > this.#last) return false
    this.hits++
    this.#onHit()
    return true
  }

  /** True if a per-partition fault concerns this topic-partition. */
  concerns(topic: string, partition: number): boolean {
    const { matcher } = this
    return (
      (matcher.topic === undefined || matcher.topic === topic) &&
      (matcher.partition === undefined || matcher.partition === partition)
    )
  }

  #fits(subject: FaultSubject): boolean {
    const { matcher } = this
    if (matcher.api !== undefined && matcher.api !== subject.api) return false
    if (matcher.node !== undefined && matcher.node !== subject.node) return false
    if (matcher.clientId !== undefined && matcher.clientId !== subject.clientId) return false
    const isPartitioned = matcher.topic !== undefined || matcher.partition !== undefined
    return !isPartitioned || subject.names(matcher.topic, matcher.partition)
  }
}

export class FaultTable {
  readonly #faults = new Set<ActiveFault>()
  readonly #onHit: () => void

  constructor(onHit: () => void) {
    this.#onHit = onHit
  }

  add(matcher: FaultMatcher, what: Fault): FaultHandle {
    const active = new ActiveFault(matcher, what, this.#onHit)
    this.#faults.add(active)
    const remove = () => {
      this.#faults.delete(active)
      active.release()
    }
    return {
      get hits() {
        return active.hits
      },
      remove,
      release: remove,
    }
  }

  /** Faults that act on this request, in the order they were added. */
  take(subject: FaultSubject): readonly ActiveFault[] {
    if (this.#faults.size === 0) return NO_FAULTS
    return [...this.#faults].filter((active) => active.takes(subject))
  }

  /** Held answers go; for close(). */
  clear(): void {
    for (const active of this.#faults) active.release()
    this.#faults.clear()
  }
}

const NO_FAULTS: readonly ActiveFault[] = []
