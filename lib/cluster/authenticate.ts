/**
 * The place of authentication in the opening sequence: after ApiVersions, before anything else (kafka.md W-16).
 * Why a function: SASL mechanisms are several, and a connection without one must not know any of them.
 */
import type { Api, DecodedResponseOf, RequestOf } from '../protocol/index.js'
import type { ApiRanges } from './api-ranges.js'
import type { BrokerAddress } from './failures.js'

/** What authentication sees of a connection that is being opened. */
export interface OpeningSession {
  readonly address: BrokerAddress
  readonly apis: ApiRanges
  /** One request at a time, within the rest of `dialTimeoutMs`. */
  request<A extends Api>(api: A, version: number, body: RequestOf<A>): Promise<DecodedResponseOf<A>>
}

/** Proves who we are; rejects with AUTHENTICATION_FAILED. */
export type Authenticate = (session: OpeningSession) => Promise<void>
