/**
 * The place of authentication in the opening sequence: after ApiVersions, before anything else (kafka.md W-16), and
 * again on the same socket before a session ends (KIP-368).
 * Why a function: SASL mechanisms are several, and a connection without one must not know any of them.
 */
import type { Api, DecodedResponseOf, RequestOf } from '../protocol/index.js'
import type { ApiRanges } from './api-ranges.js'
import type { BrokerAddress } from './failures.js'

/** What authentication sees of a connection that is being opened, or whose session is renewed. */
export interface OpeningSession {
  readonly address: BrokerAddress
  readonly apis: ApiRanges
  /** Nobody waits for the outcome any more: the connection is gone, or the limit is over. */
  readonly signal: AbortSignal
  /** One request at a time. When a session is renewed, nothing else is written from the first one on. */
  request<A extends Api>(api: A, version: number, body: RequestOf<A>): Promise<DecodedResponseOf<A>>
}

/**
 * Proves who we are. Resolves to how long the broker believes it, in milliseconds; 0 = as long as the socket lives.
 * Rejects with AUTHENTICATION_FAILED, or with what became of the connection.
 */
export type Authenticate = (session: OpeningSession) => Promise<number>
