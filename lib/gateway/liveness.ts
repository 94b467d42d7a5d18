/**
 * Finds WebSocket clients that are gone without a word: pings what is silent for half of `idleMs`, ends what is silent for
 * all of it. GW-4.
 * Why not the idle limit of the server: that counts bytes written as life, and our own pings are such bytes.
 * Invariant: one entry on the timing wheel per client; a client that we owe something, or do not read, is not silent.
 */
import type { SessionHost } from './host.js'
import { silent } from './refusals.js'
import type { Session } from './session.js'

export interface Pinged {
  ping(): void
  /** Pongs so far. */
  pongs(): number
}

export class Liveness {
  readonly #session: Session
  readonly #host: SessionHost
  readonly #pinged: Pinged
  #pongs = 0
  #isPinged = false
  #timer: { stop(): void } | null = null

  constructor(session: Session, host: SessionHost, pinged: Pinged) {
    this.#session = session
    this.#host = host
    this.#pinged = pinged
    if (host.options.idleMs > 0) this.#lookIn(this.#halfMs)
  }

  stop(): void {
    this.#timer?.stop()
    this.#timer = null
  }

  get #halfMs(): number {
    return Math.ceil(this.#host.options.idleMs / 2)
  }

  #lookIn(ms: number): void {
    this.#timer = this.#host.runAfter(ms, () => this.#look())
  }

  #look(): void {
    const { idleMs } = this.#host.options
    const nowMs = this.#host.clock.monotonicMs()
    if (this.#hasSignOfLife()) this.#session.heardAtMs = nowMs
    const silentMs = nowMs - this.#session.heardAtMs
    if (silentMs >= idleMs) {
      this.#session.end(silent(idleMs))
      return
    }
    if (silentMs < this.#halfMs) this.#isPinged = false
    else if (!this.#isPinged) {
      this.#isPinged = true
      this.#pinged.ping()
    }
    this.#lookIn(Math.max(1, (this.#isPinged ? idleMs : this.#halfMs) - silentMs))
  }

  #hasSignOfLife(): boolean {
    const pongs = this.#pinged.pongs()
    const hasPonged = pongs !== this.#pongs
    this.#pongs = pongs
    return hasPonged || this.#session.isHeldBack
  }
}
