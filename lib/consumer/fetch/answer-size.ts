/**
 * How much the next answer of a broker may bring: little while that keeps callbacks busy, more when they wait.
 *
 *   callbacks waited long for a full answer --------------> twice as much, up to fetchMaxBytes
 *   an answer found more than another one still buffered,
 *   or nobody waited for CALM_ANSWERS in a row -----------> half, down to SMALL_BYTES
 *
 * Why not always `fetchMaxBytes`: answers of megabytes pile up faster than they are worked off. What waits for long
 * survives the collector's young generation, and each few megabytes of it cost a collection of the whole heap; what is
 * worked off within milliseconds costs nothing of that, and the process stays small. Why it grows: on a line with a
 * long way to the broker one small answer per round trip would not fill it. Pure: time is an argument.
 */

/** Worked off within a few milliseconds. Bytes. */
const SMALL_BYTES = 1_048_576
/**
 * A wait that size can mend. Shorter ones are turns of a busy loop, here or at the broker: with 4 ms a loaded machine
 * made answers grow to their maximum. At 20 ms a small answer per round trip still brings 50 MiB/s. Milliseconds.
 */
const WAIT_MS = 20
/** So many answers without a wait: what made us grow is over. */
const CALM_ANSWERS = 16

export class AnswerSize {
  readonly #smallBytes: number
  readonly #maxBytes: number
  #bytes: number
  #calm = 0 // answers in a row that nobody waited for
  #dryMs = Number.NEGATIVE_INFINITY // when the last buffered byte was worked off

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#smallBytes = Math.min(SMALL_BYTES, maxBytes)
    this.#bytes = this.#smallBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Nothing of some partition is buffered any more. */
  ranDry(nowMs: number): void {
    this.#dryMs = nowMs
  }

  /** `askedBytes` at most were asked for at `sentMs`; `bufferedBytes` waited for callbacks when the answer came. */
  answered(askedBytes: number, receivedBytes: number, bufferedBytes: number, sentMs: number, nowMs: number): void {
    const waitedMs = bufferedBytes > 0 ? 0 : nowMs - Math.max(this.#dryMs, sentMs)
    const isFull = receivedBytes * 4 >= askedBytes * 3
    this.#calm = waitedMs >= WAIT_MS ? 0 : this.#calm + 1
    if (isFull && waitedMs >= WAIT_MS) this.#bytes = Math.min(this.#maxBytes, this.#bytes * 2)
    else if (bufferedBytes >= this.#bytes || this.#calm >= CALM_ANSWERS) this.#shrink()
  }

  #shrink(): void {
    this.#calm = 0
    this.#bytes = Math.max(this.#smallBytes, Math.floor(this.#bytes / 2))
  }
}
