/** Rows of `metrics` and `monitoring`. An upper bound the source does not name is that of a timer. Source: features.md 3.6. */
import { bool, custom, type FieldSpec, grouped, INT32_MAX, int, orNull, real, withMethods } from './field.js'
import type { PathOf } from './input-types.js'
import { parseListenAddress } from './listen-address.js'
import type { MetricsSettings, MonitoringSettings } from './metrics-types.js'
import { isPlainObject } from './objects.js'

const HIGH = Number.MAX_SAFE_INTEGER
/** Prometheus: metric names, so also what begins one. */
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
/** Prometheus: label names; two underscores in front are its own. */
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/
/** Names a histogram or summary gives its own labels. */
const RESERVED_LABELS = ['le', 'quantile']
const HEALTH_PATH = '/healthz'

const isPrefix = (value: unknown) => typeof value === 'string' && METRIC_NAME.test(value)
const isPrefixes = (value: unknown) =>
  Array.isArray(value) && Array.from(value).every(isPrefix) && new Set(value).size === value.length

function isLabels(value: unknown): boolean {
  if (!isPlainObject(value)) return false
  return Object.entries(value).every(
    ([name, text]) => LABEL_NAME.test(name) && !RESERVED_LABELS.includes(name) && typeof text === 'string',
  )
}

const isHttpPath = (value: unknown) => typeof value === 'string' && /^\/[^\s?#]*$/.test(value) && value !== HEALTH_PATH

type Paths = PathOf<{ metrics: MetricsSettings; monitoring: MonitoringSettings }>

export const metricsFields: Readonly<Record<Paths, FieldSpec>> = {
  'metrics.enabled': bool(true, ...grouped('metrics', 'enableMetrics'), 'monitoring.enableMetrics'),
  'metrics.prefix': custom(
    'tandem_mq_',
    'a text of the form [a-zA-Z_:][a-zA-Z0-9_:]*',
    isPrefix,
    undefined,
    ...grouped('metrics', 'metricsPrefix'),
  ),
  'metrics.compatPrefixes': custom(
    [],
    'a list of different texts of the form [a-zA-Z_:][a-zA-Z0-9_:]*',
    isPrefixes,
    (value) => Object.freeze([...(value as string[])]),
  ),
  'metrics.flushIntervalMs': int(5_000, 100, 600_000),
  'metrics.labels': custom(
    {},
    "an object of texts by label name ([a-zA-Z_][a-zA-Z0-9_]*, not 'le', not 'quantile', no '__' in front)",
    isLabels,
    (value) => Object.freeze({ ...(value as object) }),
  ),
  'metrics.registry': withMethods(undefined, 'registerMetric', 'getSingleMetric', 'metrics'),
  'metrics.sink': withMethods(undefined, 'counter', 'gauge', 'histogram', 'flush'),
  'metrics.address': custom(
    undefined,
    "':port' or 'host:port' (port 0..65535, IPv6 in brackets)",
    (value) => parseListenAddress(value) !== undefined,
  ),
  'metrics.path': custom(
    '/metrics',
    `a path that begins with '/', without '?' and '#', not '${HEALTH_PATH}'`,
    isHttpPath,
  ),
  'metrics.process': bool(false),
  'metrics.processIntervalMs': int(5_000, 100, 600_000),
  'monitoring.intervalMs': int(10_000, 0, INT32_MAX, ...grouped('monitoring', 'metricsInterval')),
  'monitoring.healthTimeoutMs': int(5_000, 1, INT32_MAX),
  'monitoring.enableTracing': bool(false),
  'monitoring.alerts.latencyMs': orNull(real(10, 0, HIGH)),
  'monitoring.alerts.minThroughputPerSec': orNull(real(50_000, 0, HIGH)),
  'monitoring.alerts.errorPercent': orNull(real(1, 0, 100)),
  'monitoring.alerts.lagRecords': orNull(real(10_000, 0, HIGH)),
  'monitoring.alerts.memoryBytes': orNull(real(524_288_000, 0, HIGH)),
}
