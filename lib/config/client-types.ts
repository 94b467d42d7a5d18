/**
 * The resolved client configuration, which producer and consumer share: every field present, checked, frozen.
 * Why one interface for both forms: the input form is derived from it (`input-types.ts`), so a field and its
 * docstring exist once. A field that may stay unset has `undefined` in its type. Source: features.md 3.1, 3.2, 3.5, 3.6.
 */
import type { Logger, LogLevel } from '../util/index.js'
import type { BrokerEndpoint } from './brokers.js'
import type { MetricsSettings, MonitoringSettings } from './metrics-types.js'
import type { PoolSettings } from './pool-types.js'
import type { WalSettings } from './wal-types.js'

export type SecurityProtocol = 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'
/** Values for a purpose; `presets.ts` has them. */
export type PresetName =
  | 'lowLatency'
  | 'highThroughput'
  | 'resourceEfficient'
  | 'highReliability'
  | 'development'
  | 'production'
export type SaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER' | 'GSSAPI'

/** Where an exchange of one's own stands. */
export interface SaslRound {
  /** Of the broker that is spoken to: a Kerberos principal is made from it. */
  readonly host: string
  readonly port: number
  /** 0: a new exchange begins, with an empty challenge. Counts up by 1. */
  readonly round: number
}

/**
 * A SASL exchange of one's own: answers each challenge of the broker, `undefined` ends it. A client opens several
 * connections and renews their sessions, so an exchange begins again and again; it runs one at a time.
 */
export interface SaslAuthenticator {
  readonly mechanism: string
  next(challenge: Uint8Array, round: SaslRound): Promise<Uint8Array | undefined> | Uint8Array | undefined
}

export interface ConnectionSettings {
  /** Limit for TCP, TLS, SASL and ApiVersions together. Milliseconds, default 10000, 1..300000. Alias dialTimeout. */
  readonly dialTimeoutMs: number
  /** Added to a request's own limit before its socket is given up. Milliseconds, default 10000, 1..300000. Alias readTimeout. */
  readonly readTimeoutMs: number
  /** A socket that takes no byte for so long is closed. Milliseconds, default 10000, 1..300000. Alias writeTimeout. */
  readonly writeTimeoutMs: number
  /** TCP keep-alive, never an idle limit. Milliseconds, default 7000, 0 = off, at most 7200000. Alias keepAlive. */
  readonly keepAliveMs: number
  /** Rounds over all brokers for an explicit `connect`, `ping` or admin call. Count, default 3, 0..1000. */
  readonly maxRetries: number
  /** First wait between attempts; doubles with full jitter. Milliseconds, default 100, 1..60000. */
  readonly retryBackoffMs: number
  /** Longest wait between attempts. Milliseconds, default 5000, 1..60000, not below `retryBackoffMs`. */
  readonly retryBackoffMaxMs: number
  /** Largest answer that is accepted. Bytes, default 104857600 (100 MiB), 1 MiB..1 GiB. */
  readonly maxFrameBytes: number
}

export interface SslSettings {
  /** TLS on. Default false; true also when any other `ssl` field is set. Alias tls. */
  readonly enabled: boolean
  /** Paths of PEM files. */
  readonly caFile: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
  /** PEM texts instead of files. */
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  /** Opens an encrypted key. */
  readonly passphrase: string | undefined
  /** Name the certificate must carry. Default: the broker's host. */
  readonly servername: string | undefined
  /** Accepts any certificate; raises a warning. Default false. */
  readonly insecureSkipVerify: boolean
}

export interface SaslSettings {
  /** Unset without `authenticator`: no authentication. GSSAPI needs `authenticator`. */
  readonly mechanism: SaslMechanism | undefined
  /** PLAIN and SCRAM. */
  readonly username: string | undefined
  readonly password: string | undefined
  /** OAUTHBEARER: gives a fresh token. */
  readonly token: (() => Promise<string>) | undefined
  /** An exchange of one's own, for GSSAPI or any mechanism not named here; its `mechanism` is the name on the wire. */
  readonly authenticator: SaslAuthenticator | undefined
}

export interface TraceSettings {
  /** Adds a trace id header to each record sent. Default false. */
  readonly enabled: boolean
  /** Name of the header. Default 'X-Trace-ID'. */
  readonly header: string
  /** Name of a header for the time of sending; unset = none. */
  readonly timestampHeader: string | undefined
}

export interface PerformanceSettings {
  /** Default target of `adaptiveBatch`. Milliseconds, default 1, above 0. Alias targetLatencyMicros (/ 1000). */
  readonly targetLatencyMs: number
  /** Target of the gauge `throughput_target_ratio`. Records per second, default 100000, above 0. */
  readonly targetThroughputPerSec: number
  /** Chooses raw, lz4/snappy or the configured codec by batch size. Default true. */
  readonly optimizeForSmallMessages: boolean
  /** Upper bound of the small class. Bytes, default 1024, 100..65536. */
  readonly smallMessageThresholdBytes: number
}

/** What every client needs to know; frozen and complete. */
export interface ResolvedClientConfig {
  /** First brokers to ask. List or comma string of host:port, default ['localhost:9092']; IPv6 in brackets. Alias bootstrapServers. */
  readonly brokers: readonly BrokerEndpoint[]
  /** Name in the broker's logs and quotas. Default 'tandem-mq', 1..249 characters. Alias clientID. */
  readonly clientId: string
  /** Values for a purpose, under everything that is given besides: see the table of presets. Default unset. */
  readonly preset: PresetName | undefined
  /** Metadata older than this is asked again. Milliseconds, default 300000, 1000..3600000. Kafka: metadata.max.age.ms. */
  readonly metadataMaxAgeMs: number
  /** Default limit of `close()`. Milliseconds, default 30000, 0..600000; 0 = do not wait. */
  readonly closeTimeoutMs: number
  /** Default: the console (stderr) at `logLevel`. */
  readonly logger: Logger
  /** 'debug', 'info', 'warn', 'error' or 'silent', default 'info'; for the console only. Alias monitoring.logLevel. */
  readonly logLevel: LogLevel
  /** Default from `ssl` and `sasl`; a contradiction with them is refused. */
  readonly securityProtocol: SecurityProtocol
  readonly connection: ConnectionSettings
  readonly ssl: SslSettings
  readonly sasl: SaslSettings
  readonly trace: TraceSettings
  readonly performance: PerformanceSettings
  readonly pool: PoolSettings
  readonly wal: WalSettings
  readonly metrics: MetricsSettings
  readonly monitoring: MonitoringSettings
}
