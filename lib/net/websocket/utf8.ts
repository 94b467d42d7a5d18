/**
 * UTF-8, checked while it comes in: a message that can no longer become text is refused at its first wrong byte, not
 * when its last one came (RFC 6455 section 8.1, RFC 3629). Hot path.
 * Why two ways: whole characters go through Node's native check; only a character that a cut divides (at most three
 * bytes) is walked byte by byte, with the ranges of RFC 3629 section 4.
 * Invariant: between pieces the state is what the missing bytes of one character may be, never the bytes themselves; at the
 * end of a text that is complete it is what it was at its beginning.
 */
import { isUtf8 } from 'node:buffer'

const CONTINUATION_LOW = 0x80
const CONTINUATION_HIGH = 0xbf
/** Longest character less one byte: further back no character can begin that is not complete. */
const MAX_INCOMPLETE = 3

export class Utf8Validator {
  #missing = 0 // bytes until the present character is complete
  #low = CONTINUATION_LOW // the next byte is at least this
  #high = CONTINUATION_HIGH // and at most this

  /** True between characters: text may end here. */
  get isComplete(): boolean {
    return this.#missing === 0
  }

  /** Takes the next bytes of the text. False: no bytes that follow can make it valid. */
  push(bytes: Uint8Array): boolean {
    let at = 0
    while (this.#missing > 0 && at < bytes.length) {
      if (!this.#step(bytes[at++] as number)) return false
    }
    const whole = endOfWholeCharacters(bytes, at)
    if (whole > at && !isUtf8(at === 0 && whole === bytes.length ? bytes : bytes.subarray(at, whole))) return false
    for (let tail = whole; tail < bytes.length; tail++) {
      if (!this.#step(bytes[tail] as number)) return false
    }
    return true
  }

  #step(byte: number): boolean {
    if (this.#missing === 0) return this.#begin(byte)
    if (byte < this.#low || byte > this.#high) return false
    this.#low = CONTINUATION_LOW
    this.#high = CONTINUATION_HIGH
    this.#missing--
    return true
  }

  /** Overlong forms (C0, C1, E0 80, F0 80), surrogates (ED A0) and what is above U+10FFFF (F4 90, F5) end here. */
  #begin(byte: number): boolean {
    if (byte < 0x80) return true
    if (byte < 0xc2 || byte > 0xf4) return false
    this.#missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3
    if (byte === 0xe0) this.#low = 0xa0
    else if (byte === 0xf0) this.#low = 0x90
    else if (byte === 0xed) this.#high = 0x9f
    else if (byte === 0xf4) this.#high = 0x8f
    return true
  }
}

/** Where the last character begins if it lacks bytes, else the end. */
function endOfWholeCharacters(bytes: Uint8Array, from: number): number {
  const end = bytes.length
  const furthest = Math.max(from, end - MAX_INCOMPLETE)
  for (let at = end - 1; at >= furthest; at--) {
    const byte = bytes[at] as number
    if (byte < CONTINUATION_LOW) return end
    if (byte > CONTINUATION_HIGH) return at + lengthOf(byte) > end ? at : end
  }
  return end
}

function lengthOf(lead: number): number {
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
}
