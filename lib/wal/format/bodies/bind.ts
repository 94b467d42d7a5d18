/**
 * BIND: identities for entries logged without one, or with one that will not be used, 24 bytes each. The last counts.
 * Source: wal.md 2.5, type 6.
 *
 *   0 lsn  8 producerId  16 baseSequence  20 epoch  22 zero
 */
import { walError } from '../../errors.js'
import { BIND_BYTES, UNBOUND } from '../constants.js'
import { getU64, putU64 } from '../integers.js'

/** Reused by readers. */
export class Bind {
  lsn = 0
  producerId = UNBOUND
  baseSequence = 0
  epoch = 0
}

export function encodeBind(
  _into: Uint8Array,
  view: DataView,
  at: number,
  lsn: number,
  producerId: bigint,
  epoch: number,
  baseSequence: number,
): number {
  putU64(view, at, lsn)
  view.setBigInt64(at + 8, producerId, true)
  view.setInt32(at + 16, baseSequence, true)
  view.setInt16(at + 20, epoch, true)
  view.setUint16(at + 22, 0, true)
  return at + BIND_BYTES
}

/** One of the frame's bindings; false: numbers that no writer writes. */
export function readBind(view: DataView, at: number, into: Bind): boolean {
  into.lsn = getU64(view, at)
  into.producerId = view.getBigInt64(at + 8, true)
  into.baseSequence = view.getInt32(at + 16, true)
  into.epoch = view.getInt16(at + 20, true)
  return into.lsn > 0
}

/** @throws MQError WAL_CORRUPT */
export function decodeBinds(_bytes: Uint8Array, view: DataView, at: number, length: number): Bind[] {
  if (length % BIND_BYTES !== 0) throw malformed(length)
  return Array.from({ length: length / BIND_BYTES }, (_, index) => {
    const bind = new Bind()
    if (!readBind(view, at + index * BIND_BYTES, bind)) throw malformed(length)
    return bind
  })
}

function malformed(length: number): Error {
  return walError('WAL_CORRUPT', `The body of a BIND frame of ${length} B is malformed`, { bytes: length })
}
