/**
 * Percentiles of what a fixed-bound histogram has seen between two looks.
 * Inside a bucket values are taken as spread evenly, as Prometheus' histogram_quantile takes them; what lies above the
 * last bound counts as that bound.
 */
import type { Buckets } from '../util/index.js'

/** A copy of the counts: the histogram itself goes on. */
export interface SeenBuckets {
  readonly bounds: readonly number[]
  readonly counts: Float64Array
}

export function seenBuckets({ bounds, counts }: Buckets): SeenBuckets {
  return { bounds, counts: counts.slice() }
}

/** The value below which `share` (0..1) of the new samples lie; null without a new sample. */
export function bucketsQuantile(share: number, before: SeenBuckets | null, now: SeenBuckets): number | null {
  const isContinued = before !== null && now.counts.every((count, at) => count >= (before.counts[at] ?? 0))
  const added = now.counts.map((count, at) => count - (isContinued ? (before.counts[at] as number) : 0))
  const total = added.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let left = share * total
  for (const [at, count] of added.entries()) {
    if (count < left || count === 0) {
      left -= count
      continue
    }
    const lower = at === 0 ? 0 : (now.bounds[at - 1] as number)
    const upper = now.bounds[at] ?? lower
    return lower + ((upper - lower) * left) / count
  }
  return now.bounds.at(-1) ?? 0
}
