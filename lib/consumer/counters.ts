/**
 * What the parts of a consumer count: plain numbers that the hot path adds to, and two histograms.
 * Invariant: everything here only grows, from construction to the end, since metrics read running totals; `resetMetrics`
 * remembers where the numbers stood.
 */
import type { OnErrorPolicy } from '../config/index.js'
import { Buckets, LATENCY_SECONDS } from '../util/index.js'

/** Counted numbers: what `getMetrics()` shows, less what they were at the last reset. */
export class ConsumerCounts {
  records = 0 // whose callback has returned, skipped ones included
  bytes = 0 // of fetched batches, headers included
  callbackErrors = 0
  retries = 0
  skipped = 0
  deadLetters = 0 // records written to a dead-letter topic, acknowledged
  dedupHits = 0 // records not handed out because they were seen before
  fetches = 0
  fetchErrors = 0
  staleAnswers = 0 // partitions of answers that came too late
  corruptBatches = 0
  fullSessions = 0 // requests that had to name every partition
  rebalances = 0 // assignments that the group gave
  commits = 0 // that the coordinator has stored
  commitFailures = 0
}

export class ConsumerCounters extends ConsumerCounts {
  /** Failed callbacks, by what was done about it. */
  readonly errorActions: Record<OnErrorPolicy, number> = { retry: 0, skip: 0, dlq: 0, stop: 0 }
  /** Null: nobody measures, so nobody looks at the clock for it. */
  readonly callbackSeconds: Buckets | null
  readonly fetchSeconds: Buckets | null

  constructor(isTimed = true) {
    super()
    this.callbackSeconds = isTimed ? new Buckets(LATENCY_SECONDS) : null
    this.fetchSeconds = isTimed ? new Buckets(LATENCY_SECONDS) : null
  }
}
