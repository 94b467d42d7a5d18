/**
 * What the resolution of a crash tells its owner, and what it needs of the world.
 * Source: wal.md 1.3 (cases, events), 4.2.
 */
import type { Cluster } from '../../../cluster/index.js'
import type { WalSettings } from '../../../config/index.js'
import type { MQError } from '../../../errors/index.js'
import type { Clock, Pauses, RandomSource } from '../../../util/index.js'
import type { Entry, StreamFacts, Wal } from '../../../wal/index.js'
import type { DataLoss } from '../../data-loss.js'

/** Where delivery is not, or not provably, exactly once: the rows of wal.md 1.3. */
export type EdgeCase =
  | 'E1'
  | 'E2'
  | 'E3'
  | 'E4'
  | 'E5'
  | 'E6'
  | 'E7'
  | 'E8'
  | 'E9'
  | 'E10'
  | 'E11'
  | 'E12'
  | 'E13'
  | 'E14'

/** Of the records at the moment of the report. */
export type EdgeStatus = 'not-persisted' | 'possibly-persisted' | 'persisted'

/**
 * delivered: found out to be in the partition's log | resent: sent again, under the same identity when that is exact,
 * else under a fresh one | held: waits for an operator | dropped: settled without delivery.
 */
export type EdgeAction = 'delivered' | 'resent' | 'held' | 'dropped'

/** One occurrence of a case (wal.md 1.3). Positions are inclusive. */
export interface WalEdge {
  readonly case: EdgeCase
  readonly topic: string
  readonly partition: number
  /** Of the opening that accepted the records; '' = the log does not know it any more. */
  readonly incarnationId: string
  readonly firstPosition: number
  readonly lastPosition: number
  readonly records: number
  readonly status: EdgeStatus
  readonly action: EdgeAction
}

/** How one batch was decided: the label of `resolved_batches_total`. */
export type BatchVerdict =
  /** The broker took it now. */
  | 'delivered'
  /** The broker had it and said so. */
  | 'duplicate'
  /** The broker had forgotten it, and a later acknowledgement proves it. */
  | 'proven'
  /** Seen in the partition's log. */
  | 'found'
  /** Never written, and refused under its identity: goes through the lane under a fresh one, exactly once. */
  | 'requeued'
  /** Undecidable: goes through the lane under a fresh identity, perhaps a second time. */
  | 'resent'
  | 'held'
  | 'dropped'
  /** Its bytes in the log are damaged. */
  | 'lost'

export interface HeldStream {
  readonly topic: string
  readonly partition: number
  readonly case: EdgeCase
  readonly records: number
}

/** A stream that waits for the cluster: no leader, no connection, no permission. */
export interface WaitingStream {
  readonly topic: string
  readonly partition: number
  readonly why: string
}

export interface ResolutionEvents {
  /**
   * Everything bound is settled: the lane may go on. `leftovers` are unsettled entries that were never written (unbound,
   * or to be resent under a fresh identity), in order; they go first, through the lane.
   */
  opened(stream: StreamFacts, leftovers: readonly Entry[]): void
  /** Undecidable and policy 'hold', or refused (E6, E7, E9): the lane stays closed until `resolve()` or the next start. */
  held(stream: StreamFacts, edge: EdgeCase, records: number): void
  edge(event: WalEdge): void
  /** E5. */
  dataLoss(loss: DataLoss): void
  /** At each change and at least every 500 ms. `entries` of `resolved` are decided; `etaMs` -1: not known. */
  progress(step: { resolved: number; entries: number; held: number; etaMs: number }): void
  /** WAL_CLUSTER_MISMATCH, IDENTITY_REUSED, WAL_CORRUPT, or a defect of ours: nothing of the producer may go on. */
  fatal(error: MQError): void
}

/** What the resolution asks of a cluster; `Cluster` has it all. */
export type ResolutionCluster = Pick<
  Cluster,
  'connect' | 'clusterId' | 'topic' | 'useTopic' | 'refresh' | 'request' | 'link' | 'applyLeaderHint'
>

export interface ResolutionParts {
  readonly wal: Wal
  readonly cluster: ResolutionCluster
  readonly settings: WalSettings
  readonly clock: Clock
  readonly random: RandomSource
  readonly pauses: Pauses
  readonly requestTimeoutMs: number
  readonly events: ResolutionEvents
}
