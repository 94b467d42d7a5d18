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
  #pingedAtMs = -1 // since it was last heard; -1 = not yet
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
    this.#noteSigns(nowMs)
    const silentMs = nowMs - this.#session.heardAtMs
    if (silentMs >= idleMs) {
      this.#session.end(silent(idleMs))
      return
    }
    if (silentMs < this.#halfMs) this.#pingedAtMs = -1
    else if (this.#pingedAtMs < 0) {
      this.#pingedAtMs = nowMs
      this.#pinged.ping()
    }
    this.#lookIn(Math.max(1, (this.#pingedAtMs < 0 ? this.#halfMs : idleMs) - silentMs))
  }

  #noteSigns(nowMs: number): void {
    if (this.#session.isHeldBack) this.#session.heardAtMs = nowMs
    const pongs = this.#pinged.pongs()
    if (pongs === this.#pongs) return
    this.#pongs = pongs
    // It came at some time behind our ping: the earliest is the safe guess.
    this.#session.heardAtMs = Math.max(this.#session.heardAtMs, this.#pingedAtMs)
    this.#pingedAtMs = -1
  }
}
