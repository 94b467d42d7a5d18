/**
 * A latency histogram with bounded memory: 16 linear steps per power of two, so percentiles are within 6.25 %.
 * Values are ms with fraction; from 1 us to about 36 hours.
 */
const STEPS = 16
const POWERS = 37

export class Histogram {
  readonly #counts = new Float64Array(STEPS * POWERS)
  #count = 0
  #sum = 0
  #min = 0
  #max = 0

  /** Records a value `times` times: a batch's latency counts once per record. */
  record(ms: number, times = 1): void {
    const us = Math.max(1, ms * 1000)
    const power = Math.min(POWERS - 1, Math.floor(Math.log2(us)))
    const step = Math.min(STEPS - 1, Math.floor((us / 2 ** power - 1) * STEPS))
    this.#counts[power * STEPS + step] = (this.#counts[power * STEPS + step] as number) + times
    this.#min = this.#count === 0 ? ms : Math.min(this.#min, ms)
    this.#max = Math.max(this.#max, ms)
    this.#count += times
    this.#sum += ms * times
  }

  get count(): number {
    return this.#count
  }
  get sum(): number {
    return this.#sum
  }
  get min(): number {
    return this.#min
  }
  get max(): number {
    return this.#max
  }
  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count
  }

  /** Upper edge of the step that holds this share (0..1) of all values; 0 before the first. */
  percentile(share: number): number {
    let left = Math.ceil(share * this.#count)
    if (left === 0) return 0
    for (let at = 0; at < this.#counts.length; at++) {
      left -= this.#counts[at] as number
      if (left > 0) continue
      const power = Math.floor(at / STEPS)
      return Math.min(this.#max, (2 ** power * (1 + ((at % STEPS) + 1) / STEPS)) / 1000)
    }
    return this.#max
  }

  reset(): void {
    this.#counts.fill(0)
    this.#count = this.#sum = this.#min = this.#max = 0
  }
}
