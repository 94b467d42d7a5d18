/**
 * What an observer may do around a record, without the rooms below knowing who observes (OpenTelemetry, a test).
 * Why interfaces here: producer and consumer call them, the metrics room implements them, and neither imports the other.
 * Invariant: null costs one comparison per record; a hook that throws hurts only the observation, never the record.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

/** One record on its way out. */
export interface SendObservation {
  /** Headers to add to the record, unless it has one of that name; the caller's own are not changed. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Called once: null and where the record is, or why it failed. */
  end(error: Error | null, partition: number, offset: number): void
}

export interface SendHook {
  /** Before a record is encoded; null: do not observe it. A tombstone has no value. */
  send(topic: string, key: unknown, isTombstone?: boolean): SendObservation | null
}

/** What a hook sees of a record that was read; it must not touch key or value unless it needs them. */
export interface ObservedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: unknown
  readonly headers: unknown
  /** Without a value, where that is known without touching it. */
  readonly isTombstone?: boolean
}

export interface ProcessHook {
  /**
   * Runs a callback for these records (one, or those of a batch callback) and gives back what it gave, a promise as it
   * is; what the callback throws passes through.
   */
  process<T>(records: readonly ObservedRecord[], run: () => T): T
}

const traceIds = new AsyncLocalStorage<string | undefined>()

/**
 * Runs `task` inside a trace id: records sent in it (with `trace.enabled`) carry that id. `undefined` runs it in none,
 * whatever the caller runs in.
 */
export function withTraceId<T>(traceId: string | undefined, task: () => T): T {
  return traceIds.run(traceId, task)
}

/** The trace id of the running task: that of the record being processed, or of `withTraceId`; undefined outside. */
export function currentTraceId(): string | undefined {
  return traceIds.getStore()
}
