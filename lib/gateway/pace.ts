/**
 * How fast one client may publish: a bucket of records and one of bytes, both refilled with time; empty ones make it wait.
 * Why a debt and no refusal: a frame that is here is taken, and the next one is not read until it is paid; the client
 * meets a full window, as with every other limit of ours, and loses nothing.
 *
 *   burst = one second's worth   ---take---> level may fall below 0   ---wait -level / rate---> reading goes on
 */

export interface PaceLimits {
  /** 0 = no limit. */
  readonly publishPerSecond: number
  readonly bytesPerSecond: number
}

/** One wait; what is still owed then makes the next frame wait. Milliseconds. */
const LONGEST_WAIT_MS = 86_400_000

class Bucket {
  readonly #perSecond: number
  readonly #most: number
  #level: number
  #atMs: number

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond
    this.#most = Math.max(1, perSecond)
    this.#level = this.#most
    this.#atMs = nowMs
  }

  /** Milliseconds until nothing is owed. */
  take(amount: number, nowMs: number): number {
    if (this.#perSecond === 0) return 0
    const refilled = this.#level + ((nowMs - this.#atMs) / 1000) * this.#perSecond
    this.#level = Math.min(this.#most, refilled) - amount
    this.#atMs = nowMs
    return this.#level >= 0 ? 0 : Math.ceil((-this.#level / this.#perSecond) * 1000)
  }
}

export class Pace {
  readonly #records: Bucket
  readonly #bytes: Bucket

  constructor({ publishPerSecond, bytesPerSecond }: PaceLimits, nowMs: number) {
    this.#records = new Bucket(publishPerSecond, nowMs)
    this.#bytes = new Bucket(bytesPerSecond, nowMs)
  }

  /** One frame of `bytes`, with `records` in it; gives the milliseconds for which nothing more is to be read. */
  take(records: number, bytes: number, nowMs: number): number {
    const waitMs = Math.max(this.#records.take(records, nowMs), this.#bytes.take(bytes, nowMs))
    return Math.min(waitMs, LONGEST_WAIT_MS)
  }
}
