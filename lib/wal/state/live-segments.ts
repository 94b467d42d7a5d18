/**
 * How many unsettled records, entries and bytes of data each segment holds: what may be freed, what is worth copying.
 * Invariant: a segment is listed as long as it holds an unsettled record.
 */
interface LiveCount {
  records: number
  entries: number
  bytes: number
}

export class LiveSegments {
  readonly #counts = new Map<number, LiveCount>()
  /** The lowest listed one, or 0 when it must be looked for. */
  #oldest = 0

  added(segment: number, records: number, bytes: number): void {
    const count = this.#counts.get(segment)
    if (count === undefined) {
      this.#counts.set(segment, { records, entries: 1, bytes })
      if (segment < this.#oldest) this.#oldest = segment
    } else {
      count.records += records
      count.entries++
      count.bytes += bytes
    }
  }

  /** Part of an entry was settled. */
  settled(segment: number, records: number): void {
    const count = this.#counts.get(segment)
    if (count !== undefined) count.records -= records
  }

  /** An entry is gone from here, with the records it still had. */
  removed(segment: number, records: number, bytes: number): void {
    const count = this.#counts.get(segment)
    if (count === undefined) return
    count.records -= records
    count.bytes -= bytes
    if (--count.entries > 0) return
    this.#counts.delete(segment)
    if (segment === this.#oldest) this.#oldest = 0
  }

  records(segment: number): number {
    return this.#counts.get(segment)?.records ?? 0
  }

  /** Of frames that hold an unsettled record. */
  bytes(segment: number): number {
    return this.#counts.get(segment)?.bytes ?? 0
  }

  /** `fallback` when no segment holds anything unsettled. */
  oldest(fallback: number): number {
    if (this.#counts.size === 0) return fallback
    if (this.#oldest === 0) {
      let oldest = Number.POSITIVE_INFINITY
      for (const segment of this.#counts.keys()) if (segment < oldest) oldest = segment
      this.#oldest = oldest
    }
    return this.#oldest
  }
}
