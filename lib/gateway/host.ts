/** What a session needs of its gateway: narrow, so that sessions can be looked at alone. */
import type { MQError } from '../errors/index.js'
import type { Connection } from '../net/index.js'
import type { Clock } from '../util/index.js'
import type { Admission } from './admission.js'
import type { FeedSource } from './feed/types.js'
import type { ResolvedGatewayOptions } from './options.js'
import type { FrameId, GatewayBackend, Transport } from './types.js'

/** A connection of either transport, as far as sessions care. */
export type Link = Pick<
  Connection<unknown, unknown, unknown>,
  'id' | 'peerAddr' | 'connected' | 'writeBufferLength' | 'sendPacked' | 'pause' | 'resume' | 'close'
>

/** Somebody who is connected. */
export interface ClientFacts {
  /** Counts up from 1 in one gateway. */
  readonly id: number
  /** '' when anonymous, or not known yet. */
  readonly name: string
  readonly transport: Transport
  /** host:port. */
  readonly peer: string
}

/** Somebody who sees the figures each second. */
export interface Onlooker {
  readonly isWritable: boolean
  showStats(id: FrameId | undefined, stats: unknown): void
}

/** Running numbers, all clients together. */
export interface Traffic {
  /** Frames of clients. */
  in: number
  /** Frames to clients, records included. */
  out: number
  /** Publishes whose fate is not known yet, also of clients that are gone. */
  unacknowledged: number
}

export interface SessionHost {
  readonly options: ResolvedGatewayOptions
  readonly backend: GatewayBackend
  readonly feeds: FeedSource
  readonly clock: Clock
  readonly admission: Admission
  readonly traffic: Traffic
  runAfter(ms: number, task: () => unknown): { stop(): void }
  /** It has said who it is. */
  admitted(client: ClientFacts): void
  /** A publish of `traffic.unacknowledged` got its answer. */
  settled(): void
  warn(error: MQError): void
  watchStats(onlooker: Onlooker, id: FrameId | undefined): void
  unwatchStats(onlooker: Onlooker): void
}
