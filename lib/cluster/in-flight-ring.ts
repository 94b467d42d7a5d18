/**
 * Requests of one connection that wait for their answer. Hot path, once per request.
 * Why a ring: a broker answers one connection strictly in request order, so the head is the next to be answered and a
 * correlation id only has to be compared, never searched.
 * Invariant: 0 <= size <= slots; slots between head and head + size hold a request, all others nothing.
 * Source: kafka.md W-9.
 *
 *  [ 41 ][ 42 ][ 43 ][    ][    ]   a wrong id at the head means that the two sides disagree: the socket must go
 *    ^head             ^head + size
 */
import type { Api } from '../protocol/index.js'
import { assert } from '../util/index.js'

/** Requests on one socket. More would only wait in the broker, which serves one after the other. */
export const RING_SLOTS = 32

export class InFlightSlot {
  api: Api | null = null
  correlationId = -1
  version = -1
  limitMs = 0
  sentAtMs = 0
  resolve: ((body: never) => void) | null = null
  reject: ((reason: unknown) => void) | null = null
}

export class InFlightRing {
  readonly #slots = Array.from({ length: RING_SLOTS }, () => new InFlightSlot())
  #head = 0
  size = 0

  get isFull(): boolean {
    return this.size === RING_SLOTS
  }

  /** The slot to fill for one more request. */
  push(): InFlightSlot {
    assert(this.size < RING_SLOTS, 'a request is sent only while the ring has room')
    return this.#slots[(this.#head + this.size++) % RING_SLOTS] as InFlightSlot
  }

  /** The request whose answer comes next. */
  head(): InFlightSlot | null {
    return this.size === 0 ? null : (this.#slots[this.#head] as InFlightSlot)
  }

  /** Frees the head; its functions are the caller's to remember first. */
  pop(): void {
    assert(this.size > 0, 'only a waiting request is answered')
    const slot = this.#slots[this.#head] as InFlightSlot
    slot.api = null
    slot.resolve = null
    slot.reject = null
    this.#head = (this.#head + 1) % RING_SLOTS
    this.size--
  }
}
