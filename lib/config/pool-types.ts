/**
 * Settings of connections that are kept and lent, besides those of producer and consumer.
 * Source: features.md 3.5, CL-1..CL-3.
 */
export interface PoolSettings {
  /** Sockets per broker, those for produce, fetch and control included. Count, default 10, 3..1000. */
  readonly maxConnections: number
  /** Lendable connections kept ready per client after first use. Count, default 2, at most `maxIdle`. Alias minIdleConnections. */
  readonly minIdle: number
  /** Lendable connections kept when nobody uses them. Count, default 5, at most `maxConnections`. Alias maxIdleConnections. */
  readonly maxIdle: number
  /** Older connections are replaced once they are free. Milliseconds, default 3600000, 0 = no limit. Alias connectionMaxLifetime. */
  readonly connectionMaxLifetimeMs: number
  /** Connections without a request for so long are closed. Milliseconds, default 540000, 1..599999: below the broker's ten minutes. Alias connectionMaxIdleTime. */
  readonly connectionMaxIdleMs: number
  /** How often idle connections are probed. Milliseconds, default 30000, 0 = off. Alias healthCheckInterval. */
  readonly healthCheckIntervalMs: number
  /** Limit of one probe. Milliseconds, default 5000, at most `healthCheckIntervalMs`. */
  readonly healthCheckTimeoutMs: number
  /** Longest wait for a connection to lend. Milliseconds, default 10000, 0..600000; 0 = fail at once. */
  readonly acquireTimeoutMs: number
}
