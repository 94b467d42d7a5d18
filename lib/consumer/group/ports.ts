/**
 * What a group member, whichever protocol it speaks, and the one who reads its partitions say to each other.
 * Why two interfaces: the member knows rounds, generations and time-outs, and nothing of records; the reader knows
 * cursors, callbacks and commits, and nothing of rounds. Both protocols are then one question of `groupProtocol`.
 * Invariant: between `assign` and `revoke` or `lose` a partition is ours, and at no other time is it read or committed.
 * Source: kafka.md 5.5.
 */
import type { MQError } from '../../errors/index.js'
import type { TopicPartition } from '../cursor.js'

/**
 *   unsubscribed -> joining -> (reconciling -> acknowledging ->) stable -> joining ...
 *                      ^------------- fenced <--- lost ----------|        leaving -> unsubscribed, fatal
 */
export type MemberState =
  | 'unsubscribed'
  | 'joining'
  | 'reconciling'
  | 'acknowledging'
  | 'stable'
  | 'fenced'
  | 'leaving'
  | 'fatal'

/** Who commits: what OffsetCommit and OffsetFetch carry. */
export interface MemberIdentity {
  readonly memberId: string
  /** Generation (classic) or member epoch (KIP-848). */
  readonly generation: number
  readonly instanceId: string | null
}

/** Reads the partitions; the member tells it what is ours. */
export interface GroupHost {
  /** Topics to subscribe to, sorted; matches of patterns included. */
  topics(): readonly string[]
  /** Partitions held now. */
  owned(): readonly TopicPartition[]
  /**
   * These go to somebody else: running callbacks are awaited, offsets committed, listeners told, then they are dropped.
   * Resolves at the latest at `deadlineMs` (monotonic); never rejects.
   */
  revoke(partitions: readonly TopicPartition[], deadlineMs: number): Promise<void>
  /** They are gone already, and may be somebody else's: dropped at once, without a commit. */
  lose(partitions: readonly TopicPartition[], reason: MQError): void
  /** These are ours from now on. Listeners are told; offsets are read and fetching starts in the background. Never rejects. */
  assign(partitions: readonly TopicPartition[]): Promise<void>
  /** A round has ended: all that this member shall have, it has. */
  settled(): void
  /** No retry will help: the group is given up. */
  failed(error: MQError): void
  warn(message: string, context: object): void
}

/** A member of a group. Made by `classicMember` or `consumerMember`. */
export interface Membership {
  /** Spoken with the coordinator; 'auto' has been decided. */
  readonly protocol: 'classic' | 'consumer'
  readonly state: MemberState
  /** Null while not a member: nothing may be committed then. */
  readonly identity: MemberIdentity | null
  /** Why the coordinator has not let us in so far, or what it answered in place of a heartbeat; null: nothing is wrong. */
  readonly trouble: MQError | null
  /** Joins, in the background, and stays until `close`. */
  start(): void
  /** `host.topics()` has changed. */
  topicsChanged(): void
  /** Records are about to be handed out: if the session is over by the clock, the partitions are lost now. Monotonic. */
  checkSession(nowMs: number): void
  /** The coordinator refused a commit with that code (22, 25, 27, 82, 110, ..): the member acts on it if it must. */
  commitRefused(errorCode: number): void
  /** 113: resolves when a heartbeat has brought the present member epoch (classic: at once). */
  refreshIdentity(deadlineMs: number): Promise<void>
  /** Leaves, because of `reason`; the partitions are lost. `start` joins again. */
  abandon(reason: MQError): void
  /** Leaves in bounded time (`deadlineMs`, monotonic). The host has given its partitions back before. Idempotent. */
  close(deadlineMs: number): Promise<void>
}
