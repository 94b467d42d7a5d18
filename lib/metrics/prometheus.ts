/**
 * Our series in a prom-client registry.
 * Why objects of our own: prom-client's histograms take single observations, while ours are counted in buckets already,
 * and its counters would have to be told differences. A registry asks nothing of a metric but `name`, `type` and
 * `get()`, through its public `registerMetric`; so a scrape reads the very samples that every other output reads.
 * Invariant: one metric per name and registry; instances that share a registry contribute to it.
 */
import { Registry } from 'prom-client'
import { MQError } from '../errors/index.js'
import { Buckets } from '../util/index.js'
import type { Family, Sample } from './collector.js'
import { combined } from './readings.js'
import type { SeriesRow } from './series.js'

/** One line of the exposition; `metricName` where it differs from the metric's. */
interface Line {
  readonly labels: Record<string, string | number>
  readonly value: number
  readonly metricName?: string
}

type Contributor = (name: string) => readonly Sample[]

/** What prom-client asks of a metric. */
class SeriesMetric {
  name: string
  readonly help: string
  readonly type: SeriesRow['type']
  /** How the workers of a Node.js cluster are put together. */
  readonly aggregator: SeriesRow['combine']
  readonly contributors = new Set<Contributor>()
  readonly #fullName: string

  constructor(name: string, row: SeriesRow) {
    this.name = name
    this.#fullName = name
    this.help = row.help
    this.type = row.type
    this.aggregator = row.combine
  }

  /** prom-client takes `_total` off `name` before it asks for OpenMetrics, and never puts it back: done here. */
  get() {
    const { name, help, type, aggregator } = this
    this.name = this.#fullName
    const samples = mergedSamples(
      [...this.contributors].map((samplesOf) => samplesOf(this.#fullName)),
      aggregator,
    )
    return Promise.resolve({ name, help, type, aggregator, values: samples.flatMap((sample) => linesOf(name, sample)) })
  }

  /** `registry.resetMetrics()` reaches us too, but the totals belong to the sources, and counters never fall. */
  reset(): void {}
}

/** The part of an instance in a registry: registers what exists, leaves without a trace. */
export class Registration {
  readonly #registry: Registry
  readonly #collect: () => readonly Family[]
  readonly #joined = new Map<string, SeriesMetric>()
  #families: readonly Family[] = []
  #byName = new Map<string, readonly Sample[]>()

  constructor(registry: Registry, collect: () => readonly Family[]) {
    this.#registry = registry
    this.#collect = collect
  }

  /** Throws INVALID_CONFIG if somebody else's metric has one of the names; nothing is registered before that is known. */
  check(names: readonly string[]): void {
    for (const name of names) {
      const known: unknown = this.#registry.getSingleMetric(name)
      if (known !== undefined && !(known instanceof SeriesMetric)) throw nameTaken(name)
    }
  }

  /** Throws as `check`. */
  join(names: readonly string[], row: SeriesRow): void {
    this.check(names)
    for (const name of names) {
      if (this.#joined.has(name)) continue
      const metric = this.#metricOf(name, row)
      metric.contributors.add(this.#samplesOf)
      this.#joined.set(name, metric)
    }
  }

  leave(): void {
    for (const [name, metric] of this.#joined) {
      metric.contributors.delete(this.#samplesOf)
      if (metric.contributors.size === 0) this.#registry.removeSingleMetric(name)
    }
    this.#joined.clear()
  }

  #metricOf(name: string, row: SeriesRow): SeriesMetric {
    const known: unknown = this.#registry.getSingleMetric(name)
    if (known instanceof SeriesMetric) return known
    const metric = new SeriesMetric(name, row)
    // The declared type is a union of prom-client's own classes; the registry uses what SeriesMetric has.
    this.#registry.registerMetric(metric as never)
    return metric
  }

  readonly #samplesOf: Contributor = (name) => {
    const families = this.#collect()
    if (families !== this.#families) {
      this.#families = families
      this.#byName = new Map(families.map((family) => [family.name, family.samples]))
    }
    return this.#byName.get(name) ?? []
  }
}

/** Everything in a registry, whatever content type it has: series of others and default labels included. */
export async function expose(registry: Registry, format: 'text' | 'openMetrics'): Promise<string> {
  const rendering = new Registry()
  // Declared for one content type per registry; it takes both.
  rendering.setContentType(CONTENT_TYPES[format] as never)
  for (const item of await registry.getMetricsAsJSON()) {
    const metric = { ...item, get: () => Promise.resolve({ ...item, name: metric.name }) }
    rendering.registerMetric(metric as never)
  }
  return rendering.metrics()
}

export const CONTENT_TYPES = {
  text: Registry.PROMETHEUS_CONTENT_TYPE,
  openMetrics: Registry.OPENMETRICS_CONTENT_TYPE,
} as const

/** Instances with one client id in one registry show one sample: the same labels twice would be no exposition. */
function mergedSamples(parts: readonly (readonly Sample[])[], how: SeriesRow['combine']): readonly Sample[] {
  if (parts.length === 1) return parts[0] as readonly Sample[]
  const byLabels = new Map<string, Sample>()
  for (const sample of parts.flat()) {
    const key = JSON.stringify(Object.entries(sample.labels).sort())
    const known = byLabels.get(key)
    if (known === undefined) byLabels.set(key, sample)
    else byLabels.set(key, { labels: known.labels, value: combined(copyOf(known.value), sample.value, how) })
  }
  return [...byLabels.values()]
}

function copyOf(value: number | Buckets): number | Buckets {
  if (typeof value === 'number') return value
  const copy = new Buckets(value.bounds)
  copy.add(value)
  return copy
}

function linesOf(name: string, { labels, value }: Sample): Line[] {
  if (typeof value === 'number') return [{ labels: { ...labels }, value }]
  return [
    ...cumulativeBuckets(value).map(([le, count]) => ({
      labels: { le, ...labels },
      value: count,
      metricName: `${name}_bucket`,
    })),
    { labels: { ...labels }, value: value.sum, metricName: `${name}_sum` },
    { labels: { ...labels }, value: value.count, metricName: `${name}_count` },
  ]
}

/** How many values were at most each bound; the last is `+Inf`. */
export function cumulativeBuckets({ bounds, counts, count }: Buckets): (readonly [le: string, count: number])[] {
  let below = 0
  const finite = bounds.map((bound, at) => {
    below += counts[at] as number
    return [String(bound), below] as const
  })
  return [...finite, ['+Inf', count] as const]
}

function nameTaken(name: string): MQError {
  return new MQError(
    'INVALID_CONFIG',
    `metrics.registry has a metric ${name} of somebody else: choose another metrics.prefix`,
    { name, issues: [{ path: 'metrics.registry', value: name, expected: 'a registry without a metric of that name' }] },
  )
}
