/**
 * The first 56 bytes of a BATCH or RELOC body: which records these are and under which identity they go. Hot path.
 * Behind it stand a RecordBatch v2 as it goes on the wire, or the items of a queue (varint length, bytes).
 * A plain BATCH has both origin fields 0; a RELOC names the entry it is (`originLsn`) and who appended it; a part of a
 * split names the entry it replaces a piece of.
 * Source: wal.md 2.5, type 5.
 *
 *   0 stream  4 count  8 firstPosition  16 maxTimestampMs  24 producerId  32 epoch  34 part  35 parts
 *   36 baseSequence  40 originLsn  48 originIncarnation  52 zero
 */
import { walError } from '../../errors.js'
import { BATCH_PREFIX_BYTES, UNBOUND } from '../constants.js'
import { getI64, getU64, putI64, putU64 } from '../integers.js'

export interface BatchPrefixFacts {
  readonly stream: number
  readonly count: number
  readonly firstPosition: number
  readonly maxTimestampMs: number
  readonly producerId: bigint
  readonly epoch: number
  readonly part: number
  /** 0 or 1: not split. */
  readonly parts: number
  readonly baseSequence: number
  readonly originLsn: number
  readonly originIncarnation: number
}

/** Reused by readers. */
export class BatchPrefix implements BatchPrefixFacts {
  stream = 0
  count = 0
  firstPosition = 0
  maxTimestampMs = 0
  producerId = UNBOUND
  epoch = 0
  part = 0
  parts = 0
  baseSequence = 0
  originLsn = 0
  originIncarnation = 0
  /** The two halves of `producerId`: most frames repeat it, and an equal one needs no new bigint. */
  producerLow = -1
  producerHigh = -1
}

export function encodeBatchPrefix(into: Uint8Array, view: DataView, at: number, prefix: BatchPrefixFacts): number {
  view.setUint32(at, prefix.stream, true)
  view.setUint32(at + 4, prefix.count, true)
  putU64(view, at + 8, prefix.firstPosition)
  putI64(view, at + 16, prefix.maxTimestampMs)
  view.setBigInt64(at + 24, prefix.producerId, true)
  view.setInt16(at + 32, prefix.epoch, true)
  into[at + 34] = prefix.part
  into[at + 35] = prefix.parts
  view.setInt32(at + 36, prefix.baseSequence, true)
  putU64(view, at + 40, prefix.originLsn)
  view.setUint32(at + 48, prefix.originIncarnation, true)
  view.setUint32(at + 52, 0, true)
  return at + BATCH_PREFIX_BYTES
}

/** False: too short, or numbers that no writer writes. `into` is then half filled. */
export function readBatchPrefix(view: DataView, at: number, length: number, into: BatchPrefix): boolean {
  if (length < BATCH_PREFIX_BYTES) return false
  into.stream = view.getUint32(at, true)
  into.count = view.getUint32(at + 4, true)
  into.firstPosition = getU64(view, at + 8)
  into.maxTimestampMs = getI64(view, at + 16)
  const low = view.getInt32(at + 24, true)
  const high = view.getInt32(at + 28, true)
  if (low !== into.producerLow || high !== into.producerHigh) {
    into.producerId = view.getBigInt64(at + 24, true)
    into.producerLow = low
    into.producerHigh = high
  }
  into.epoch = view.getInt16(at + 32, true)
  into.part = view.getUint8(at + 34)
  into.parts = view.getUint8(at + 35)
  into.baseSequence = view.getInt32(at + 36, true)
  into.originLsn = getU64(view, at + 40)
  into.originIncarnation = view.getUint32(at + 48, true)
  return (
    into.count > 0 &&
    into.firstPosition >= 0 &&
    into.originLsn >= 0 &&
    Number.isSafeInteger(into.firstPosition + into.count) &&
    (into.parts === 0 ? into.part === 0 : into.part < into.parts)
  )
}

/** @throws MQError WAL_CORRUPT */
export function decodeBatchPrefix(_bytes: Uint8Array, view: DataView, at: number, length: number): BatchPrefixFacts {
  const prefix = new BatchPrefix()
  if (!readBatchPrefix(view, at, length, prefix)) {
    throw walError('WAL_CORRUPT', `The prefix of a BATCH frame of ${length} B is malformed`, { bytes: length })
  }
  return prefix
}
