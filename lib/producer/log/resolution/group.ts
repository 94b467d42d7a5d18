/**
 * What became of the in-doubt batches of one identity: the decision table of wal.md 4.2.
 *
 *   ask the leader for its last sequence L --+-- known  --> send b1..bn, one in flight --+-- OK      settled
 *                                            +-- silent --> the same                     +-- 45      presumed, if L says so
 *                                            +-- absent --> nothing was written, or scan +-- 47, 59  scan, else ambiguous
 *
 * Why every change of the leader begins anew: L is the memory of one leader in one epoch, and includes what may be gone.
 * Invariant: what is settled here is in the partition's log, proved by an answer with acks all, by a header below the
 * high watermark, or by a later acknowledgement under the leader epoch of L. Everything else leaves as an outcome.
 */
import { type Entry, Outcome } from '../../../wal/index.js'
import { seqAdd, seqDiff } from '../../sequence.js'
import { type Answer, deliver } from './delivery.js'
import { GroupBooks, type GroupParts } from './group-books.js'
import { scanHeaders } from './header-scan.js'
import type { GroupOutcome, Step } from './outcomes.js'
import type { Leader } from './place.js'
import { mayHaveLostPower } from './power-loss.js'
import { isRemembered, isSameBatch } from './same-batch.js'
import { type Reading, readingOf, standingOf } from './standing.js'
import type { EdgeCase } from './types.js'

type Accepted = Extract<Answer, { kind: 'ok' }>
type Refused = Extract<Answer, { kind: 'refused' }>
/** What to do with a batch that was refused: it counts as written, goes once more, or the whole group leaves. */
type Sequel = 'presumed' | 'resend' | Step
/** What becomes of batches that are not in a log which was read completely. */
type WhenMissing = 'resend' | 'unwritten' | 'ambiguous'

/** Batches a broker remembers per producer id: what is refused among the last so many was forgotten by a restart. */
const REMEMBERED_BATCHES = 5
const OUT_OF_ORDER = 45
const DUPLICATE_SEQUENCE = 46
const INVALID_PRODUCER_EPOCH = 47
const UNKNOWN_PRODUCER_ID = 59
const SETTLED: GroupOutcome = { kind: 'settled' }

export class IdentityGroup {
  readonly #it: GroupParts
  readonly #books: GroupBooks
  readonly #maySend: boolean
  /** Batches that were refused although they are next, and went once more. */
  readonly #resent = new Set<Entry>()
  /** Written by what the leader remembers, not proved yet; null: nothing unusual about it. */
  #presumed = new Map<Entry, EdgeCase | null>()
  /** The log was read, nothing was found, and what is sent now is sent because of that. */
  #isScanned = false

  /** `maySend` false: something before this group goes under a fresh identity, and must not be overtaken. */
  constructor(parts: GroupParts, entries: readonly Entry[], maySend: boolean) {
    this.#it = parts
    this.#books = new GroupBooks(parts, entries)
    this.#maySend = maySend
  }

  async resolve(): Promise<GroupOutcome> {
    this.#books.settleAcknowledged()
    for (;;) {
      if (this.#books.rest.length === 0) return SETTLED
      const leader = await this.#it.place.leader()
      const step = await this.#round(leader)
      if (step !== 'again') return step
    }
  }

  async #round(leader: Leader): Promise<Step> {
    const reading = await this.#ask(leader)
    if (reading === null) return this.#later('its leader does not answer')
    this.#isScanned = false
    const isYoung = this.#books.judgeAge()
    switch (reading.kind) {
      case 'raised':
        return this.#raised(leader, reading)
      case 'silent':
        if (isYoung && this.#maySend) return this.#send(leader, reading)
        return this.#scanIfAllowed(leader, reading, isYoung ? 'E13' : 'E1', 'resend')
      case 'absent':
        if (!isYoung || this.#books.hasAck) return this.#scan(leader, isYoung ? 'E4' : 'E1', 'resend')
        return this.#maySend ? this.#send(leader, reading) : this.#unwritten()
      case 'known':
        return this.#maySend ? this.#send(leader, reading) : this.#compare(leader, reading)
    }
  }

  // --- sending, one in flight --------------------------------------------------------------------------------------

  async #send(leader: Leader, reading: Reading): Promise<Step> {
    this.#presumed = new Map()
    for (const entry of [...this.#books.rest]) {
      if (reading.kind === 'known' && this.#isPresumedUnsent(reading.last, entry)) {
        this.#presume(entry, reading)
        continue
      }
      const sequel = await this.#sendOne(entry, leader, reading)
      if (sequel === 'again') return 'again'
      if (sequel === 'presumed') this.#presume(entry, reading)
      else if (sequel !== 'settled') return this.#leave(sequel, leader, reading)
    }
    return this.#leave(SETTLED, leader, reading)
  }

  /** State that may vanish under way would take the same bytes a second time. */
  #isPresumedUnsent(last: number, entry: Entry): boolean {
    return this.#books.isAged && standingOf(last, entry) === 'written'
  }

  async #sendOne(entry: Entry, leader: Leader, reading: Reading): Promise<'settled' | 'presumed' | Step> {
    for (;;) {
      const answer = await this.#deliver(entry, leader)
      if (answer === 'again') return 'again'
      if (answer.kind === 'ok') return this.#accepted(entry, answer, leader, reading)
      const sequel =
        answer.kind === 'refused'
          ? await this.#refused(entry, answer, leader, reading)
          : await this.#damaged(entry, answer, leader, reading)
      if (sequel !== 'resend') return sequel
      this.#resent.add(entry)
    }
  }

  /** The same bytes without end, until there is an answer, or the table has to be read again. */
  async #deliver(entry: Entry, leader: Leader): Promise<Exclude<Answer, { kind: 'again' }> | 'again'> {
    const { place, stream, parts } = this.#it
    const attempts = new Map<number, number>()
    for (;;) {
      const answer = await deliver(entry, leader, stream, place, parts)
      place.goOn()
      if (answer.kind !== 'again') {
        place.progressed()
        return answer
      }
      if (answer.isUnsure) this.#it.sentUnsure()
      const { code, verdict } = answer
      const count = (attempts.get(code) ?? 0) + 1
      attempts.set(code, count)
      if (verdict !== null && count > verdict.maxRetries) return { kind: 'refused', code, verdict }
      if (place.hasLeft(leader)) return 'again'
      await place.backOff(answer.why)
      await place.leader()
      // What a broker may have forgotten is looked for before it goes again.
      if (place.hasLeft(leader) || (answer.isUnsure && !this.#books.judgeAge())) return 'again'
    }
  }

  async #accepted(entry: Entry, answer: Accepted, leader: Leader, reading: Reading): Promise<'settled' | Step> {
    const books = this.#books
    if (books.isBehindAcknowledged(answer.baseOffset)) {
      const { memory, place } = this.#it
      const isOurs = await isSameBatch(memory, place.at(leader), answer.baseOffset, entry, answer.crc)
      if (isOurs === null) return this.#later('its leader does not answer')
      if (!isOurs) return this.#foreign(`offset ${answer.baseOffset} was acknowledged before, for another batch`)
      books.tellLoss(-1)
    }
    const { place, memory } = this.#it
    // A leader's L may name what is gone by now: only this leader, in this epoch, has proved it with its answer.
    const proves =
      this.#presumed.size === 0 ||
      reading.kind === 'silent' ||
      (await memory.stillLeads(place.at(leader), leader.epoch))
    place.goOn()
    if (proves) {
      books.settle(this.#presumed, 'proven')
      this.#presumed = new Map()
    }
    const isKnown = reading.kind === 'known' && standingOf(reading.last, entry) === 'written'
    const isDuplicate = isKnown || answer.code === DUPLICATE_SEQUENCE || isRemembered(answer.logAppendTimeMs, entry)
    const edge = answer.code === DUPLICATE_SEQUENCE ? 'E13' : null
    const outcome = isDuplicate ? Outcome.duplicate : Outcome.delivered
    books.settleOne(entry, isDuplicate ? 'duplicate' : 'delivered', outcome, answer.baseOffset, edge)
    return proves || leader.epoch < 0 ? 'settled' : 'again'
  }

  // --- refusals ----------------------------------------------------------------------------------------------------

  #refused(entry: Entry, { code }: Refused, leader: Leader, reading: Reading): Promise<Sequel> {
    switch (code) {
      case OUT_OF_ORDER:
        return this.#outOfOrder(entry, leader, reading)
      case INVALID_PRODUCER_EPOCH:
        return this.#fenced(leader)
      case UNKNOWN_PRODUCER_ID:
        return this.#scan(leader, 'E13', 'unwritten')
      default:
        return this.#notNow(entry, leader, reading)
    }
  }

  /** 45: the broker has it already and forgot so, or something before it is missing. L tells which. */
  async #outOfOrder(entry: Entry, leader: Leader, reading: Reading): Promise<Sequel> {
    if (reading.kind === 'silent') return 'presumed'
    const now = await this.#ask(leader)
    if (now === null || now.kind === 'silent') return this.#later('its leader does not answer')
    if (now.kind === 'raised') return this.#raised(leader, now)
    if (now.kind === 'absent') {
      const edge = this.#books.isAged ? 'E1' : 'E4'
      return this.#isScanned ? this.#ambiguous(edge) : this.#scan(leader, edge, 'resend')
    }
    if (this.#isTakenBack(now.last)) return this.#later('its leader changed')
    switch (standingOf(now.last, entry)) {
      case 'written':
        return 'presumed'
      case 'inside':
        return this.#foreignInside(now.last, entry)
      case 'next':
        return this.#resent.has(entry) ? this.#ambiguous('E7') : 'resend'
      case 'behind':
        return this.#lost(now.last)
    }
  }

  /** What an earlier L named is gone: another leader, under the same name perhaps, has less of the log. */
  #isTakenBack(last: number): boolean {
    return [...this.#presumed.keys()].some((entry) => standingOf(last, entry) !== 'written')
  }

  /** This attempt wrote nothing, and no further one will; whether an earlier one did, L tells. */
  async #notNow(entry: Entry, leader: Leader, reading: Reading): Promise<Sequel> {
    if (reading.kind === 'silent') return this.#scanIfAllowed(leader, reading, 'E13', 'unwritten')
    const now = await this.#ask(leader)
    if (now === null || now.kind === 'silent') return this.#later('its leader does not answer')
    if (now.kind === 'raised') return this.#raised(leader, now)
    if (now.kind === 'absent') {
      const isNew = this.#books.judgeAge() && !this.#books.hasAck
      return isNew || this.#isScanned
        ? this.#unwritten()
        : this.#scan(leader, this.#books.isAged ? 'E1' : 'E4', 'unwritten')
    }
    if (this.#isTakenBack(now.last)) return this.#later('its leader changed')
    switch (standingOf(now.last, entry)) {
      case 'written':
        return 'presumed'
      case 'inside':
        return this.#foreignInside(now.last, entry)
      case 'next':
        return this.#unwritten()
      case 'behind':
        return this.#lost(now.last)
    }
  }

  /** Its bytes are gone: whether they are needed, L tells. */
  async #damaged(
    entry: Entry,
    { error }: Extract<Answer, { kind: 'damaged' }>,
    leader: Leader,
    reading: Reading,
  ): Promise<Sequel> {
    const sequel = await this.#notNow(entry, leader, reading)
    if (typeof sequel === 'string' || sequel.kind === 'settled' || sequel.kind === 'foreign') return sequel
    return { kind: 'damaged', error, isUnwritten: sequel.kind === 'unwritten', entries: this.#books.rest }
  }

  /** 47: the leader tells whose epoch it has; one that tells nothing has another writer's. */
  async #fenced(leader: Leader): Promise<Step> {
    const now = await this.#ask(leader)
    if (now === null) return this.#later('its leader does not answer')
    return this.#raised(leader, now)
  }

  /**
   * This identity is over. A lane of ours raises its epoch only when nothing of the old one is open: what we did not
   * log about it is in the partition's log. After another writer (E11) nobody knows, but what is there is delivered.
   */
  #raised(leader: Leader, reading: Reading): Promise<Step> {
    if (reading.kind !== 'raised' || !this.#books.isOwnEpoch(reading.epoch)) {
      return this.#scan(leader, 'E11', 'ambiguous')
    }
    this.#presumed = new Map(this.#books.rest.map((entry) => [entry, null]))
    return this.#leave(SETTLED, leader, reading)
  }

  /** Between L and this group something is missing. */
  #lost(last: number): GroupOutcome {
    // What a power loss took from our own log was perhaps never sent, and is no loss of the broker's.
    const hasLostPower = mayHaveLostPower(this.#it.parts.wal, this.#books.rest)
    if (hasLostPower && !this.#books.isAcknowledgedPast(last)) return this.#ambiguous('E10')
    this.#books.tellLoss(seqAdd(last, 1))
    return this.#ambiguous('E5')
  }

  // --- looking -----------------------------------------------------------------------------------------------------

  /** Nothing is sent: what L names is proved, the rest was not written. */
  async #compare(leader: Leader, reading: Extract<Reading, { kind: 'known' }>): Promise<Step> {
    this.#presumed = new Map()
    for (const entry of this.#books.rest) {
      const standing = standingOf(reading.last, entry)
      if (standing === 'inside') return this.#foreignInside(reading.last, entry)
      if (standing === 'written') this.#presumed.set(entry, null)
      else if (standing === 'behind' && this.#books.isAcknowledgedPast(reading.last)) return this.#lost(reading.last)
      else return this.#leave(this.#unwritten(), leader, reading)
    }
    return this.#leave(SETTLED, leader, reading)
  }

  async #scanIfAllowed(
    leader: Leader,
    { isLogReadable }: Extract<Reading, { kind: 'silent' }>,
    edge: EdgeCase,
    whenMissing: WhenMissing,
  ): Promise<Step> {
    return isLogReadable ? this.#scan(leader, edge, whenMissing) : this.#ambiguous('E12')
  }

  async #scan(leader: Leader, edge: EdgeCase, whenMissing: WhenMissing): Promise<Step> {
    const { memory, place, stream, ledger } = this.#it
    const books = this.#books
    const scan = await scanHeaders(memory, place.at(leader), books.rest, books.afterOffset)
    place.goOn()
    if (scan === null) return this.#later('its log cannot be read')
    if (scan === 'refused') return this.#ambiguous(edge === 'E11' ? edge : 'E12')
    if (scan.isForeign) return this.#foreign('another batch has the numbers of one of ours')
    if (scan.isShorter) books.tellLoss(-1)
    this.#presumed = new Map() // All of them were looked for.
    const lastFound = books.rest.findLast(({ lsn }) => scan.found.has(lsn))
    books.settleFound(scan.found, () => edge)
    const [missing] = books.rest
    if (missing === undefined) return SETTLED
    const isHole = lastFound !== undefined && missing.firstPosition < lastFound.firstPosition
    if (isHole || scan.isTrimmed || whenMissing === 'ambiguous') return this.#ambiguous(edge)
    ledger.edge(stream, edge, books.rest, 'not-persisted', 'resent')
    books.told()
    if (whenMissing === 'unwritten' || !this.#maySend) return this.#unwritten()
    this.#isScanned = true
    return this.#send(leader, { kind: 'absent' })
  }

  /** The group leaves; what was presumed is proved before. */
  async #leave(outcome: GroupOutcome, leader: Leader, reading: Reading): Promise<Step> {
    const proof = await this.#prove(leader, reading)
    if (proof === 'again' || proof.kind !== 'settled') return proof
    return outcome.kind === 'settled' ? outcome : { ...outcome, entries: this.#books.rest }
  }

  /** Presumed batches that no later acknowledgement proves are looked for, until the high watermark has passed them. */
  async #prove(leader: Leader, reading: Reading): Promise<Step> {
    const { memory, place, parts } = this.#it
    const untilMs = parts.clock.monotonicMs() + parts.requestTimeoutMs
    for (;;) {
      const left = [...this.#presumed.keys()].filter((entry) => this.#books.rest.includes(entry))
      const [first] = left
      if (first === undefined) return SETTLED
      if (reading.kind === 'silent' && !reading.isLogReadable) return this.#ambiguous('E12')
      const edge = this.#presumed.get(first) ?? this.#whyForgotten(first, reading)
      const scan = await scanHeaders(memory, place.at(leader), left, this.#books.afterOffset)
      place.goOn()
      if (scan === 'refused') return this.#ambiguous('E12')
      if (scan?.isForeign) return this.#foreign('another batch has the numbers of one of ours')
      if (scan !== null) this.#books.settleFound(scan.found, (entry) => this.#presumed.get(entry) ?? null)
      if (scan?.found.size === left.length) return SETTLED
      const isLate = parts.clock.monotonicMs() >= untilMs
      if (scan?.isTrimmed || reading.kind === 'silent' || isLate) return this.#ambiguous(edge)
      await place.backOff('a batch is not below the high watermark yet')
      await place.leader()
      if (place.hasLeft(leader)) return 'again'
    }
  }

  // --- small steps -------------------------------------------------------------------------------------------------

  async #ask(leader: Leader): Promise<Reading | null> {
    const { memory, place } = this.#it
    const state = await memory.stateOf(place.at(leader), this.#books.producerId)
    return state === null ? null : readingOf(state, this.#books.epoch)
  }

  async #later(why: string): Promise<'again'> {
    await this.#it.place.backOff(why)
    return 'again'
  }

  #presume(entry: Entry, reading: Reading): void {
    this.#presumed.set(entry, this.#whyForgotten(entry, reading))
  }

  /** Why a batch that is there was refused: too many behind it, or a broker that started since remembers only one. */
  #whyForgotten(entry: Entry, reading: Reading): EdgeCase {
    if (reading.kind === 'raised') return 'E11'
    if (this.#books.isAged) return 'E1'
    if (reading.kind === 'silent') return reading.isLogReadable ? 'E13' : 'E12'
    if (reading.kind !== 'known') return 'E3'
    const isTailLost = seqDiff(reading.last, this.#books.lastSequence) > 0
    return isTailLost || this.#books.writtenFrom(entry, reading.last) > REMEMBERED_BATCHES ? 'E2' : 'E3'
  }

  #ambiguous(edge: EdgeCase): GroupOutcome {
    return { kind: 'ambiguous', edge, entries: this.#books.rest }
  }

  #unwritten(): GroupOutcome {
    return { kind: 'unwritten', entries: this.#books.rest }
  }

  #foreign(why: string): GroupOutcome {
    return { kind: 'foreign', why, entries: this.#books.rest }
  }

  #foreignInside(last: number, { baseSequence, count }: Entry): GroupOutcome {
    return this.#foreign(`the broker's last sequence ${last} is inside ${baseSequence}, ${count} records`)
  }
}
