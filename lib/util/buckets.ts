/**
 * A histogram with fixed bounds, counted in plain numbers: what a Prometheus histogram shows, without its cost.
 * Hot path (once per batch, callback or request): `observe` creates nothing.
 * Invariant: the counts sum up to `count`; a value that equals a bound belongs to it (`le`).
 */
export class Buckets {
  /** Upper bounds, ascending; one more count stands for everything above. */
  readonly bounds: readonly number[]
  /** Per bucket, not cumulative; `bounds.length + 1` of them. */
  readonly counts: Float64Array
  count = 0
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  /** Counts a value `times` times: what holds for a batch holds for each of its records. */
  observe(value: number, times = 1): void {
    const { bounds, counts } = this
    let at = 0
    while (at < bounds.length && value > (bounds[at] as number)) at++
    counts[at] = (counts[at] as number) + times
    this.count += times
    this.sum += value * times
  }

  /** Adds what another one with the same bounds has counted. */
  add(other: Buckets): void {
    for (let at = 0; at < this.counts.length; at++) {
      this.counts[at] = (this.counts[at] as number) + (other.counts[at] as number)
    }
    this.count += other.count
    this.sum += other.sum
  }
}

/** Bounds of latencies. Seconds; `L` of features.md part 5. */
export const LATENCY_SECONDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]
