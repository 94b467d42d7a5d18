/**
 * When a connection has waited long enough: idle, half a message, an end that does not come. NT-7, NT-8.
 * Why lazily: a busy connection only notes the time; its timer looks at the note when it fires and waits for the rest.
 * Invariant: at most one entry per limit on the wheel, none of them after `stop`.
 */
import type { MQError } from '../../errors/index.js'
import type { IdleHandle, WheelHandle } from '../wheel/timer.js'
import { closeLate, type Ended, frameLate, idleFor } from './failures.js'
import type { LoopServices } from './loop-services.js'

/** What is watched. */
export interface TimedConnection extends Ended {
  readonly pendingMessages: number
  readonly isReading: boolean
  closeSilent(error: MQError): void
  destroy(error: MQError): void
}

export class ConnectionTimers {
  readonly #loop: LoopServices
  readonly #connection: TimedConnection
  readonly #idleMs: number
  readonly #frameMs: number
  #frameAtMs = -1 // the message that is incomplete began then; -1 = none is
  #idle: IdleHandle | null = null
  #frame: WheelHandle | null = null
  #close: WheelHandle | null = null

  constructor(loop: LoopServices, connection: TimedConnection) {
    this.#loop = loop
    this.#connection = connection
    this.#idleMs = loop.limits.idleMs
    this.#frameMs = loop.limits.frameTimeoutMs
  }

  begin(): void {
    if (this.#idleMs > 0) this.#idle = this.#loop.wheel.runIdle(this.#idleMs, () => this.#idleOver())
  }

  /** Bytes came, or the system took some of ours. */
  active(): void {
    if (this.#idle !== null) this.#idle.touch()
  }

  messageBegan(): void {
    if (this.#frameMs === 0 || this.#frameAtMs >= 0) return
    this.#frameAtMs = this.#loop.clock.monotonicMs()
    if (this.#frame === null) this.#lookForFrame(this.#frameMs)
  }

  messageEnded(): void {
    this.#frameAtMs = -1
  }

  /** From now on only the end counts. */
  closing(): void {
    this.stop()
    const { closeTimeoutMs } = this.#loop.limits
    const connection = this.#connection
    this.#close = this.#loop.wheel.runAfter(closeTimeoutMs, () =>
      connection.destroy(closeLate(connection, closeTimeoutMs)),
    )
  }

  stop(): void {
    this.#idle?.stop()
    this.#frame?.stop()
    this.#close?.stop()
    this.#idle = this.#frame = this.#close = null
  }

  #idleOver(): void {
    // An answer that is owed keeps it alive: it is we who are slow.
    if (this.#connection.pendingMessages > 0) {
      this.#idle?.restart()
      return
    }
    this.#loop.idleClosed++
    this.#connection.closeSilent(idleFor(this.#connection, this.#idleMs))
  }

  #lookForFrame(delayMs: number): void {
    this.#frame = this.#loop.wheel.runAfter(delayMs, () => {
      this.#frame = null
      if (this.#frameAtMs < 0) return
      // While we do not read, nobody can complete anything.
      if (!this.#connection.isReading) this.#frameAtMs = this.#loop.clock.monotonicMs()
      const leftMs = this.#frameAtMs + this.#frameMs - this.#loop.clock.monotonicMs()
      if (leftMs > 0) this.#lookForFrame(Math.ceil(leftMs))
      else this.#connection.closeSilent(frameLate(this.#connection, this.#frameMs))
    })
  }
}
