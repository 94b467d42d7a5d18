/**
 * One partition over its brokers: leader, epoch, in-sync replicas, one log per replica, the high watermark.
 * Replication is scheduled, not networked: a follower copies at once unless it is held, stopped or out of sync.
 * Invariant: highWatermark <= log end of every in-sync replica; it falls only in an unclean election.
 */
import { assert } from '../util/index.js'
import { PartitionLog } from './partition-log.js'
import type { StoredBatch } from './stored-batch.js'

export const NO_LEADER = -1

export interface ReplicaOptions {
  readonly replicas: readonly number[]
  readonly isAlive: (brokerId: number) => boolean
}

export class Replicas {
  readonly replicas: readonly number[]
  readonly #isAlive: (brokerId: number) => boolean
  readonly #logs = new Map<number, PartitionLog>()
  readonly #watchers = new Set<() => void>()
  #isr: number[]
  #leaderId: number
  #leaderEpoch = 0
  #highWatermark = 0
  #holds = 0
  /** Set by command: who may not join the in-sync replicas. */
  #barred = new Set<number>()

  constructor(options: ReplicaOptions) {
    this.replicas = options.replicas
    this.#isAlive = options.isAlive
    this.#isr = this.replicas.filter((brokerId) => options.isAlive(brokerId))
    this.#leaderId = this.#isr[0] ?? NO_LEADER
    for (const brokerId of this.replicas) this.#logs.set(brokerId, new PartitionLog())
    this.#leaderLog?.noteEpoch(0, 0)
  }

  get leaderId(): number {
    return this.#leaderId
  }

  get leaderEpoch(): number {
    return this.#leaderEpoch
  }

  get isr(): readonly number[] {
    return this.#isr
  }

  get highWatermark(): number {
    return this.#highWatermark
  }

  /** As far as this replica knows: a follower cannot know of more than it has copied. */
  highWatermarkOf(brokerId: number): number {
    return Math.min(this.#highWatermark, this.#logs.get(brokerId)?.logEnd ?? 0)
  }

  get offline(): number[] {
    return this.replicas.filter((brokerId) => !this.#isAlive(brokerId))
  }

  /** True if it has a copy and does not lead, while somebody does. */
  follows(brokerId: number): boolean {
    return this.#leaderId !== NO_LEADER && brokerId !== this.#leaderId && this.#logs.has(brokerId)
  }

  logOf(brokerId: number): PartitionLog | undefined {
    return this.#logs.get(brokerId)
  }

  /** The leader's log, else that of the replica which would lead: for looking at, not for serving. */
  get log(): PartitionLog {
    return this.#leaderLog ?? (this.#logs.get(this.#isr[0] ?? (this.replicas[0] as number)) as PartitionLog)
  }

  get #leaderLog(): PartitionLog | undefined {
    return this.#logs.get(this.#leaderId)
  }

  /** Calls back whenever the high watermark, the leader, the in-sync replicas or the log end may have changed. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  append(batch: StoredBatch): void {
    const log = this.#leaderLog
    assert(log !== undefined, 'only a partition with a leader is written to')
    log.append(batch)
    if (this.replicas.length === 1) this.#highWatermark = log.logEnd
    else this.replicate()
    this.notify()
  }

  /** Lets every free follower copy what it lacks, then moves the high watermark. */
  replicate(): void {
    const leader = this.#leaderLog
    if (leader === undefined) return
    for (const brokerId of this.replicas) {
      if (brokerId !== this.#leaderId && this.#mayCopy(brokerId)) this.#copy(leader, brokerId)
    }
    const ends = this.#isr.map((brokerId) => this.#logs.get(brokerId)?.logEnd ?? 0)
    this.#highWatermark = Math.max(this.#highWatermark, Math.min(...ends))
  }

  /** Stops copying until the returned function was called. */
  hold(): () => void {
    this.#holds++
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#holds--
      this.#catchUp()
    }
  }

  /** A new leader epoch with `brokerId` leading. Log ends decide who has to truncate. */
  lead(brokerId: number): void {
    const isClean = this.#isr.includes(brokerId)
    if (!isClean) this.#isr = []
    this.#isr = [brokerId, ...this.#isr.filter((other) => other !== brokerId)]
    this.#barred.delete(brokerId)
    this.#elect(brokerId)
    if (!isClean) this.#highWatermark = this.log.logEnd
    this.#catchUp()
  }

  /** Exactly these are in sync from now on; the others stop copying until they are named again. */
  setIsr(brokerIds: readonly number[]): void {
    this.#barred = new Set(this.replicas.filter((brokerId) => !brokerIds.includes(brokerId)))
    this.#isr = brokerIds.filter((brokerId) => this.replicas.includes(brokerId))
    this.#catchUp()
  }

  /** Kafka keeps the last in-sync replica in the list even when it is gone, so that it may lead again. */
  brokerDown(brokerId: number): void {
    if (this.#isr.length > 1) this.#isr = this.#isr.filter((other) => other !== brokerId)
    if (this.#leaderId === brokerId) {
      const next = this.#isr.find((other) => other !== brokerId && this.#isAlive(other))
      this.#elect(next ?? NO_LEADER)
    }
    this.#catchUp()
  }

  brokerUp(brokerId: number): void {
    if (!this.replicas.includes(brokerId)) return
    if (this.#isr.length === 0) this.#isr = [brokerId] // Made while all its brokers were away: the first to come leads.
    if (this.#leaderId === NO_LEADER && this.#isr.includes(brokerId)) this.#elect(brokerId)
    this.#catchUp()
  }

  deleteRecords(offset: number): number {
    for (const log of this.#logs.values()) log.advanceStart(offset)
    this.notify()
    return this.log.logStart
  }

  trim(maxBytes: number): void {
    for (const log of this.#logs.values()) log.trimTo(maxBytes, this.#highWatermark)
  }

  trimOlderThan(beforeMs: number): void {
    for (const log of this.#logs.values()) log.trimOlderThan(beforeMs, this.#highWatermark)
  }

  logs(): PartitionLog[] {
    return [...this.#logs.values()]
  }

  notify(): void {
    if (this.#watchers.size === 0) return
    for (const watcher of [...this.#watchers]) watcher()
  }

  #elect(brokerId: number): void {
    this.#leaderId = brokerId
    this.#leaderEpoch++
    const log = this.#leaderLog
    if (log !== undefined) log.noteEpoch(this.#leaderEpoch, log.logEnd)
  }

  /** Followers that may copy truncate to the leader, copy, and (unless barred) are in sync again. */
  #catchUp(): void {
    if (this.#leaderId !== NO_LEADER) {
      this.replicate()
      for (const brokerId of this.replicas) {
        if (!this.#isr.includes(brokerId) && this.#mayCopy(brokerId)) this.#isr = [...this.#isr, brokerId]
      }
    }
    this.notify()
  }

  #mayCopy(brokerId: number): boolean {
    return this.#holds === 0 && !this.#barred.has(brokerId) && this.#isAlive(brokerId)
  }

  #copy(leader: PartitionLog, brokerId: number): void {
    const follower = this.#logs.get(brokerId) as PartitionLog
    const isSameSoFar = follower.newest === undefined || leader.holds(follower.newest)
    if (!isSameSoFar) follower.truncateTo(leader.divergenceFrom(follower))
    if (follower.logEnd > leader.logEnd) follower.truncateTo(leader.logEnd)
    if (follower.logEnd < leader.logStart) follower.restartAt(leader.logStart)
    for (const batch of leader.from(follower.logEnd)) follower.append(batch)
    follower.advanceStart(leader.logStart)
  }
}
