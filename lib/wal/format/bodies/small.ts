/**
 * The short bodies: STREAM, IDENTITY, ROLL and CLOSE.
 * Source: wal.md 2.5, types 3, 4, 10, 11.
 *
 *   STREAM    0 id  4 partition  8 topic, topicId (texts)
 *   IDENTITY  0 producerId  8 epoch  10 clusterId (text)
 *   ROLL      0 next segment
 *   CLOSE     0 last LSN  8 unsettled records
 */
import type { IdentityFacts } from '../../types.js'
import { putU64 } from '../integers.js'
import { BodyReader, putText, textBytes } from './body-reader.js'

export interface StreamBody {
  readonly id: number
  readonly topic: string
  readonly topicId: string
  readonly partition: number
}

export interface CloseBody {
  readonly lastLsn: number
  readonly unsettledRecords: number
}

export function streamBytes(stream: StreamBody): number {
  return 8 + textBytes(stream.topic) + textBytes(stream.topicId)
}

export function encodeStream(into: Uint8Array, view: DataView, at: number, stream: StreamBody): number {
  view.setUint32(at, stream.id, true)
  view.setInt32(at + 4, stream.partition, true)
  return putText(into, view, putText(into, view, at + 8, stream.topic), stream.topicId)
}

/** @throws MQError WAL_CORRUPT, as the others here. */
export function decodeStream(bytes: Uint8Array, view: DataView, at: number, length: number): StreamBody {
  const reader = new BodyReader(bytes, view, at, length, 'STREAM')
  const id = reader.u32()
  const partition = reader.i32()
  const topic = reader.text()
  return { id, topic, topicId: reader.text(), partition }
}

export function identityBytes(identity: IdentityFacts): number {
  return 10 + textBytes(identity.clusterId)
}

export function encodeIdentity(into: Uint8Array, view: DataView, at: number, identity: IdentityFacts): number {
  view.setBigInt64(at, identity.producerId, true)
  view.setInt16(at + 8, identity.epoch, true)
  return putText(into, view, at + 10, identity.clusterId)
}

export function decodeIdentity(bytes: Uint8Array, view: DataView, at: number, length: number): IdentityFacts {
  const reader = new BodyReader(bytes, view, at, length, 'IDENTITY')
  const producerId = reader.big()
  const epoch = reader.i16()
  return { producerId, epoch, clusterId: reader.text() }
}

export const ROLL_BYTES = 8

export function encodeRoll(_into: Uint8Array, view: DataView, at: number, nextSegment: number): number {
  putU64(view, at, nextSegment)
  return at + ROLL_BYTES
}

/** The next segment's number. */
export function decodeRoll(bytes: Uint8Array, view: DataView, at: number, length: number): number {
  return new BodyReader(bytes, view, at, length, 'ROLL').u64()
}

export const CLOSE_BYTES = 16

export function encodeClose(_into: Uint8Array, view: DataView, at: number, close: CloseBody): number {
  putU64(view, at, close.lastLsn)
  putU64(view, at + 8, close.unsettledRecords)
  return at + CLOSE_BYTES
}

export function decodeClose(bytes: Uint8Array, view: DataView, at: number, length: number): CloseBody {
  const reader = new BodyReader(bytes, view, at, length, 'CLOSE')
  return { lastLsn: reader.u64(), unsettledRecords: reader.u64() }
}
