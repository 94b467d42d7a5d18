/** What users of a connection pool see. Source: features.md CL-2, CL-3, CL-5. */
import type { MQError } from '../../errors/index.js'
import type { Api, DecodedResponseOf } from '../../protocol/index.js'
import type { Buckets } from '../../util/index.js'
import type { ClusterDeps } from '../cluster.js'
import type { RequestBody } from '../control-plane.js'
import type { ApiName, ApiRequest, ApiResponse } from './apis.js'

/** What tests and simulations replace, and who counts errors. */
export interface PoolDeps extends ClusterDeps {
  /** Learns of every error that a call ends with, and of `error` events. */
  readonly told?: ((error: unknown) => void) | undefined
}

export interface GetConnectionOptions {
  /** To this broker; unset: to any. */
  readonly brokerId?: number | undefined
  /** Longest wait. Milliseconds, default `pool.acquireTimeoutMs`; 0 = fail at once when all are lent. */
  readonly timeoutMs?: number | undefined
  /** Ends the wait with `signal.reason`. */
  readonly signal?: AbortSignal | undefined
}

export interface PooledRequestOptions {
  /** How long the broker itself may take (a Fetch that waits, a JoinGroup). The socket is given up `readTimeoutMs` later. Milliseconds, default 0. */
  readonly limitMs?: number | undefined
  /** Not above this version, although both sides could. */
  readonly maxVersion?: number | undefined
  /** Ends the wait with CONNECTION_TIMEOUT; the request itself is under way. Milliseconds. */
  readonly timeoutMs?: number | undefined
  /** Ends the wait with `signal.reason`; the request itself is under way. */
  readonly signal?: AbortSignal | undefined
}

/**
 * A connection that is yours until `release()`. Requests are answered in order; several may be under way.
 *
 * ```ts
 * const connection = await pool.getConnection()
 * const { clusterId } = await connection.request('DescribeCluster', { includeClusterAuthorizedOperations: false })
 * connection.release()
 * ```
 */
export interface PooledConnection {
  /** The broker it leads to. */
  readonly nodeId: number
  /** False once it is released, or its socket is gone. */
  readonly isOpen: boolean
  /**
   * One request in the highest version both sides speak. What the broker answers, error codes too, is the caller's to
   * judge. Rejects with CONNECTION_CLOSED (released, or the socket is gone), CONNECTION_FAILED, CONNECTION_TIMEOUT,
   * CONNECTION_FAILED/UNSUPPORTED_VERSION, SERIALIZATION_FAILED; `context.wasSent` says 'no' or 'possibly'.
   */
  request<N extends ApiName>(
    api: N,
    body: ApiRequest<N> | ((version: number) => ApiRequest<N>),
    options?: PooledRequestOptions,
  ): Promise<ApiResponse<N>>
  request<A extends Api>(api: A, body: RequestBody<A>, options?: PooledRequestOptions): Promise<DecodedResponseOf<A>>
  /** Gives it back. Twice is harmless. Requests under way still get their answers; nobody else gets it before. */
  release(): void
  /** `release()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** CL-3, and what a pool knows besides. Covers the pool and every source that was included. */
export interface PoolStats {
  /** Open sockets. */
  readonly totalConnections: number
  /** Lent, or with a request under way. */
  readonly activeConnections: number
  readonly idleConnections: number
  /** `pool.maxConnections`: the limit per broker. */
  readonly maxConnections: number
  readonly connectionsCreated: number
  readonly connectionsClosed: number
  /** Attempts that failed, and sockets that broke. */
  readonly connectionErrors: number
  /** Connections of the pool itself: lent now, ready to be lent, being opened. */
  readonly lentConnections: number
  readonly lendableConnections: number
  readonly openingConnections: number
  /** Callers of `getConnection` that wait. */
  readonly waitingCallers: number
}

/** For metrics: the connections of a whole instance. */
export interface ConnectionMeasures {
  readonly totalConnections: number
  readonly activeConnections: number
  readonly idleConnections: number
  readonly maxConnections: number
  readonly connectionsCreated: number
  readonly connectionsClosed: number
  readonly connectionErrors: number
  /** Round trips of `ping` and of health probes. Seconds. */
  readonly pingSeconds: Buckets
}

export interface ConnectionPoolEvents {
  /** Something is wrong that will not mend by itself: credentials that are refused. */
  error: MQError
  /** Something is wrong that the pool keeps working on. */
  warning: MQError
}

export type ConnectionPoolState = 'new' | 'open' | 'closing' | 'closed'
