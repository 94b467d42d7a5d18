/**
 * What a queue counts: plain numbers. Hot path.
 * Invariant, after every step: enqueued + recovered = sent + failed + dropped + pending.
 */
import { Buckets, LATENCY_SECONDS } from '../util/index.js'

export class QueueCounters {
  enqueued = 0 // items, as all below unless they say otherwise
  recovered = 0
  sent = 0
  failed = 0
  dropped = 0
  rejected = 0 // never enqueued
  batchesSent = 0
  errors = 0 // calls of `send` that failed
  retries = 0 // calls of `send` after the first with a batch
  sendMs = 0 // of calls that succeeded
  sends = 0 // calls that succeeded
  /** null: `metrics: false`. */
  readonly histograms: Histograms | null

  constructor(isMeasured: boolean) {
    this.histograms = isMeasured ? new Histograms() : null
  }

  get pending(): number {
    return this.enqueued + this.recovered - this.sent - this.failed - this.dropped
  }
}

/** Seconds. */
export class Histograms {
  readonly enqueue = new Buckets(LATENCY_SECONDS)
  readonly accept = new Buckets(LATENCY_SECONDS)
  readonly send = new Buckets(LATENCY_SECONDS)
}
