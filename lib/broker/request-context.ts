/**
 * What a handler is told besides the request: who asks whom, in which version, and which faults were ordered for it.
 * Invariant: a handler reaches the rest of the cluster through `cluster` only, never through a socket.
 */
import type { ClusterState } from './cluster-state.js'
import type { ActiveFault, Fault } from './faults.js'
import type { FetchSessions } from './fetch-sessions.js'
import type { Replicas } from './replicas.js'
import type { SaslSession } from './sasl/session.js'

export type ErrorFault = Extract<Fault, { readonly kind: 'error' }>

/** A handler's answer when the connection has to be closed instead. */
export const CLOSE = Symbol('close')

export interface RequestContext {
  readonly cluster: ClusterState
  readonly brokerId: number
  readonly version: number
  readonly clientId: string | null
  /** Address of the asker as Kafka shows it, `/127.0.0.1`. */
  readonly clientHost: string
  readonly sessions: FetchSessions
  /** Null on a listener without SASL. */
  readonly sasl: SaslSession | null
  readonly faults: readonly ActiveFault[]
  /** Calls once when the asker is gone or the broker stops, so that long polls end; returns how to unsubscribe. */
  readonly onGone: (listener: () => void) => () => void
  /** Ranges this broker offers, for ApiVersions. */
  readonly offered: () => readonly {
    readonly apiKey: number
    readonly minVersion: number
    readonly maxVersion: number
  }[]
}

/** The error that a fault orders for a topic-partition (or for the whole request), if any. */
export function forcedError(
  context: RequestContext,
  when: 'before' | 'after',
  topic?: string,
  partition?: number,
): ErrorFault | undefined {
  for (const active of context.faults) {
    const { fault } = active
    if (fault.kind !== 'error' || fault.when !== when) continue
    if (topic === undefined || concerns(active, topic, partition)) return fault
  }
  return undefined
}

function concerns(active: ActiveFault, topic: string, partition: number | undefined): boolean {
  const wantsTopic = active.matcher.topic
  return partition === undefined ? wantsTopic === undefined || wantsTopic === topic : active.concerns(topic, partition)
}

/** A code forced on this topic-partition before the work, else 0. */
export function codeBefore(context: RequestContext, topic?: string, partition?: number): number {
  return forcedError(context, 'before', topic, partition)?.code ?? 0
}

/** `code`, unless another was forced after the work. */
export function codeAfter(context: RequestContext, code: number, topic?: string, partition?: number): number {
  return forcedError(context, 'after', topic, partition)?.code ?? code
}

export interface LeaderHint {
  readonly leaderId: number
  readonly leaderEpoch: number
}

export interface NodeEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

/** Collects the leaders that an answer names, with their addresses (KIP-951). */
export class Hints {
  readonly #cluster: ClusterState
  readonly #isOn: boolean
  readonly #endpoints = new Map<number, NodeEndpoint>()

  /** Versions without hints have no fields for them, and refuse to write one. */
  constructor(cluster: ClusterState, isOn: boolean) {
    this.#cluster = cluster
    this.#isOn = isOn
  }

  /** The hint for a partition: the one a fault gives, else the present leader; undefined when nobody leads. */
  of(partition: Replicas | undefined, forced?: ErrorFault): LeaderHint | undefined {
    if (!this.#isOn) return undefined
    const given = typeof forced?.hint === 'object' ? forced.hint : undefined
    const leaderId = given?.leaderId ?? partition?.leaderId ?? -1
    if (leaderId < 0) return undefined
    const broker = this.#cluster.broker(leaderId)
    if (broker !== undefined) {
      this.#endpoints.set(leaderId, { nodeId: leaderId, host: broker.host, port: broker.port, rack: broker.rack })
    }
    return { leaderId, leaderEpoch: given?.leaderEpoch ?? partition?.leaderEpoch ?? -1 }
  }

  endpoints(): NodeEndpoint[] {
    return [...this.#endpoints.values()]
  }
}
