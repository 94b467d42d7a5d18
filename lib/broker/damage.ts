/**
 * Turns a good answer frame into a damaged one (kafka.md 6.2).
 * Invariant: works on a copy, because records in an answer are the stored batches themselves.
 */
import type { Fault } from './faults.js'

const SIZE_BYTES = 4
const CORRELATION_AT = 4
/** Where a flexible answer's header has its count of tagged fields: behind size and correlation id. */
const HEADER_TAGS_AT = 8
/** One unknown field: count 1, tag 1000 as uvarint (0xe8 0x07), size 3, three bytes. */
const UNKNOWN_TAGS = Buffer.from([1, 0xe8, 0x07, 3, 1, 2, 3])
const NO_TAGS = 0

export interface AnswerShape {
  /** The header has tagged fields (response header version 1). */
  readonly isHeaderFlexible: boolean
  /** The body ends with an empty list of tagged fields. */
  readonly endsWithNoTags: boolean
}

export function damaged(segments: readonly Uint8Array[], faults: readonly Fault[], shape: AnswerShape): Uint8Array[] {
  let frame: Buffer | null = null
  for (const fault of faults) {
    const next = damageOne(frame ?? segments, fault, shape)
    if (next !== null) frame = next
  }
  return frame === null ? [...segments] : [frame]
}

function damageOne(from: Buffer | readonly Uint8Array[], fault: Fault, shape: AnswerShape): Buffer | null {
  const copy = () => (Buffer.isBuffer(from) ? from : Buffer.concat(from as Uint8Array[]))
  switch (fault.kind) {
    case 'garbage':
      return Buffer.from(fault.bytes)
    case 'corrupt':
      return flipped(copy(), fault.offset, fault.xor)
    case 'truncate':
      return resized(copy().subarray(0, Math.max(SIZE_BYTES, copy().length - fault.bytes)))
    case 'wrongCorrelation':
      return misnumbered(copy())
    case 'extraTags':
      return tagged(copy(), shape)
    default:
      return null
  }
}

function flipped(frame: Buffer, offset: number, xor: number): Buffer {
  const at = offset < 0 ? frame.length + offset : offset
  if (at >= 0 && at < frame.length) frame[at] = (frame[at] as number) ^ xor
  return frame
}

function misnumbered(frame: Buffer): Buffer {
  frame.writeInt32BE((frame.readInt32BE(CORRELATION_AT) + 1000) | 0, CORRELATION_AT)
  return frame
}

function tagged(frame: Buffer, shape: AnswerShape): Buffer {
  if (!shape.isHeaderFlexible) return frame
  const head = frame.subarray(0, HEADER_TAGS_AT)
  const body = frame.subarray(HEADER_TAGS_AT + 1)
  const hasEmptyTail = shape.endsWithNoTags && body.at(-1) === NO_TAGS
  const parts = hasEmptyTail ? [body.subarray(0, -1), UNKNOWN_TAGS] : [body]
  return resized(Buffer.concat([head, UNKNOWN_TAGS, ...parts]))
}

function resized(frame: Buffer): Buffer {
  frame.writeInt32BE(frame.length - SIZE_BYTES, 0)
  return frame
}
