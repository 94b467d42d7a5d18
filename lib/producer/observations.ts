/**
 * What is observed per batch and per request for histograms. Hot path, once per batch.
 * Why apart from the counters: `metrics.enabled: false` takes this work away, while the counters are needed anyway.
 * Invariant: `observe` creates nothing; the buckets only grow, so that whoever reads them may take differences.
 */
import { SWITCH_SECONDS } from '../channel/index.js'
import { codecById } from '../codec/index.js'
import { Buckets, LATENCY_SECONDS } from '../util/index.js'
import type { Batch } from './batch.js'
import { BATCH_BYTES, BATCH_RECORDS, COMPRESSION_RATIO } from './measures.js'

/** Kafka has three bits for the codec of a batch. */
const CODECS = 8

export class Observations {
  readonly produceSeconds = new Buckets(LATENCY_SECONDS)
  readonly requestSeconds = new Buckets(LATENCY_SECONDS)
  readonly switchSeconds = new Buckets(SWITCH_SECONDS)
  readonly batchBytes = new Buckets(BATCH_BYTES)
  readonly batchRecords = new Buckets(BATCH_RECORDS)
  readonly #ratios = new Array<Buckets | null>(CODECS).fill(null) // index = codec id

  /** A batch was acknowledged `latencyMs` after its first record came. */
  acknowledged(batch: Batch, latencyMs: number): void {
    const { records, wireBytes, plainBytes, codecId } = batch
    this.produceSeconds.observe(latencyMs / 1000, records)
    this.batchBytes.observe(wireBytes)
    this.batchRecords.observe(records)
    let ratios = this.#ratios[codecId] as Buckets | null
    if (ratios === null) {
      ratios = new Buckets(COMPRESSION_RATIO)
      this.#ratios[codecId] = ratios
    }
    ratios.observe(plainBytes === 0 ? 1 : wireBytes / plainBytes)
  }

  /** By the name of the codec. */
  ratios(): Map<string, Buckets> {
    const found = new Map<string, Buckets>()
    for (const [id, ratios] of this.#ratios.entries()) if (ratios !== null) found.set(codecById(id).type, ratios)
    return found
  }
}
