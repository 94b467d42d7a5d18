/**
 * What a subscriber of the benchmark does with what it gets: cuts frames, finds the number in each, and counts what is
 * missing or comes twice. Why not JSON.parse: a thousand clients of one process would measure the clients.
 *
 *   value   "tandem|000|0000000042|0000000123456789|xxxx"     partition, number, microseconds at which it was published
 *
 * A frame is read for its value at the place where the one before had it, counted from the frame's end; it is looked for
 * only where it is not there. Invariant: a frame without a value that is whole is told as `other`, never passed over.
 */

const MARK = Buffer.from('tandem|')
const NUMBER_AT = MARK.length + 4
const TIME_AT = NUMBER_AT + 11
export const LEAST_VALUE_BYTES = TIME_AT + 17
const BAR = 0x7c
const ZERO = 0x30

/** A value of `valueBytes`, filled; `writeNumber` makes it a record's. */
export function makeValue(valueBytes: number): Buffer {
  if (valueBytes < LEAST_VALUE_BYTES)
    throw new Error(`a value has at least ${LEAST_VALUE_BYTES} bytes, not ${valueBytes}`)
  const value = Buffer.alloc(valueBytes, 'x')
  MARK.copy(value)
  return value
}

export function writeNumber(value: Buffer, partition: number, number: number, us: number): void {
  const numbers = [String(partition).padStart(3, '0'), String(number).padStart(10, '0'), String(us).padStart(16, '0')]
  value.write(`${numbers.join('|')}|`, MARK.length, 'latin1')
}

/** Decimal digits from `from` up to the bar at `to`; -1: these are none. */
function digits(bytes: Uint8Array, from: number, to: number): number {
  let value = 0
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] as number) - ZERO
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return bytes[to] === BAR ? value : -1
}

/** Calls back per frame, with its kind: opcode of WebSocket, -1 for TCP. */
export type OnFrame = (bytes: Buffer, from: number, to: number, opcode: number) => void

/** Cuts frames out of chunks that may be used again by the caller: what is kept between two is copied. */
export class FrameCutter {
  readonly #hasOpcodes: boolean
  readonly #onFrame: OnFrame
  #rest: Buffer | null = null

  constructor(wire: 'websocket' | 'tcp', onFrame: OnFrame) {
    this.#hasOpcodes = wire === 'websocket'
    this.#onFrame = onFrame
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (at < bytes.length) {
      const taken = this.#hasOpcodes ? this.#webSocketFrame(bytes, at) : this.#tcpFrame(bytes, at)
      if (taken === 0) break
      at += taken
    }
    this.#rest = at === bytes.length ? null : Buffer.from(bytes.subarray(at))
  }

  #tcpFrame(bytes: Buffer, at: number): number {
    if (bytes.length - at < 4) return 0
    const end = at + 4 + bytes.readUInt32BE(at)
    if (end > bytes.length) return 0
    this.#onFrame(bytes, at + 4, end, -1)
    return end - at
  }

  #webSocketFrame(bytes: Buffer, at: number): number {
    const has = bytes.length - at
    if (has < 2) return 0
    const short = (bytes[at + 1] as number) & 0x7f
    const header = short < 126 ? 2 : short === 126 ? 4 : 10
    if (has < header) return 0
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : bytes.readUInt32BE(at + 6)
    const end = at + header + length
    if (end > bytes.length) return 0
    this.#onFrame(bytes, at + header, end, (bytes[at] as number) & 0x0f)
    return end - at
  }
}

/** One subscriber: what it has got of each partition. */
export class NumberCheck {
  delivered = 0
  lost = 0
  again = 0
  /** When the last one was published. Microseconds. */
  publishedUs = 0
  readonly next: number[]
  readonly #valueBytes: number
  #fromEnd = 0

  /** `next` is the number of the first record to come. */
  constructor(partitions: number, valueBytes: number, next = 0) {
    this.next = new Array<number>(partitions).fill(next)
    this.#valueBytes = valueBytes
  }

  /** False: the frame holds no whole value of ours. */
  take(bytes: Buffer, from: number, to: number): boolean {
    let at = to - this.#fromEnd
    if (this.#fromEnd === 0 || !isMark(bytes, at)) {
      at = bytes.subarray(from, to).indexOf(MARK) + from
      if (at < from) return false
      this.#fromEnd = to - at
    }
    if (at < from || at + this.#valueBytes > to) return false
    const partition = digits(bytes, at + MARK.length, at + NUMBER_AT - 1)
    const number = digits(bytes, at + NUMBER_AT, at + TIME_AT - 1)
    this.publishedUs = digits(bytes, at + TIME_AT, at + LEAST_VALUE_BYTES - 1)
    if (partition < 0 || partition >= this.next.length || number < 0 || this.publishedUs < 0) return false
    this.#count(partition, number)
    return true
  }

  /** What is missing at the end: `ends` are the numbers that none has. */
  missing(ends: readonly number[]): number {
    return ends.reduce((sum, end, partition) => sum + Math.max(0, end - (this.next[partition] as number)), 0)
  }

  #count(partition: number, number: number): void {
    const next = this.next[partition] as number
    if (number < next) {
      this.again++
      return
    }
    this.delivered++
    this.lost += number - next
    this.next[partition] = number + 1
  }
}

function isMark(bytes: Uint8Array, at: number): boolean {
  for (let index = 0; index < MARK.length; index++) if (bytes[at + index] !== MARK[index]) return false
  return true
}
