/**
 * A copied part of a batch with some neighbouring records: what a small record keeps once it was touched. Hot path.
 * Why: whoever keeps one record of 100 B must not keep a fetch of a megabyte, nor the batch (C-42); and why not a copy
 * per record: creating a Buffer costs ~110 ns with its copy and ~20 ns as a view, and neighbours are nearly always
 * touched next (design.md 5.4).
 */
import type { Deserializer } from '../../config/index.js'
import { type RecordHeader, readHeaders } from '../../protocol/index.js'

/** What decides how the records of a consumer are read; one object per assignment. */
export interface ReadSettings {
  readonly copies: boolean
  readonly keyDeserializer: Deserializer<unknown> | undefined
  readonly valueDeserializer: Deserializer<unknown> | undefined
}

/** What the records of one batch have in common. */
export interface BatchFacts {
  readonly topic: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly settings: ReadSettings
}

/** As much as Buffer's own pool keeps alive for one small slice. Bytes. */
export const WINDOW_BYTES = 8_192

/**
 * The class behind Buffer, as Buffer itself names it. Creating a view by it takes 20 ns, `subarray` 50: that looks itself
 * up on a prototype which the compiler cannot see through, and asks the view for its ArrayBuffer.
 */
export const ViewBuffer = (
  Buffer as unknown as { [Symbol.species]: new (b: ArrayBufferLike, at: number, n: number) => Buffer }
)[Symbol.species]

export class RecordWindow implements BatchFacts {
  readonly topic: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly settings: ReadSettings
  /** What it covers, in positions of its batch. */
  readonly start: number
  readonly end: number
  readonly #bytes: Buffer
  readonly #memory: ArrayBufferLike

  /** Copies what `source` has from `start` on, at most WINDOW_BYTES. */
  constructor(batch: BatchFacts, source: Buffer, start: number) {
    this.topic = batch.topic
    this.partition = batch.partition
    this.leaderEpoch = batch.leaderEpoch
    this.settings = batch.settings
    this.start = start
    this.end = Math.min(start + WINDOW_BYTES, source.length)
    this.#bytes = Buffer.allocUnsafeSlow(this.end - start) // Its own memory from the first byte on.
    this.#memory = this.#bytes.buffer
    source.copy(this.#bytes, 0, start, this.end)
  }

  /** A record that is here stays here. */
  homeOf(): RecordWindow {
    return this
  }

  bytesAt(start: number, length: number): Buffer {
    return new ViewBuffer(this.#memory, start - this.start, length)
  }

  headersAt(start: number, count: number): RecordHeader[] {
    return readHeaders(this.#bytes, start - this.start, count)
  }
}
