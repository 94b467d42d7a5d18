/** Bytes of record batch vectors, and small batches written by hand for tests of the reader. */
import { crc32 } from 'node:zlib'
import { crc32c } from 'tandem-mq/util'

/** Hex, a list of parts, or a repeated unit, as in the vectors. */
export type HexParts = string | { readonly repeatHex: string; readonly length: number } | readonly HexParts[]

export function bytesOf(parts: HexParts): Buffer {
  if (typeof parts === 'string') return Buffer.from(parts, 'hex')
  if (Array.isArray(parts)) return Buffer.concat(parts.map(bytesOf))
  const { repeatHex, length } = parts as { repeatHex: string; length: number }
  return length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, Buffer.from(repeatHex, 'hex'))
}

export interface BatchFields {
  readonly baseOffset?: number | bigint
  readonly magic?: number
  readonly attributes?: number
  readonly lastOffsetDelta?: number
  readonly baseTimestamp?: number | bigint
  readonly maxTimestamp?: number | bigint
  readonly producerId?: bigint
  readonly count?: number
  readonly records?: Uint8Array
}

/** A magic 2 batch with a right CRC around bytes that may be anything. */
export function batchBytes(fields: BatchFields): Buffer {
  const records = fields.records ?? new Uint8Array(0)
  const count = fields.count ?? 1
  const bytes = Buffer.alloc(61 + records.length)
  bytes.writeBigInt64BE(BigInt(fields.baseOffset ?? 0), 0)
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes.writeInt32BE(-1, 12)
  bytes.writeInt8(fields.magic ?? 2, 16)
  bytes.writeInt16BE(fields.attributes ?? 0, 21)
  bytes.writeInt32BE(fields.lastOffsetDelta ?? Math.max(0, count - 1), 23)
  bytes.writeBigInt64BE(BigInt(fields.baseTimestamp ?? 1000), 27)
  bytes.writeBigInt64BE(BigInt(fields.maxTimestamp ?? 2000), 35)
  bytes.writeBigInt64BE(fields.producerId ?? -1n, 43)
  bytes.writeInt16BE(-1, 51)
  bytes.writeInt32BE(-1, 53)
  bytes.writeInt32BE(count, 57)
  bytes.set(records, 61)
  return withCrc(bytes)
}

/** Puts the right CRC into a magic 2 batch that was changed. */
export function withCrc(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

export interface MessageFields {
  readonly magic: 0 | 1
  readonly offset: number
  readonly attributes?: number
  readonly timestamp?: number
  readonly key?: Uint8Array | null
  readonly value?: Uint8Array | null
}

/** A magic 0 or 1 message with a right CRC. */
export function messageBytes(fields: MessageFields): Buffer {
  const body = Buffer.concat([
    Buffer.of(fields.magic, fields.attributes ?? 0),
    fields.magic === 1 ? int64(fields.timestamp ?? 1000) : Buffer.alloc(0),
    nullable(fields.key ?? null),
    nullable(fields.value ?? null),
  ])
  const crc = Buffer.alloc(4)
  crc.writeUInt32BE(crc32(body))
  return Buffer.concat([int64(fields.offset), int32(body.length + 4), crc, body])
}

function nullable(bytes: Uint8Array | null): Buffer {
  return bytes === null ? int32(-1) : Buffer.concat([int32(bytes.length), bytes])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}
