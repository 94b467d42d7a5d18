/**
 * What the caller of a log knows: what it gave, what was promised to it, what it settled. The oracle of the crash
 * enumeration; it never asks the log under test what is true.
 * Terms: a unit is one call of `append` or `appendItem`; "called" is what the caller asked for, "kept" is what a given
 * crash may not undo. Everything else may be there or not be there after the crash, but whole and in order.
 * Source: wal.md 1.1 (promise per durability), 6.2 (pass criteria).
 */

import { type Entry, type LogDurability, UNBOUND, type Wal } from '../../../lib/wal/index.js'
import type { CrashKind } from '../../support/wal-sim/index.js'

export interface Identity {
  readonly producerId: bigint
  readonly epoch: number
  readonly baseSequence: number
}

export interface Unit {
  readonly lsn: number
  readonly stream: number
  readonly first: number
  readonly count: number
  /** Body of a batch, or one item with its length before it. */
  readonly stored: Uint8Array
  readonly isItem: boolean
  /** Identities in the order they were given, with the LSN that carries them. The first is the append's. */
  readonly identities: { readonly lsn: number; readonly identity: Identity }[]
  /** Of each record: running number of the settlement that was called for it; 0 = none. */
  readonly settlements: Float64Array
}

/** What a crash may not undo. */
export interface Kept {
  readonly lsn: number
  readonly settlements: number
}

/** Settled in an earlier life, and kept: no later crash undoes it. */
const SETTLED_BEFORE = -1
/** Asked for in an earlier life, and not known to be kept. */
const NEVER_KEPT = Number.POSITIVE_INFINITY

let versions = 0

export class LogModel {
  readonly durability: LogDurability
  readonly streams = new Map<number, Unit[]>()
  readonly byLsn = new Map<number, Unit>()
  acceptedLsn = 0
  acceptedSettlements = 0
  syncedLsn = 0
  syncedSettlements = 0
  /** An opening resolved: from then on the directory is a log, whatever happens. */
  isOpened = false
  /** Changes whenever what a crash may not undo grows; never the same in two models. */
  version = ++versions
  syncedVersion = ++versions
  readonly nextOf = new Map<number, number>()

  constructor(durability: LogDurability) {
    this.durability = durability
  }

  append(unit: Omit<Unit, 'settlements' | 'identities'>, identity: Identity): Unit {
    const full: Unit = {
      ...unit,
      identities: [{ lsn: unit.lsn, identity }],
      settlements: new Float64Array(unit.count),
    }
    const units = this.streams.get(unit.stream)
    if (units === undefined) this.streams.set(unit.stream, [full])
    else units.push(full)
    this.byLsn.set(unit.lsn, full)
    this.nextOf.set(unit.stream, unit.first + unit.count)
    return full
  }

  settle(unit: Unit, from: number, to: number, settlement: number): void {
    for (let at = from; at <= to; at++) {
      if (unit.settlements[at - unit.first] === 0) unit.settlements[at - unit.first] = settlement
    }
  }

  accepted(lsn: number, settlements: number): void {
    if (lsn === this.acceptedLsn && settlements === this.acceptedSettlements) return
    this.acceptedLsn = Math.max(lsn, this.acceptedLsn)
    this.acceptedSettlements = Math.max(settlements, this.acceptedSettlements)
    this.version = ++versions
  }

  synced(lsn: number, settlements: number): void {
    this.syncedLsn = Math.max(lsn, this.syncedLsn)
    this.syncedSettlements = Math.max(settlements, this.syncedSettlements)
    this.version = ++versions
    this.syncedVersion = ++versions
  }

  keptBy(crash: CrashKind): Kept {
    if (crash === 'kill' || this.durability === 'immediate')
      return { lsn: this.acceptedLsn, settlements: this.acceptedSettlements }
    return { lsn: this.syncedLsn, settlements: this.syncedSettlements }
  }

  /** Changes whenever `keptBy` may have. */
  versionFor(crash: CrashKind): number {
    return crash === 'kill' || this.durability === 'immediate' ? this.version : this.syncedVersion
  }

  /** What remains to be true when that crash was the end of this life, until somebody opens the log again. */
  after(crash: CrashKind): LogModel {
    const model = new LogModel(this.durability)
    for (const [stream, units] of this.streams) model.streams.set(stream, units)
    for (const [lsn, unit] of this.byLsn) model.byLsn.set(lsn, unit)
    for (const [stream, next] of this.nextOf) model.nextOf.set(stream, next)
    const kept = this.keptBy(crash)
    model.acceptedLsn = kept.lsn
    model.acceptedSettlements = kept.settlements
    model.syncedLsn = Math.min(this.syncedLsn, kept.lsn)
    model.syncedSettlements = Math.min(this.syncedSettlements, kept.settlements)
    model.isOpened = this.isOpened
    return model
  }

  /** What the next life begins with: units that came back, with the outcomes that came back. `isOnDisk`: all of it. */
  adopted(wal: Wal, isOnDisk: boolean): LogModel {
    const model = new LogModel(this.durability)
    const kept = this.keptBy('kill')
    for (const [stream, units] of this.streams) {
      const facts = wal.stream(stream)
      if (facts === undefined) continue
      model.nextOf.set(stream, facts.nextPosition)
      const found = wal.entriesOf(stream).flatMap((entry) => this.#adoptEntry(entry, units, kept))
      model.streams.set(stream, found)
      for (const unit of found) model.byLsn.set(unit.lsn, unit)
    }
    model.acceptedLsn = wal.acceptedLsn
    model.syncedLsn = isOnDisk ? wal.acceptedLsn : this.syncedLsn
    model.isOpened = true
    return model
  }

  #adoptEntry(entry: Entry, units: readonly Unit[], kept: Kept): Unit[] {
    const end = entry.firstPosition + entry.count
    const inside = units.filter((unit) => unit.first >= entry.firstPosition && unit.first < end)
    const settled = entry.count - entry.unsettled
    let least = 0
    let most = 0
    for (const unit of inside) {
      least += this.settledOf(unit, kept).least
      most += this.settledOf(unit, kept).most
    }
    const become = (settlement: number) => {
      if (settlement === 0 || settled === 0) return 0
      if (settled === most || settlement <= kept.settlements) return SETTLED_BEFORE
      return settled === least ? 0 : NEVER_KEPT
    }
    return inside.map((unit) => ({
      ...unit,
      identities: unit.identities.filter(
        ({ identity }) =>
          identity.producerId === entry.producerId &&
          (identity.producerId === UNBOUND || identity.baseSequence === entry.baseSequence),
      ),
      settlements: unit.settlements.map(become),
    }))
  }

  isKept(unit: Unit, kept: Kept): boolean {
    return unit.lsn <= kept.lsn
  }

  /** Records of the unit whose outcome may not be forgotten, and those whose outcome may be known. */
  settledOf(unit: Unit, kept: Kept): { readonly least: number; readonly most: number } {
    let least = 0
    let most = 0
    for (const settlement of unit.settlements) {
      if (settlement === 0) continue
      most++
      if (settlement <= kept.settlements) least++
    }
    return { least, most }
  }
}
