/**
 * The values of one series by their label values, while several sources are put together.
 * Invariant: one value per set of label values; Buckets of sources are copied, never changed.
 */
import { assert, Buckets } from '../util/index.js'
import type { Combine, Reading, SeriesRow } from './series.js'

interface Entry {
  readonly labels: readonly string[]
  value: number | Buckets
}

export class Readings {
  readonly #row: SeriesRow
  readonly #byKey = new Map<string, Entry>()

  constructor(row: SeriesRow) {
    this.#row = row
  }

  /** With 0 for the label values that exist from the start. */
  static withZeros(row: SeriesRow): Readings {
    const readings = new Readings(row)
    for (const labels of row.zeros) readings.put(labels, row.type === 'histogram' ? new Buckets(row.buckets) : 0)
    return readings
  }

  /** NaN is no value: a level that cannot be told is absent. */
  put(labels: readonly string[], value: number | Buckets): void {
    assert(labels.length === this.#row.labels.length, 'a reading has one value per label of its series')
    assert(boundsOf(value) === this.#row.buckets.length, 'a reading has the bounds of its series')
    if (Number.isNaN(value)) return
    const key = JSON.stringify(labels)
    const entry = this.#byKey.get(key)
    if (entry === undefined) this.#byKey.set(key, { labels, value: typeof value === 'number' ? value : copyOf(value) })
    else entry.value = combined(entry.value, value, this.#row.combine)
  }

  putAll(reading: Reading): void {
    if (reading === undefined) return
    if (isOne(reading)) this.put([], reading)
    else for (const [labels, value] of reading) this.put(labels, value)
  }

  entries(): Iterable<Entry> {
    return this.#byKey.values()
  }
}

function isOne(reading: Exclude<Reading, undefined>): reading is number | Buckets {
  return !Array.isArray(reading)
}

function boundsOf(value: number | Buckets): number {
  return typeof value === 'number' ? 0 : value.bounds.length
}

function copyOf(buckets: Buckets): Buckets {
  const copy = new Buckets(buckets.bounds)
  copy.add(buckets)
  return copy
}

/** What two sources say about the same labels. `left` is ours and may be changed. */
export function combined(left: number | Buckets, right: number | Buckets, how: Combine): number | Buckets {
  if (typeof left === 'number' && typeof right === 'number') {
    return how === 'sum' ? left + right : how === 'max' ? Math.max(left, right) : Math.min(left, right)
  }
  assert(typeof left !== 'number' && typeof right !== 'number', 'a series is a histogram everywhere or nowhere')
  left.add(right)
  return left
}
