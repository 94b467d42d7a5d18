/**
 * A spill log in memory whose disk a test owns: reads answer when the test says so, or fail; so may `push` and `shift`.
 * Invariant: it keeps the contract of `SpillLog` and notes whoever breaks it (`violations`): two reads at a time, a shift
 * of what was not read or during a read.
 */
import type { SpillLog } from '../../../lib/channel/index.js'
import { MQError } from '../../../lib/errors/index.js'

interface Call {
  /** The channel that reads, by the function it set. */
  readonly owner: unknown
  readonly maxBytes: number
  readonly resolve: (payloads: readonly Uint8Array[]) => void
  readonly reject: (error: Error) => void
}

export class FakeSpillLog implements SpillLog {
  onRoom: (() => void) | null = null
  inside: Uint8Array[] = []
  /** Bounds; `push` says false beyond. */
  maxRecords: number
  maxPayloadBytes = Number.POSITIVE_INFINITY
  /** Reads answer in a microtask; else when the test calls `answer` or `refuse`. */
  isPrompt: boolean
  failure: Error | null = null
  failShifts = 0
  reads = 0
  lent = 0
  isClosed = false
  readonly pages: number[] = []
  readonly violations: string[] = []
  /** On their way; a channel that was closed may have left one. */
  readonly #calls: Call[] = []
  #wasRefused = false

  constructor(options: { readonly maxRecords?: number; readonly isPrompt?: boolean } = {}) {
    this.maxRecords = options.maxRecords ?? Number.POSITIVE_INFINITY
    this.isPrompt = options.isPrompt ?? true
  }

  get records(): number {
    return this.inside.length
  }

  get bytes(): number {
    return this.inside.reduce((sum, { length }) => sum + length, 0)
  }

  get isReading(): boolean {
    return this.#calls.length > 0
  }

  push(payload: Uint8Array): boolean {
    if (this.failure !== null) throw this.failure
    if (payload.length > this.maxPayloadBytes) {
      throw new MQError('MESSAGE_TOO_LARGE', 'no frame is as large', { reason: 'WAL_FRAME_TOO_LARGE' })
    }
    if (this.inside.length >= this.maxRecords) {
      this.#wasRefused = true
      return false
    }
    this.inside.push(Uint8Array.from(payload))
    return true
  }

  read(maxBytes: number): Promise<readonly Uint8Array[]> {
    this.reads++
    const owner = this.onRoom
    if (this.#calls.some((call) => call.owner === owner)) this.violations.push('two reads at a time')
    return new Promise((resolve, reject) => {
      this.#calls.push({ owner, maxBytes, resolve, reject })
      if (this.isPrompt) queueMicrotask(() => this.answer())
    })
  }

  /** Answers the oldest read on its way, if there is one. */
  answer(): void {
    const call = this.#calls.shift()
    if (call === undefined) return
    const page: Uint8Array[] = []
    let bytes = 0
    for (const payload of this.inside) {
      bytes += payload.length
      if (bytes > call.maxBytes && page.length > 0) break
      page.push(payload)
    }
    this.lent = page.length
    this.pages.push(page.reduce((sum, { length }) => sum + length, 0))
    call.resolve(page)
  }

  refuse(error: Error = damaged()): void {
    const call = this.#calls.shift()
    if (call === undefined) return
    this.lent = 0
    call.reject(error)
  }

  shift(count: number): void {
    if (this.failShifts > 0) {
      this.failShifts--
      throw new MQError('PRODUCE_FAILED', 'the disk is gone', { reason: 'WAL_FAILED' })
    }
    if (this.isReading) this.violations.push('a shift during a read')
    if (count > this.lent) this.violations.push(`${count} shifted of ${this.lent} read`)
    this.inside.splice(0, count)
    this.lent -= count
  }

  /** Room is told as a log does it: in a turn of its own, once per refusal. */
  tellRoom(): void {
    if (!this.#wasRefused || this.inside.length >= this.maxRecords) return
    this.#wasRefused = false
    this.onRoom?.()
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

export function damaged(): MQError {
  return new MQError('DECOMPRESSION_FAILED', 'a frame is damaged', { reason: 'WAL_CORRUPT' }, { fatal: true })
}
