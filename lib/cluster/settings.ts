/**
 * What a cluster needs to know, complete. Defaults are those of features.md 3.1, 3.2 and 3.5.
 * Invariant: parsed once and frozen; inside this room nothing is optional.
 */
import type { TlsOptions } from '../net/index.js'
import type { Authenticate } from './authenticate.js'

export interface BrokerEndpoint {
  readonly host: string
  readonly port: number
}

export interface ClusterOptions {
  /** First brokers to ask; used for that only. */
  readonly brokers: readonly BrokerEndpoint[]
  readonly clientId?: string
  /** TCP, TLS, ApiVersions and SASL together. Milliseconds, default 10000. */
  readonly dialTimeoutMs?: number
  /** Added to a request's own limit before its socket is given up. Milliseconds, default 10000. */
  readonly readTimeoutMs?: number
  /** No byte taken for so long: the socket is given up. Milliseconds, default 10000. */
  readonly writeTimeoutMs?: number
  /** TCP keep-alive. Milliseconds, default 7000, 0 = off. */
  readonly keepAliveMs?: number
  /** Largest answer accepted. Bytes, default 104857600. */
  readonly maxFrameBytes?: number
  /** A connection without any request for so long is closed. Milliseconds, default 540000, 0 = never. */
  readonly connectionMaxIdleMs?: number
  /** Metadata older than this is asked again. Milliseconds, default 300000. */
  readonly metadataMaxAgeMs?: number
  /** First wait between attempts. Milliseconds, default 100. */
  readonly retryBackoffMs?: number
  /** Longest wait between attempts. Milliseconds, default 5000. */
  readonly retryBackoffMaxMs?: number
  /** First wait before a broken connection is opened again. Milliseconds, default 50. */
  readonly reconnectBackoffMs?: number
  /** Longest such wait. Milliseconds, default 1000. */
  readonly reconnectBackoffMaxMs?: number
  /** Rounds over all brokers of an explicit `connect` or of a `request` without deadline. Default 3. */
  readonly maxRetries?: number
  /** Present: TLS to every broker. */
  readonly tls?: TlsOptions | undefined
  /** Present: runs on each new connection after ApiVersions; nothing else is sent before it is done. */
  readonly authenticate?: Authenticate | undefined
}

export type ClusterSettings = { readonly [K in keyof ClusterOptions]-?: ClusterOptions[K] }

export function resolveSettings(options: ClusterOptions): ClusterSettings {
  return Object.freeze({
    brokers: Object.freeze([...options.brokers]),
    clientId: options.clientId ?? 'tandem-mq',
    dialTimeoutMs: options.dialTimeoutMs ?? 10_000,
    readTimeoutMs: options.readTimeoutMs ?? 10_000,
    writeTimeoutMs: options.writeTimeoutMs ?? 10_000,
    keepAliveMs: options.keepAliveMs ?? 7000,
    maxFrameBytes: options.maxFrameBytes ?? 104_857_600,
    connectionMaxIdleMs: options.connectionMaxIdleMs ?? 540_000,
    metadataMaxAgeMs: options.metadataMaxAgeMs ?? 300_000,
    retryBackoffMs: options.retryBackoffMs ?? 100,
    retryBackoffMaxMs: options.retryBackoffMaxMs ?? 5000,
    reconnectBackoffMs: options.reconnectBackoffMs ?? 50,
    reconnectBackoffMaxMs: options.reconnectBackoffMaxMs ?? 1000,
    maxRetries: options.maxRetries ?? 3,
    tls: options.tls,
    authenticate: options.authenticate,
  })
}
