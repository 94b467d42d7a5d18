/** Rows of `pool`. An upper bound the source does not name is that of a timer. Source: features.md 3.5. */
import { type FieldSpec, grouped, INT32_MAX, int } from './field.js'
import type { PoolSettings } from './pool-types.js'

/** A broker closes a silent connection after ten minutes; ours must go first, or a request meets a closed socket. */
const BROKER_IDLE_MS = 600_000

export const poolFields: Readonly<Record<`pool.${keyof PoolSettings}`, FieldSpec>> = {
  'pool.maxConnections': int(10, 3, 1_000),
  'pool.minIdle': int(2, 0, 1_000, ...grouped('pool', 'minIdleConnections')),
  'pool.maxIdle': int(5, 0, 1_000, ...grouped('pool', 'maxIdleConnections')),
  'pool.connectionMaxLifetimeMs': int(3_600_000, 0, INT32_MAX, ...grouped('pool', 'connectionMaxLifetime')),
  'pool.connectionMaxIdleMs': int(540_000, 1, BROKER_IDLE_MS - 1, ...grouped('pool', 'connectionMaxIdleTime')),
  'pool.healthCheckIntervalMs': int(30_000, 0, INT32_MAX, ...grouped('pool', 'healthCheckInterval')),
  'pool.healthCheckTimeoutMs': int(5_000, 1, INT32_MAX),
  'pool.acquireTimeoutMs': int(10_000, 0, 600_000),
}
