/**
 * ACK: what became of positions, 32 bytes each, as many as the frame holds. Hot path.
 * Source: wal.md 2.5, type 7.
 *
 *   0 stream  4 outcome  5 zero  8 from  16 to (inclusive)  24 baseOffset or -1
 */
import { walError } from '../../errors.js'
import { ACK_BYTES, Outcome } from '../constants.js'
import { getI64, getU64, putI64, putU64 } from '../integers.js'

/** Reused by readers. */
export class Ack {
  stream = 0
  outcome: Outcome = Outcome.delivered
  from = 0
  to = 0
  baseOffset = -1
}

export function encodeAck(
  _into: Uint8Array,
  view: DataView,
  at: number,
  stream: number,
  outcome: Outcome,
  from: number,
  to: number,
  baseOffset: number,
): number {
  view.setUint32(at, stream, true)
  view.setUint32(at + 4, outcome, true)
  putU64(view, at + 8, from)
  putU64(view, at + 16, to)
  putI64(view, at + 24, baseOffset)
  return at + ACK_BYTES
}

/** One of the frame's acknowledgements; false: numbers that no writer writes. */
export function readAck(view: DataView, at: number, into: Ack): boolean {
  const outcome = view.getUint8(at + 4)
  into.stream = view.getUint32(at, true)
  into.outcome = outcome as Outcome
  into.from = getU64(view, at + 8)
  into.to = getU64(view, at + 16)
  into.baseOffset = getI64(view, at + 24)
  return outcome <= Outcome.lost && into.from >= 0 && into.to >= into.from && into.baseOffset >= -1
}

/** @throws MQError WAL_CORRUPT */
export function decodeAcks(_bytes: Uint8Array, view: DataView, at: number, length: number): Ack[] {
  if (length % ACK_BYTES !== 0) throw malformed(length)
  return Array.from({ length: length / ACK_BYTES }, (_, index) => {
    const ack = new Ack()
    if (!readAck(view, at + index * ACK_BYTES, ack)) throw malformed(length)
    return ack
  })
}

function malformed(length: number): Error {
  return walError('WAL_CORRUPT', `The body of an ACK frame of ${length} B is malformed`, { bytes: length })
}
