/**
 * Reads older records of one partition for clients that are behind the cache, a batch at a time.
 *
 *   from ---[ held ][ held ]--- position        held: what members are being sent
 *
 * Members are at most so far apart as their pool allows; each gets from what is held the records from its own place on.
 * The next batch is read when every member that can take something has had all of this one: who cannot (its buffer is
 * full) is left behind and asks again when it is drained, so nobody waits for a slow one.
 * Invariant: at most the batches that were under way when it was paused are held. Source: features.md GW-3.
 */
import type { MQError } from '../../errors/index.js'
import type { FeedRecord } from '../types.js'
import { type CatchUpPlace, type Cursor, type CursorHome, PLACE, type Place } from './cursor.js'
import { entriesOf, type FeedEntry } from './entry.js'
import { LogReader, type LogReaderParts } from './log-reader.js'

export interface CatchUpOwner {
  /** A member can go on. */
  wake(cursor: Cursor): void
  /** It has nothing to do just now, or nobody to do it for. */
  idle(catchUp: CatchUp): void
  /** The partition cannot be read any more. */
  failed(home: CursorHome, error: MQError): void
}

export class CatchUp implements CatchUpPlace {
  readonly home: CursorHome
  readonly #owner: CatchUpOwner
  readonly #members = new Set<Cursor>()
  /** By place. */
  readonly #counts = [0, 0, 0, 0, 0]
  #reader: LogReader | null = null
  #held: FeedEntry[] = []
  /** Where `held` begins; before it is open, where it will begin. */
  #from: number
  startedMs = 0

  constructor(home: CursorHome, from: number, owner: CatchUpOwner) {
    this.home = home
    this.#from = from
    this.#owner = owner
  }

  get isOpen(): boolean {
    return this.#reader !== null
  }

  get members(): number {
    return this.#members.size
  }

  /** Nobody could be sent anything of it just now. */
  get isAtRest(): boolean {
    return this.#counts[PLACE.parked] === this.#members.size
  }

  /** One who stands there may join: it misses nothing, and does not wait long until its place is reached. */
  isNear(offset: number, span: number): boolean {
    if (this.#reader === null) return Math.abs(offset - this.#from) <= span
    return offset >= this.#from && offset - this.#reader.position <= span
  }

  join(cursor: Cursor): void {
    if (this.#reader === null) this.#from = Math.min(this.#from, cursor.next)
    this.#members.add(cursor)
    cursor.catchUp = this
    this.#count(cursor.place, 1)
    if (this.at(cursor.next) !== null) this.#owner.wake(cursor)
    else cursor.moveTo(PLACE.catching)
  }

  open(parts: LogReaderParts): void {
    const { topic, partition } = this.home
    this.startedMs = parts.clock.monotonicMs()
    const owner = { read: this.#read.bind(this), ended: (error: MQError) => this.#owner.failed(this.home, error) }
    this.#reader = new LogReader(parts, topic, partition, this.#from, owner)
    this.#reader.open()
  }

  at(offset: number): FeedEntry | null {
    if (offset < this.#from) return null
    for (const entry of this.#held) if (entry.block.lastOffset >= offset) return entry
    return null
  }

  hasMoreFor(cursor: Cursor): boolean {
    if (cursor.next < this.#from) return false
    cursor.moveTo(PLACE.catching)
    return true
  }

  leave(cursor: Cursor): void {
    if (!this.#members.delete(cursor)) return
    this.#count(cursor.place, -1)
    cursor.catchUp = null
    this.#goOn()
  }

  shift(from: Place, to: Place): void {
    this.#count(from, -1)
    this.#count(to, 1)
    if (from === PLACE.queued) this.#goOn()
  }

  /** Its members are nobody's any more; gives them. */
  end(): Cursor[] {
    const members = [...this.#members]
    this.close()
    return members
  }

  close(): void {
    this.#reader?.close()
    this.#held = []
    for (const cursor of this.#members) cursor.catchUp = null
    this.#members.clear()
    this.#counts.fill(0)
  }

  #count(place: Place, by: number): void {
    this.#counts[place] = (this.#counts[place] as number) + by
  }

  #read(records: readonly FeedRecord[], deletedBefore: number): void {
    const { topic, partition } = this.home
    this.#reader?.pause()
    this.#held.push(...entriesOf(topic, partition, records, deletedBefore))
    for (const cursor of this.#members) if (cursor.place === PLACE.catching) this.#owner.wake(cursor)
  }

  /** Nobody has anything of what is held to get: more is read, if somebody waits for it. */
  #goOn(): void {
    if ((this.#counts[PLACE.queued] as number) > 0) return
    if ((this.#counts[PLACE.catching] as number) === 0) return this.#owner.idle(this)
    if (this.#reader === null) return
    this.#held = []
    this.#from = this.#reader.position
    this.#reader.resume()
  }
}
