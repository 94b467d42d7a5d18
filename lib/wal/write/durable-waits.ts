/** Callers that wait until an LSN is durable: `sync`, identities, the end. */
import { type Deferred, deferred } from '../../util/index.js'

export class DurableWaits {
  #waiting: { readonly lsn: number; readonly done: Deferred<void> }[] = []

  until(lsn: number): Promise<void> {
    const done = deferred<void>()
    this.#waiting.push({ lsn, done })
    return done.promise
  }

  reached(durableLsn: number): void {
    if (this.#waiting.length === 0) return
    for (const { lsn, done } of this.#waiting) if (lsn <= durableLsn) done.resolve()
    this.#waiting = this.#waiting.filter(({ lsn }) => lsn > durableLsn)
  }

  refuse(error: unknown): void {
    for (const { done } of this.#waiting) done.reject(error)
    this.#waiting = []
  }
}
