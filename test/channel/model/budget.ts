/** The memory budget of CH-17 in its plainest form: two sums, one flag and the crossings it told. */
export interface Limits {
  readonly bytes: number
  readonly records: number
  readonly softPercent: number
  readonly resumePercent: number
  readonly hardPercent: number
}

export class BudgetModel {
  usedBytes = 0
  usedRecords = 0
  isSoft = false
  /** Events that must have been raised, in order. */
  readonly crossings: string[] = []
  readonly #limits: Limits
  readonly #onGiven: () => void
  readonly #onResume: () => void

  /** `onGiven` lets in who waits for room, before anybody is told that there is some. */
  constructor(limits: Limits, onGiven: () => void, onResume: () => void) {
    this.#limits = limits
    this.#onGiven = onGiven
    this.#onResume = onResume
  }

  /** Share of the fuller bound that is in use. */
  get fill(): number {
    return Math.max(this.usedBytes / this.#limits.bytes, this.usedRecords / this.#limits.records)
  }

  /** Takes room for one record if the use is below the hard limit and stays within the limit. */
  tryTake(bytes: number): boolean {
    const { bytes: limitBytes, records: limitRecords, hardPercent, softPercent } = this.#limits
    if (bytes > 0 && this.usedBytes >= (limitBytes * hardPercent) / 100) return false
    if (this.usedRecords >= (limitRecords * hardPercent) / 100) return false
    if (this.usedBytes + bytes > limitBytes || this.usedRecords + 1 > limitRecords) return false
    this.usedBytes += bytes
    this.usedRecords++
    const isAbove = this.usedBytes >= (limitBytes * softPercent) / 100
    if (!this.isSoft && (isAbove || this.usedRecords >= (limitRecords * softPercent) / 100)) {
      this.isSoft = true
      this.crossings.push('backpressure')
    }
    return true
  }

  give(bytes: number, records: number): void {
    const { bytes: limitBytes, records: limitRecords, resumePercent } = this.#limits
    this.usedBytes -= bytes
    this.usedRecords -= records
    this.#onGiven()
    if (!this.isSoft || this.usedBytes > (limitBytes * resumePercent) / 100) return
    if (this.usedRecords > (limitRecords * resumePercent) / 100) return
    this.isSoft = false
    this.crossings.push('drain')
    this.#onResume()
  }
}
