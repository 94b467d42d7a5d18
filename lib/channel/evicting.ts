/**
 * `onFull: 'dropOldest'`: makes room for a record as far as the policy agrees. CH-17, CH-18.
 * Invariants: whole sealed buffers go, oldest first, all counted and told; a policy that says no, or names no records,
 * means that the write is refused.
 */
import { type EvictPolicy, type EvictStats, WaterMarkPolicy } from './evict-policy.js'

/** What it asks of the channel. */
export interface EvictHost {
  /** Takes the room for one record, if there is any. */
  tryTake(chargeBytes: number): boolean
  stats(): EvictStats
  /** Throws the oldest sealed buffer away and says what was in it; null: there is none. */
  drop(): { readonly records: number; readonly bytes: number } | null
  dropped(records: number, bytes: number, policy: string): void
}

export class Evicting {
  readonly #host: EvictHost
  readonly #policy: EvictPolicy

  constructor(host: EvictHost, policy: EvictPolicy = new WaterMarkPolicy()) {
    this.#host = host
    this.#policy = policy
  }

  /** True: the room is taken. */
  makeRoom(chargeBytes: number): boolean {
    while (!this.#host.tryTake(chargeBytes)) {
      const stats = this.#host.stats()
      if (!this.#policy.shouldEvict(stats)) return false
      if (this.#drop(this.#policy.evict(stats)) === 0) return false
    }
    return true
  }

  /** Until `count` records are gone. */
  #drop(count: number): number {
    let records = 0
    let bytes = 0
    while (records < count) {
      const dropped = this.#host.drop()
      if (dropped === null) break
      records += dropped.records
      bytes += dropped.bytes
    }
    if (records > 0) this.#host.dropped(records, bytes, this.#policy.name)
    return records
  }
}
