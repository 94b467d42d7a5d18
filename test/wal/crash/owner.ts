/**
 * A caller of the log with a seed instead of a brain: appends, binds, settles, syncs, and writes down in the model
 * what it asked for and what was promised to it.
 * Invariant: nothing is noted before the log's method returned, and no promise before the log made it.
 */

import { type RandomSource, randomInt } from '../../../lib/util/index.js'
import { Outcome, UNBOUND, type Wal } from '../../../lib/wal/index.js'
import type { LogModel, Unit } from './model.js'

const HEAD_BYTES = 61

export class LogOwner {
  readonly wal: Wal
  readonly model: LogModel
  readonly random: RandomSource
  /** Rejections of promises the log gave: a test says whether it may. */
  readonly rejections: unknown[] = []
  /** Promises given and settled, to show that each settles once. */
  promised = 0
  resolved = 0
  readonly #isQueue: boolean
  readonly producerId: bigint
  readonly #sequences = new Map<number, number>()

  constructor(wal: Wal, model: LogModel, random: RandomSource, isQueue: boolean, producerId: bigint) {
    this.wal = wal
    this.model = model
    this.random = random
    this.#isQueue = isQueue
    this.producerId = producerId
    wal.onAccepted = () => this.note()
    this.note()
  }

  note(): void {
    this.model.accepted(this.wal.acceptedLsn, this.wal.acceptedSettlements)
  }

  unsettled(): Unit[] {
    return [...this.model.streams.values()].flatMap((units) => units.filter((unit) => unit.settlements.includes(0)))
  }

  append(stream: number, bytes: number): Unit | null {
    if (!this.wal.admits(bytes + 256)) return null
    return this.#isQueue ? this.#appendItem(stream, bytes) : this.#appendBatch(stream, bytes)
  }

  /** The oldest entry without an identity gets one: bound entries stand before unbound ones. */
  bind(): boolean {
    for (const units of this.model.streams.values()) {
      const unit = units.find((it) => it.settlements.includes(0) && isUnbound(it))
      if (unit === undefined || unit.isItem) continue
      const identity = this.#identity(unit.stream, unit.count)
      const lsn = this.wal.bind(unit.lsn, identity.producerId, identity.epoch, identity.baseSequence)
      unit.identities.push({ lsn, identity })
      return true
    }
    return false
  }

  settle(unit: Unit, from = unit.first, to = unit.first + unit.count - 1): void {
    const outcome = randomInt(this.random, 8) === 0 ? Outcome.dropped : Outcome.delivered
    const settlement = this.wal.settle(unit.stream, from, to, outcome, outcome === Outcome.delivered ? from + 1000 : -1)
    this.model.settle(unit, from, to, settlement)
  }

  /** Settles an unsettled unit, mostly the oldest, sometimes any, sometimes a part of it. */
  settleSome(): boolean {
    const units = this.unsettled()
    if (units.length === 0) return false
    const unit = units[this.random.next() < 0.8 ? 0 : randomInt(this.random, units.length)] as Unit
    const last = unit.first + unit.count - 1
    if (unit.count > 1 && this.random.next() < 0.2) this.settle(unit, unit.first, last - 1)
    else this.settle(unit)
    return true
  }

  async sync(): Promise<void> {
    const { acceptedLsn, acceptedSettlements } = this.wal
    await this.wal.sync()
    this.model.synced(acceptedLsn, acceptedSettlements)
  }

  /** Asks for the promise of an LSN and watches it. */
  watch(lsn: number): void {
    this.promised++
    this.wal.accepted(lsn).then(
      () => {
        this.resolved++
        if (this.wal.acceptedLsn < lsn) this.rejections.push(new Error(`accepted(${lsn}) at ${this.wal.acceptedLsn}`))
      },
      (error: unknown) => {
        this.resolved++
        this.rejections.push(error)
      },
    )
  }

  #appendItem(stream: number, bytes: number): Unit {
    const item = this.#bytes(bytes)
    const first = this.wal.appendItem(stream, item, item.length)
    const stored = Uint8Array.from([...varint(item.length), ...item])
    return this.model.append({ lsn: this.wal.lastLsn, stream, first, count: 1, stored, isItem: true }, NO_IDENTITY)
  }

  #appendBatch(stream: number, bytes: number): Unit {
    const count = 1 + randomInt(this.random, 5)
    const units = this.model.streams.get(stream) ?? []
    const mayBind = !units.some((unit) => unit.settlements.includes(0) && isUnbound(unit))
    const identity = mayBind && this.random.next() < 0.6 ? this.#identity(stream, count) : NO_IDENTITY
    const entry = {
      stream,
      count,
      maxTimestampMs: 1_700_000_000_000,
      ...identity,
      part: 0,
      parts: 1,
      originLsn: 0,
      lsn: 0,
      firstPosition: 0,
    }
    const head = this.#bytes(HEAD_BYTES)
    const body = this.#bytes(bytes)
    const lsn = this.wal.append(entry, head, body)
    const stored = Uint8Array.from([...head, ...body])
    return this.model.append({ lsn, stream, first: entry.firstPosition, count, stored, isItem: false }, identity)
  }

  #identity(stream: number, count: number) {
    const baseSequence = this.#sequences.get(stream) ?? 0
    this.#sequences.set(stream, baseSequence + count)
    return { producerId: this.producerId, epoch: 0, baseSequence }
  }

  #bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at++) bytes[at] = randomInt(this.random, 256)
    return bytes
  }
}

const NO_IDENTITY = { producerId: UNBOUND, epoch: -1, baseSequence: -1 }

function isUnbound(unit: Unit): boolean {
  return unit.identities[unit.identities.length - 1]?.identity.producerId === UNBOUND
}

function varint(value: number): number[] {
  const bytes: number[] = []
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128)
  bytes.push(value)
  return bytes
}
