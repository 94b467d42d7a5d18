/**
 * Where the fields of a record batch v2 lie, and the few a broker reads and patches (kafka.md section 2).
 * Why not the reader of `protocol`: what a client gets wrong while writing must not be forgiven by the same code
 * while storing (F-5).
 * Invariant: functions here expect at least 61 readable bytes; the validator has checked that.
 */
import { crc32c } from '../util/index.js'

export const BATCH_HEADER_BYTES = 61
/** Bytes before `batchLength` starts to count: base offset and the length itself. */
export const LOG_OVERHEAD_BYTES = 12
/** base offset, length, leader epoch and magic: what is needed to know how to go on. */
export const MAGIC_END_BYTES = 17
/** Smallest legal `batchLength`: that of an empty magic 0 message. */
export const SMALLEST_LENGTH = 14

const BASE_OFFSET = 0
const LENGTH = 8
const LEADER_EPOCH = 12
const MAGIC = 16
const CRC = 17
const CRC_START = 21
const ATTRIBUTES = 21
const LAST_OFFSET_DELTA = 23
const BASE_TIMESTAMP = 27
const MAX_TIMESTAMP = 35
const PRODUCER_ID = 43
const PRODUCER_EPOCH = 51
const BASE_SEQUENCE = 53
const COUNT = 57

export const CODEC_MASK = 0x07
export const LOG_APPEND_BIT = 0x08
export const TRANSACTIONAL_BIT = 0x10
export const CONTROL_BIT = 0x20

/** A header as numbers; timestamps and offsets beyond 2^53 are rounded, which only extreme test data reaches. */
export interface BatchHeader {
  readonly baseOffset: number
  readonly batchLength: number
  readonly partitionLeaderEpoch: number
  readonly crc: number
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly count: number
}

/** The same bytes with Buffer's big-endian accessors; nothing is copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function magicOf(bytes: Buffer, at = 0): number {
  return bytes.readInt8(at + MAGIC)
}

export function lengthOf(bytes: Buffer, at = 0): number {
  return bytes.readInt32BE(at + LENGTH)
}

export function attributesOf(bytes: Buffer): number {
  return bytes.readInt16BE(ATTRIBUTES)
}

export function readHeader(bytes: Buffer): BatchHeader {
  return {
    baseOffset: readInt64(bytes, BASE_OFFSET),
    batchLength: bytes.readInt32BE(LENGTH),
    partitionLeaderEpoch: bytes.readInt32BE(LEADER_EPOCH),
    crc: bytes.readUInt32BE(CRC),
    attributes: bytes.readInt16BE(ATTRIBUTES),
    lastOffsetDelta: bytes.readInt32BE(LAST_OFFSET_DELTA),
    baseTimestamp: readInt64(bytes, BASE_TIMESTAMP),
    maxTimestamp: readInt64(bytes, MAX_TIMESTAMP),
    producerId: bytes.readBigInt64BE(PRODUCER_ID),
    producerEpoch: bytes.readInt16BE(PRODUCER_EPOCH),
    baseSequence: bytes.readInt32BE(BASE_SEQUENCE),
    count: bytes.readInt32BE(COUNT),
  }
}

/** int64 without a BigInt; exact up to 2^53. */
function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4294967296 + bytes.readUInt32BE(at + 4)
}

export function isCrcValid(bytes: Buffer): boolean {
  return crcOf(bytes) === bytes.readUInt32BE(CRC)
}

/** Base offset and leader epoch are outside the CRC, so a broker may set them for nothing. */
export function patchPosition(bytes: Buffer, baseOffset: number, leaderEpoch: number): void {
  bytes.writeBigInt64BE(BigInt(baseOffset), BASE_OFFSET)
  bytes.writeInt32BE(leaderEpoch, LEADER_EPOCH)
}

/** Sets who gave the time, and the largest time; only these cost a new CRC. */
export function patchTime(bytes: Buffer, isLogAppendTime: boolean, maxTimestamp: number): void {
  const attributes = attributesOf(bytes)
  bytes.writeInt16BE(isLogAppendTime ? attributes | LOG_APPEND_BIT : attributes & ~LOG_APPEND_BIT, ATTRIBUTES)
  bytes.writeBigInt64BE(BigInt(maxTimestamp), MAX_TIMESTAMP)
  patchCrc(bytes)
}

/** An emptied batch, as the log cleaner leaves it: its offsets and its producer, no records. */
export function emptied(bytes: Buffer): Buffer {
  const header = Buffer.from(bytes.subarray(0, BATCH_HEADER_BYTES))
  header.writeInt32BE(BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES, LENGTH)
  header.writeInt16BE(attributesOf(bytes) & ~CODEC_MASK, ATTRIBUTES)
  header.writeInt32BE(0, COUNT)
  patchCrc(header)
  return header
}

function patchCrc(bytes: Buffer): void {
  bytes.writeUInt32BE(crcOf(bytes), CRC)
}

function crcOf(bytes: Buffer): number {
  return crc32c(bytes.subarray(CRC_START)) >>> 0
}
