/**
 * What everybody was told and did, and what must never be true of it: the judge of a simulated group.
 * Why one for all members: "never two owners" and "nothing is passed over" are claims about all of them together.
 * It sees events, callbacks and the broker's store of committed offsets, and nothing of the code under test.
 * Invariants judged here: C-24, C-31, C-39, C-40, CO-9 (kafka.md 5.1, 8; features.md).
 */
import type { World } from './world.js'

/** A member as the judge knows it. */
export interface Known {
  readonly name: string
  /** It stands still, is dead, or could not know yet that it is out. */
  isExcused(): boolean
  /** Records of one partition may overlap and overtake each other, by key. */
  readonly isByKey: boolean
  /** A commit of that partition failed in this very moment, and that was told. */
  hasToldFailure(key: string): boolean
  /** When it gives a partition back, everything processed is committed before. */
  readonly commitsAll: boolean
}

interface Ownership {
  readonly who: Known
  readonly fromMs: number
  /** Next record that may come; -1: none has come yet. */
  next: number
  /** Contiguously done, from where this ownership began. */
  done: number
  readonly doneAhead: Set<number>
  /** Begun and not ended. */
  readonly running: Map<number, number> // offset -> seeks when it began
  seeks: number
  isPaused: boolean
  /** By key: the last offset of each. */
  readonly lastOfKey: Map<string, number>
}

interface Partition {
  readonly key: string
  /** Records written so far. */
  written: number
  readonly processed: Set<number>
  /** Every offset below has been processed by somebody. */
  contiguous: number
  committed: number // -1: never
  /** Values the store has had, with the time. */
  readonly commits: { readonly atMs: number; readonly offset: number }[]
  /** Commits may go back as far as this, because of a seek. */
  mayGoBackTo: number
  readonly owners: Ownership[]
}

export class Ledger {
  readonly #world: World
  readonly #partitions = new Map<string, Partition>()
  repeats = 0

  constructor(world: World) {
    this.#world = world
  }

  wrote(key: string, count: number): void {
    this.#of(key).written += count
  }

  writtenOf(key: string): number {
    return this.#of(key).written
  }

  committedOf(key: string): number {
    return this.#of(key).committed
  }

  // --- ownership ---

  assigned(who: Known, keys: readonly string[]): void {
    for (const key of keys) {
      const partition = this.#of(key)
      for (const other of partition.owners) {
        if (other.who === who) this.#world.blame(`${who.name} is given ${key}, which it has`)
        else if (!other.who.isExcused()) {
          this.#world.blame(`${key} is given to ${who.name} while ${other.who.name} has it (since ${other.fromMs} ms)`)
        }
      }
      partition.owners.push({
        who,
        fromMs: this.#world.nowMs,
        next: -1,
        done: -1,
        doneAhead: new Set(),
        running: new Map(),
        seeks: 0,
        isPaused: false,
        lastOfKey: new Map(),
      })
    }
  }

  /** Given back: from here on it is as if all that was processed were committed. */
  revoked(who: Known, keys: readonly string[]): void {
    for (const key of keys) {
      const owned = this.#end(who, key)
      if (owned === null) continue
      const { committed } = this.#of(key)
      if (who.commitsAll && owned.done > committed && !who.hasToldFailure(key)) {
        this.#world.blame(
          `${who.name} gave ${key} back, processed up to ${owned.done}, but ${committed} is committed and no failure told`,
        )
      }
    }
  }

  lost(who: Known, keys: readonly string[]): void {
    for (const key of keys) this.#end(who, key)
  }

  #end(who: Known, key: string): Ownership | null {
    const { owners } = this.#of(key)
    const at = owners.findIndex((owned) => owned.who === who)
    if (at >= 0) return owners.splice(at, 1)[0] as Ownership
    this.#world.blame(`${who.name} is told to have lost ${key}, which it had not`)
    return null
  }

  /** The process is dead: nobody will tell. */
  buried(who: Known): void {
    for (const { owners } of this.#partitions.values()) {
      const at = owners.findIndex((owned) => owned.who === who)
      if (at >= 0) owners.splice(at, 1)
    }
  }

  keysOf(who: Known): string[] {
    return [...this.#partitions.values()]
      .filter(({ owners }) => owners.some((owned) => owned.who === who))
      .map(({ key }) => key)
  }

  /** Called when somebody's excuse ends: by now it has to know. */
  ensureSingle(who: Known): void {
    for (const key of this.keysOf(who)) {
      const others = this.#of(key).owners.filter((owned) => owned.who !== who && !owned.who.isExcused())
      for (const other of others) this.#world.blame(`${who.name} still has ${key}, which is ${other.who.name}'s`)
    }
  }

  // --- records ---

  began(who: Known, key: string, offset: number, recordKey: string): void {
    const partition = this.#of(key)
    const owned = partition.owners.find((one) => one.who === who)
    if (owned === undefined) return this.#world.blame(`${who.name} gets ${key}@${offset}, which it does not own`)
    if (owned.isPaused) this.#world.blame(`${who.name} gets ${key}@${offset}, which is paused`)
    if (owned.running.has(offset)) this.#world.blame(`${who.name} gets ${key}@${offset} twice at a time`)
    if (offset >= partition.written) this.#world.blame(`${who.name} gets ${key}@${offset}, which was never written`)
    if (owned.next < 0) this.#first(partition, owned, offset)
    if (who.isByKey) this.#beganByKey(who, key, owned, offset, recordKey)
    else if (offset !== owned.next) {
      this.#world.blame(`${who.name} gets ${key}@${offset}, expected ${owned.next}`)
    } else owned.next = offset + 1
    owned.running.set(offset, owned.seeks)
    if (partition.processed.has(offset)) this.repeats++
  }

  #first(partition: Partition, owned: Ownership, offset: number): void {
    owned.next = offset
    owned.done = offset
    if (owned.seeks > 0) return
    const since = partition.commits.filter(({ atMs }) => atMs >= owned.fromMs).map((commit) => commit.offset)
    const before = partition.commits.findLast(({ atMs }) => atMs < owned.fromMs)?.offset ?? 0
    const allowed = new Set([before, ...since])
    if (allowed.has(offset)) return
    const text = `${partition.key} begins at ${offset} with ${owned.who.name}, committed was ${[...allowed].join(' or ')}`
    this.#world.blame(text)
  }

  #beganByKey(who: Known, key: string, owned: Ownership, offset: number, recordKey: string): void {
    const last = owned.lastOfKey.get(recordKey) ?? -1
    if (offset <= last) this.#world.blame(`${who.name} gets ${key}@${offset} of key ${recordKey} behind ${last}`)
    owned.lastOfKey.set(recordKey, offset)
  }

  /** The callback failed and will be tried again. */
  failed(who: Known, key: string, offset: number, recordKey: string): void {
    const owned = this.#of(key).owners.find((one) => one.who === who)
    if (owned === undefined) return
    const seeks = owned.running.get(offset)
    owned.running.delete(offset)
    if (seeks !== owned.seeks) return
    if (who.isByKey) owned.lastOfKey.set(recordKey, offset - 1)
    else owned.next = Math.min(owned.next, offset)
  }

  /** A record that was handed out and then taken back (pulled, not counted). */
  handedBack(who: Known, key: string, offset: number): void {
    this.failed(who, key, offset, '')
  }

  ended(who: Known, key: string, offset: number): void {
    const partition = this.#of(key)
    partition.processed.add(offset)
    while (partition.processed.has(partition.contiguous)) partition.contiguous++
    const owned = partition.owners.find((one) => one.who === who)
    if (owned === undefined) return
    const seeks = owned.running.get(offset)
    owned.running.delete(offset)
    if (seeks !== owned.seeks) return
    owned.doneAhead.add(offset)
    while (owned.doneAhead.delete(owned.done)) owned.done++
  }

  paused(who: Known, key: string, isPaused: boolean): void {
    const owned = this.#of(key).owners.find((one) => one.who === who)
    if (owned !== undefined) owned.isPaused = isPaused
  }

  sought(who: Known, key: string, offset: number): void {
    const partition = this.#of(key)
    const owned = partition.owners.find((one) => one.who === who)
    if (owned === undefined) return
    owned.seeks++
    owned.next = offset
    owned.done = offset
    owned.doneAhead.clear()
    owned.lastOfKey.clear()
    partition.mayGoBackTo = Math.min(partition.mayGoBackTo, offset)
  }

  // --- commits, as the broker stores them ---

  stored(key: string, offset: number): void {
    const partition = this.#of(key)
    if (offset < partition.committed && offset < partition.mayGoBackTo) {
      this.#world.blame(`the committed offset of ${key} goes back from ${partition.committed} to ${offset}`)
    }
    if (offset > partition.contiguous) {
      this.#world.blame(`${offset} is committed for ${key}, processed without gap is only ${partition.contiguous}`)
    }
    partition.committed = offset
    partition.commits.push({ atMs: this.#world.nowMs, offset })
  }

  // --- the end ---

  get isAllProcessed(): boolean {
    return [...this.#partitions.values()].every(({ contiguous, written }) => contiguous >= written)
  }

  get isAllCommitted(): boolean {
    return [...this.#partitions.values()].every(({ committed, written }) => written === 0 || committed >= written)
  }

  get isAllOwnedOnce(): boolean {
    return [...this.#partitions.values()].every(({ owners }) => owners.length === 1)
  }

  /** What is not as it should be in the end. */
  open(): string {
    return [...this.#partitions.values()]
      .filter(
        ({ contiguous, written, committed, owners }) =>
          contiguous < written || committed < written || owners.length !== 1,
      )
      .map(({ key, contiguous, written, committed, owners }) => {
        const names = owners.map(({ who }) => who.name).join('+') || 'nobody'
        return `${key}: ${contiguous}/${written} processed, ${committed} committed, of ${names}`
      })
      .join('; ')
  }

  know(key: string): void {
    this.#of(key)
  }

  #of(key: string): Partition {
    let partition = this.#partitions.get(key)
    if (partition === undefined) {
      partition = {
        key,
        written: 0,
        processed: new Set(),
        contiguous: 0,
        committed: -1,
        commits: [],
        mayGoBackTo: Number.POSITIVE_INFINITY,
        owners: [],
      }
      this.#partitions.set(key, partition)
    }
    return partition
  }
}
