/**
 * Virtual time that runs by itself, as fast as the event loop turns.
 * Why: real sockets need real turns of the loop, but back-offs, deadlines and pauses between metadata questions need
 * only that time passes. One virtual millisecond per turn makes a wait of 10 s a matter of a second, and nothing
 * depends on how fast the machine is.
 * Invariant: time moves between turns only, so what one turn does happens at one moment.
 */
import { onTestFinished } from 'vitest'
import { FakeClock } from '../../lib/util/index.js'

export class DrivenClock extends FakeClock {
  #isRunning = false
  /** Virtual milliseconds per turn. */
  stepMs = 1

  start(): this {
    if (!this.#isRunning) {
      this.#isRunning = true
      this.#drive()
    }
    return this
  }

  stop(): void {
    this.#isRunning = false
  }

  #drive(): void {
    setImmediate(() => {
      if (!this.#isRunning) return
      this.advance(this.stepMs)
      this.#drive()
    })
  }
}

/** A clock that runs until the test is over. Give it to the broker and to the client. */
export function drivenClock(): DrivenClock {
  const clock = new DrivenClock().start()
  onTestFinished(() => clock.stop())
  return clock
}
