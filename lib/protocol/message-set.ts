/**
 * Magic 0 and 1: the message sets of old segments. Read only.
 *
 *   0 offset i64 | 8 size i32 | 12 crc u32 | 16 magic i8 | 17 attributes i8 | 18 timestamp i64 (magic 1) | key | value
 *
 * with int32 lengths, -1 = null. A compressed message wraps a whole set in its value: inner offsets are absolute for
 * magic 0; for magic 1 relative, the wrapper has the offset of the last one. With log-append time (magic 1, bit 3)
 * the wrapper's time is that of all. Invariant: wrappers do not nest, and inner messages have the wrapper's magic.
 * Source: kafka.md section 2, R-9; KIP-31 and KIP-32.
 */
import { crc32 } from 'node:zlib'
import type { BatchHeader, Decompress } from './batch-header.js'
import { int8At, int32At, int64At, uint32At } from './big-endian.js'
import { corruptBatch } from './corrupt-batch.js'

const OVERHEAD = 12
const MAGIC_AT = 16
const ATTRIBUTES_AT = 17
const TIMESTAMP_AT = 18
/** Where the key's length stands, by magic. */
const KEY_AT = [18, 26] as const
/** gzip, snappy, lz4; zstd needs magic 2. */
const MAX_CODEC_ID = 3

/** The header of one message. The caller knows that `OVERHEAD + size` bytes are there. */
export function readMessageHeader(
  bytes: Uint8Array,
  position: number,
  size: number,
  magic: 0 | 1,
  checkCrcs: boolean,
): BatchHeader {
  const end = position + OVERHEAD + size
  const offset = int64At(bytes, position)
  const crc = checkMessage(bytes, position, end, magic, checkCrcs)
  const attributes = int8At(bytes, position + ATTRIBUTES_AT)
  const codecId = attributes & 7
  if (codecId > MAX_CODEC_ID)
    throw corruptBatch(`codec ${codecId} is unknown`, { position, baseOffset: offset, codecId })
  const timestamp = magic === 0 ? -1 : int64At(bytes, position + TIMESTAMP_AT)
  return {
    position,
    sizeInBytes: OVERHEAD + size,
    magic,
    baseOffset: offset,
    lastOffsetDelta: 0,
    nextOffset: offset + 1,
    partitionLeaderEpoch: -1,
    crc,
    attributes,
    codecId,
    isLogAppendTime: magic === 1 && (attributes & 0x08) !== 0,
    isTransactional: false,
    isControl: false,
    hasDeleteHorizon: false,
    baseTimestamp: timestamp,
    maxTimestamp: timestamp,
    exactBaseTimestamp: null,
    exactMaxTimestamp: null,
    producerId: -1n,
    producerEpoch: -1,
    baseSequence: -1,
    count: -1,
    payloadAt: codecId === 0 ? position : valueAt(bytes, position, end, magic),
    payloadEnd: end,
    isCrcChecked: checkCrcs,
  }
}

/** Checks length and CRC of one message and gives the CRC. */
function checkMessage(bytes: Uint8Array, position: number, end: number, magic: 0 | 1, checkCrcs: boolean): number {
  if (end - position < KEY_AT[magic] + 8) throw corruptBatch('a message is shorter than its header', { position })
  const crc = uint32At(bytes, position + OVERHEAD)
  if (checkCrcs) {
    const computed = crc32(bytes.subarray(position + MAGIC_AT, end))
    if (computed !== crc) throw corruptBatch('the CRC-32 of a message is wrong', { position, crc, computed })
  }
  return crc
}

/** Where the value of a wrapper starts; that is where its compressed set is. */
function valueAt(bytes: Uint8Array, position: number, end: number, magic: 0 | 1): number {
  const keyAt = position + KEY_AT[magic]
  const at = keyAt + 4 + Math.max(0, int32At(bytes, keyAt)) + 4
  if (at > end || int32At(bytes, at - 4) !== end - at) {
    throw corruptBatch('a compressed message has no value, or one of another length', { position })
  }
  return at
}

export function legacyPayload(
  bytes: Uint8Array,
  header: BatchHeader,
  decompress: Decompress,
): Uint8Array | Promise<Uint8Array> {
  const payload = bytes.subarray(header.payloadAt, header.payloadEnd)
  return header.codecId === 0 ? payload : decompress(header.codecId, payload, header.magic)
}

/** The fields of a cursor that one message fills. */
export interface MessageTarget {
  offset: number
  timestamp: number
  keyStart: number
  keyLength: number
  valueStart: number
  valueLength: number
}

/** Reads the message at `at` of `set` into `target`, with the offset as it stands there; the position behind it. */
export function readMessage(set: Uint8Array, at: number, header: BatchHeader, target: MessageTarget): number {
  if (set.length - at < KEY_AT[0] + 8) throw corruptBatch('a message set ends inside a message')
  const size = int32At(set, at + 8)
  const end = at + OVERHEAD + size
  if (size < 0 || end > set.length) throw corruptBatch('a message set ends inside a message')
  const magic = header.magic as 0 | 1
  if (int8At(set, at + MAGIC_AT) !== magic) throw corruptBatch('a message differs in magic from its wrapper')
  const isWrapped = header.codecId !== 0
  checkMessage(set, at, end, magic, isWrapped && header.isCrcChecked)
  if (isWrapped && (int8At(set, at + ATTRIBUTES_AT) & 7) !== 0) throw corruptBatch('compressed messages are nested')
  target.offset = int64At(set, at)
  target.timestamp = timestampOf(set, at, header)
  readKeyAndValue(set, at + KEY_AT[magic], end, target)
  return end
}

function timestampOf(set: Uint8Array, at: number, header: BatchHeader): number {
  if (header.magic === 0) return -1
  return header.isLogAppendTime ? header.maxTimestamp : int64At(set, at + TIMESTAMP_AT)
}

function readKeyAndValue(set: Uint8Array, keyAt: number, end: number, target: MessageTarget): void {
  target.keyStart = keyAt + 4
  target.keyLength = Math.max(-1, int32At(set, keyAt))
  const lengthAt = target.keyStart + Math.max(0, target.keyLength)
  if (lengthAt + 4 > end) throw corruptBatch('the key of a message is longer than the message')
  target.valueStart = lengthAt + 4
  target.valueLength = Math.max(-1, int32At(set, lengthAt))
  if (target.valueStart + Math.max(0, target.valueLength) !== end) {
    throw corruptBatch('the value of a message does not end where the message does')
  }
}

/** What to add to inner offsets: 0 unless they are relative to the wrapper (magic 1). Walks the set once. */
export function offsetShift(set: Uint8Array, header: BatchHeader): number {
  if (header.magic !== 1 || header.codecId === 0) return 0
  let last = -1
  for (let at = 0; at < set.length; ) {
    if (set.length - at < OVERHEAD) throw corruptBatch('a message set ends inside a message')
    const size = int32At(set, at + 8)
    if (size < 0 || size > set.length - at - OVERHEAD) throw corruptBatch('a message set ends inside a message')
    last = int64At(set, at)
    at += OVERHEAD + size
  }
  return header.baseOffset - last
}
