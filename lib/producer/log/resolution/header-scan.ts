/**
 * Looks for the batches of one identity among the headers of a partition's log, in one pass.
 * Why from the last acknowledged offset, else by time: nothing of these batches can stand before either. A topic with
 * the broker's time is read from its start when the search by time finds nothing, because its times are not ours.
 * Invariant: "not found" is only said of a log that was read without a gap up to the high watermark.
 * Source: wal.md 4.2 (HEADER SCAN).
 */
import type { BatchHeader } from '../../../protocol/index.js'
import type { Entry } from '../../../wal/index.js'
import type { AskedPlace, BrokerMemory, HeaderPage } from '../../broker-memory.js'

export interface ScanResult {
  /** Base offsets by LSN. */
  readonly found: ReadonlyMap<number, number>
  /** The log begins behind the place where the scan had to begin: "not found" proves nothing. */
  readonly isTrimmed: boolean
  /** The log ends before what was acknowledged to us: the broker lost it (E5). */
  readonly isShorter: boolean
  /** Somebody else wrote another batch under the identity of one of these. */
  readonly isForeign: boolean
}

/** Clocks of client and broker may differ by this much when a scan begins by time. */
const CLOCK_MARGIN_MS = 60_000

/** null: not answered, ask again. 'refused': READ is not permitted. */
export async function scanHeaders(
  memory: BrokerMemory,
  place: AskedPlace,
  entries: readonly Entry[],
  afterOffset: number,
): Promise<ScanResult | 'refused' | null> {
  const scan = new HeaderScan(memory, place, entries)
  if (afterOffset >= 0) return scan.from(afterOffset + 1)
  const oldestMs = Math.min(...entries.map(({ maxTimestampMs }) => maxTimestampMs))
  const start = await memory.offsetByTime(place, Math.max(0, oldestMs - CLOCK_MARGIN_MS))
  if (start < 0) return null
  const byTime = await scan.from(start, true)
  const isWhole = byTime === null || byTime === 'refused' || byTime.found.size === entries.length
  if (isWhole || !(await scan.hasBrokersTime(start))) return byTime
  const earliest = await memory.offsetByTime(place, -2)
  if (earliest < 0) return null
  const result = await scan.from(earliest)
  // Where the log of a topic with the broker's time begins is no proof that ours was not before it.
  return result === null || result === 'refused' ? result : { ...result, isTrimmed: result.isTrimmed || earliest > 0 }
}

class HeaderScan {
  readonly #memory: BrokerMemory
  readonly #place: AskedPlace
  readonly #wanted: Map<number, Entry>
  readonly #found = new Map<number, number>()
  readonly #identity: { readonly producerId: bigint; readonly epoch: number }
  #isForeign = false
  #lastHeader: BatchHeader | null = null

  constructor(memory: BrokerMemory, place: AskedPlace, entries: readonly Entry[]) {
    this.#memory = memory
    this.#place = place
    this.#wanted = new Map(entries.map((entry) => [entry.baseSequence, entry]))
    this.#identity = entries[0] as Entry
  }

  /** `isByTime`: the first retained record already is young enough, so that older ones may have been removed. */
  async from(start: number, isByTime = false): Promise<ScanResult | 'refused' | null> {
    let at = start
    let isTrimmed = false
    let isShorter = false
    for (;;) {
      const page = await this.#memory.headersFrom(this.#place, at)
      if (page === null || page === 'refused') return page
      if (page.isOutOfRange && page.logStartOffset <= at) {
        if (isShorter) return null
        isShorter = true // Offsets of ours say nothing about it any more.
        at = page.logStartOffset
        continue
      }
      if (isByTime && page.logStartOffset > 0 && page.logStartOffset >= start) isTrimmed = true
      if (page.logStartOffset > at) {
        isTrimmed = true
        at = page.logStartOffset
        if (page.isOutOfRange) continue
      }
      const next = this.#look(page)
      const isOver = next < 0 || next >= page.highWatermark || this.#found.size === this.#wanted.size
      if (isOver) return { found: this.#found, isTrimmed, isShorter, isForeign: this.#isForeign }
      at = next
    }
  }

  /** Whether the log around here carries the broker's time instead of the writers'. */
  async hasBrokersTime(start: number): Promise<boolean> {
    if (this.#lastHeader !== null) return this.#lastHeader.isLogAppendTime
    if (start <= 0) return false
    const page = await this.#memory.headersFrom(this.#place, start - 1, 1) // The first batch comes whole.
    if (page === null || page === 'refused') return false
    return page.headers[0]?.isLogAppendTime ?? false
  }

  /** Where the next page begins; -1: this was the last. */
  #look({ headers, highWatermark }: HeaderPage): number {
    let next = -1
    for (const header of headers) {
      this.#lastHeader = header
      next = header.baseOffset + header.lastOffsetDelta + 1
      if (next > highWatermark) break // Not durable yet.
      this.#compare(header)
    }
    return next
  }

  #compare(header: BatchHeader): void {
    if (header.producerId !== this.#identity.producerId || header.producerEpoch !== this.#identity.epoch) return
    const entry = this.#wanted.get(header.baseSequence)
    if (entry === undefined || this.#found.has(entry.lsn)) return
    if (header.lastOffsetDelta + 1 !== entry.count) this.#isForeign = true
    else this.#found.set(entry.lsn, header.baseOffset)
  }
}
