/**
 * The two buffers: records that were written, what is sealed of them and when. It is told of each seal and of each question to
 * the strategy function that was seen, and fails when the rules do not allow it, or ask for one that was not seen.
 * Source: features.md CH-2, CH-4..CH-9.
 */
import { check, EPSILON_MS, type Rec, type SealedModel, type SeenAsk, type SeenSeal } from './model-types.js'
import { type Due, dueAfter, type Fill, isFulfilled, isFull, type Tuning } from './rules.js'

export abstract class SwitchModel {
  readonly seals: SeenSeal[] = []
  readonly asks: SeenAsk[] = []
  readonly now: () => number
  tuning: Tuning
  active: Rec[] = []
  activeBytes = 0
  /** In the order in which they leave. */
  sealed: SealedModel[] = []
  sealedBytes = 0
  sequence = 0
  configVersion = 1
  written = 0
  writtenBytes = 0
  #firstAtMs = 0
  #updatedAtMs = -1
  #askAtMs = 0

  constructor(tuning: Tuning, now: () => number) {
    this.tuning = tuning
    this.now = now
  }

  /** Something became readable. */
  protected abstract serve(): void

  /** A record that has its room, by the rules of the switch. */
  protected put(record: Rec): void {
    const { tuning } = this
    if (record.bytes > tuning.maxBytes) this.seal('an item above maxBytes gets a buffer of its own')
    const isFirst = this.active.length === 0
    const nowMs = this.now()
    if (isFirst) {
      this.#firstAtMs = nowMs
      this.#askAtMs = nowMs + tuning.windowMs
      this.#updatedAtMs = -1
    }
    const elapsedMs = nowMs - this.#firstAtMs
    const wasDue = !isFirst && tuning.switchStrategy !== 'own' && isFulfilled(tuning, this.#fill, elapsedMs)
    this.active.push(record)
    this.activeBytes += record.bytes
    this.written++
    this.writtenBytes += record.bytes
    const isSealed = this.seals[0]?.written === this.written
    if (this.#isDueAtWrite(isFirst, wasDue, elapsedMs, isSealed)) this.seal(`record ${record.n} makes the buffer due`)
  }

  /** Whether this write must end in a seal; where the rules leave room, what was seen decides. */
  #isDueAtWrite(isFirst: boolean, wasDue: boolean, elapsedMs: number, isSealed: boolean): boolean {
    const { tuning } = this
    if (isFull(tuning, this.#fill)) return true
    if (tuning.switchStrategy === 'own') {
      const ask = this.asks.shift()
      check(ask?.records === this.active.length, () => 'the strategy function is asked at each write')
      return ask?.answer === true
    }
    const may = isFulfilled(tuning, this.#fill, elapsedMs)
    if (!isSealed) return may && (isFirst || !wasDue) && isFulfilled(tuning, this.#fill, elapsedMs, true)
    return may // If not, the seal belongs to what follows, or to nothing: `deadline` will tell.
  }

  get #fill(): Fill {
    return { records: this.active.length, bytes: this.activeBytes }
  }

  #tellActive(): string {
    const elapsedMs = this.now() - this.#firstAtMs
    return `${this.active.length} records, ${this.activeBytes} B after ${elapsedMs} ms under ${JSON.stringify(this.tuning)}`
  }

  /** Something seals now: that must have been seen, at this number of written records. */
  seal(why: string): boolean {
    if (this.active.length === 0) return false
    const seen = this.seals.shift()
    check(seen?.written === this.written, () => `not sealed, though ${why}: ${this.#tellActive()}`)
    this.sequence++
    this.sealed.push({ sequence: this.sequence, records: this.active, bytes: this.activeBytes, read: 0 })
    this.sealedBytes += this.activeBytes
    this.active = []
    this.activeBytes = 0
    this.serve()
    return true
  }

  /** When time alone seals what is active: null = never. */
  due(): Due | null {
    if (this.active.length === 0) return null
    const nowMs = this.now()
    if (this.tuning.switchStrategy === 'own') {
      const atMs = isFull(this.tuning, this.#fill) ? this.#updatedAtMs : this.#askAtMs
      return atMs === Number.POSITIVE_INFINITY ? null : { mayMs: atMs, mustMs: Math.max(nowMs, atMs) }
    }
    const { mayMs, mustMs } = dueAfter(this.tuning, this.#fill)
    if (mayMs === Number.POSITIVE_INFINITY) return null
    return { mayMs: this.#firstAtMs + mayMs, mustMs: Math.max(nowMs, this.#firstAtMs + mustMs) }
  }

  /** Time has gone on: seals and questions that were seen must be due. */
  deadline(): void {
    for (let ask = this.asks[0]; ask !== undefined; ask = this.asks[0]) {
      this.asks.shift()
      const { atMs, answer, records } = ask
      const isRight = atMs >= this.#askAtMs - EPSILON_MS && records === this.active.length
      check(isRight, () => `asked at ${atMs} ms about ${records} records, due at ${this.#askAtMs} ms`)
      this.#askAtMs = atMs + Math.max(1, this.tuning.windowMs)
      if (answer) this.seal('the strategy function said yes')
    }
    for (let seen = this.seals[0]; seen !== undefined; seen = this.seals[0]) {
      const due = this.due()
      const { atMs } = seen
      check(due !== null && atMs >= due.mayMs - EPSILON_MS, () => `sealed too early: ${this.#tellActive()}`)
      this.seal('its time has come')
    }
  }

  update(tuning: Tuning): void {
    this.tuning = tuning
    this.configVersion++
    this.#updatedAtMs = this.now()
    if (this.active.length > 0) this.#askAtMs = Math.max(this.now(), this.#firstAtMs + tuning.windowMs)
  }
}
