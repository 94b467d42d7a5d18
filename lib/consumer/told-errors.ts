/**
 * Every MQError that leaves a consumer, by code: events, calls that fail, what ends delivery (`errors_total`).
 * Why by object: a failure that ends delivery is an event, the rejection of `run()` and what each reader gets, and it is
 * one error all the same.
 */
import { type ErrorCode, MQError } from '../errors/index.js'

export class ToldErrors {
  readonly #counts = new Map<ErrorCode, number>()
  readonly #known = new WeakSet<MQError>()

  get counts(): ReadonlyMap<ErrorCode, number> {
    return this.#counts
  }

  /** What is no MQError is the caller's own: the reason of a signal. */
  count(error: unknown): void {
    if (!(error instanceof MQError) || this.#known.has(error)) return
    this.#known.add(error)
    this.#counts.set(error.code, (this.#counts.get(error.code) ?? 0) + 1)
  }

  /** The result of `task`; what it throws is counted. */
  of<T>(task: () => T): T {
    try {
      return task()
    } catch (error) {
      this.count(error)
      throw error
    }
  }

  /** The same for what it rejects with. */
  async ofAsync<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task()
    } catch (error) {
      this.count(error)
      throw error
    }
  }
}
