/**
 * Walks the records of one uncompressed record section. Hot path of the broker's validation.
 * Why: a broker refuses what it could not serve later (kafka.md B-4), so it must see that every record is whole, at the
 * price of a few nanoseconds and without an object per record.
 * Invariant: never reads past `end`, never loops without advancing.
 */

export type WalkFault = 'none' | 'structure' | 'overlong'

export class RecordWalker {
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  #end = 0
  #recordEnd = 0
  /** Why the last `next()` said no; 'none' at the regular end. */
  fault: WalkFault = 'none'
  timestampDelta = 0
  /** False when the delta needs more than 53 bits; `timestampDelta` is rounded then. */
  isTimestampExact = true
  offsetDelta = 0
  keyAt = 0
  /** -1 = null. */
  keyLength = -1
  valueAt = 0
  /** -1 = null. */
  valueLength = -1
  headersAt = 0
  headerCount = 0

  open(bytes: Uint8Array, start: number, end = bytes.length): this {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.fault = 'none'
    return this
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end
  }

  /** Reads the next record; false with a fault when it is damaged or absent. */
  next(): boolean {
    this.#recordEnd = this.#end
    const length = this.#lengthVarint()
    if (this.fault !== 'none') return false
    if (length < 0 || length > this.#end - this.#at) return this.#damaged()
    this.#recordEnd = this.#at + length
    this.#at++ // attributes, unused
    this.timestampDelta = this.#varlong()
    this.offsetDelta = this.#varint()
    this.keyLength = this.#blob()
    this.keyAt = this.#at - Math.max(0, this.keyLength)
    this.valueLength = this.#blob()
    this.valueAt = this.#at - Math.max(0, this.valueLength)
    this.headerCount = this.#varint()
    this.headersAt = this.#at
    if (this.fault !== 'none' || this.headerCount < 0 || this.headerCount > this.#recordEnd - this.#at) {
      return this.#damaged()
    }
    for (let left = this.headerCount; left > 0 && this.fault === 'none'; left--) this.#header()
    return this.fault === 'none' && this.#at === this.#recordEnd ? true : this.#damaged()
  }

  #damaged(): false {
    if (this.fault === 'none') this.fault = 'structure'
    return false
  }

  #header(): void {
    if (this.#blob() < 0) this.#damaged()
    this.#blob()
  }

  /** Steps over length and bytes; every negative length reads as null, as Kafka's reader has it. */
  #blob(): number {
    const length = this.#varint()
    if (length < 0) return -1
    if (length > this.#recordEnd - this.#at) {
      this.#damaged()
      return 0
    }
    this.#at += length
    return length
  }

  /** A record's own length: here Kafka tells an endless varint (unknown error) from a cut one (invalid record). */
  #lengthVarint(): number {
    const value = this.#varint()
    if (this.fault === 'structure' && this.#at < this.#end) this.fault = 'overlong'
    return value
  }

  #varint(): number {
    const first = this.#at < this.#recordEnd ? (this.#bytes[this.#at] as number) : 0x80
    if (first < 0x80) {
      this.#at++
      return (first >>> 1) ^ -(first & 1)
    }
    return this.#longVarint()
  }

  #longVarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.#at >= this.#recordEnd) {
        this.#at = this.#end
        this.#damaged()
        return 0
      }
      const byte = this.#bytes[this.#at++] as number
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
    }
    this.#at--
    this.#damaged()
    return 0
  }

  #varlong(): number {
    let value = 0
    let factor = 1
    this.isTimestampExact = true
    for (let read = 0; read < 10; read++) {
      if (this.#at >= this.#recordEnd) break
      const byte = this.#bytes[this.#at++] as number
      value += (byte & 0x7f) * factor
      factor *= 128
      if (byte < 0x80) {
        this.isTimestampExact = value <= Number.MAX_SAFE_INTEGER
        return unzigzag(value)
      }
    }
    this.#damaged()
    return 0
  }
}

/** Zigzag on doubles; beyond 2^53 the result is rounded and marked as such by the caller. */
function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}
