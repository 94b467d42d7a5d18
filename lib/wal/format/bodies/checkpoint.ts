/**
 * CHECKPOINT: everything the frames before it said that is still needed, in `parts` frames that follow each other.
 * Why settled ranges: an entry may be copied forward (RELOC) after part of it was settled, and the ACK frames may be
 * in a segment that is gone by then.
 * Source: wal.md 2.5, type 1.
 *
 *   0 part  2 parts  4 previousLastBodyCrc  8 previousLastLsn (the cut)  16 oldestLiveSegment
 *   24 clusterId (text), then four lists, each with its u32 count:
 *      identities    producerId  epoch (i16)  clusterId (text)
 *      incarnations  number  id (8 B)
 *      streams       id  partition  nextPosition  settledThrough  lastAckedOffset  topic, topicId (texts)
 *                    identities: count; producerId  epoch (i16)  lastAckedSequence  maxTimestampMs
 *      settled       stream  from  to (inclusive): settled positions at or above settledThrough
 *   and the body of the last OPEN (u16 length, 0 = none): its segment may be gone, and mode and boot id of the last
 *   opening decide what missing frames mean. Then the count and the numbers (u32) of those incarnations that a power
 *   loss may have cost records.
 */
import type { AckedIdentity, IdentityFacts, StreamFacts } from '../../types.js'
import { getU64, putI64, putU64 } from '../integers.js'
import { BodyReader, putHex, putText, textBytes } from './body-reader.js'
import { decodeOpen, encodeOpen, type OpenBody, openBytes } from './open.js'

export interface CheckpointHead {
  readonly part: number
  readonly parts: number
  /** Frames of the segment before this one with a higher LSN do not count: they were given up. */
  readonly previousLastLsn: number
  readonly previousLastBodyCrc: number
  /** Segments below hold nothing that is needed. */
  readonly oldestLiveSegment: number
}

export interface IncarnationFacts {
  readonly incarnation: number
  /** 16 hex digits. */
  readonly id: string
  /** The machine went down after it, and it did not sync what it accepted: a power loss may have cost records of it. */
  readonly mayHaveLostPower?: boolean
}

export interface SettledRange {
  readonly stream: number
  readonly from: number
  readonly to: number
}

export interface CheckpointTables {
  readonly clusterId: string
  readonly identities: readonly IdentityFacts[]
  readonly incarnations: readonly IncarnationFacts[]
  readonly streams: readonly StreamFacts[]
  readonly settled: readonly SettledRange[]
  readonly lastOpen: OpenBody | null
}

export interface CheckpointBody extends CheckpointHead, CheckpointTables {}

export const CHECKPOINT_FIXED_BYTES = 24
/** The four counts of an empty part, its cluster id not included. */
export const CHECKPOINT_LISTS_BYTES = 16
/** Length of the last OPEN. */
const OPEN_LENGTH_BYTES = 2
export const INCARNATION_BYTES = 12
export const SETTLED_BYTES = 20
/** One incarnation that may have lost records, or the count of them. */
export const POWER_LOSS_BYTES = 4
const IDENTITY_MIN_BYTES = 12
const STREAM_MIN_BYTES = 40
const ACKED_BYTES = 22

export function checkpointIdentityBytes(identity: IdentityFacts): number {
  return 10 + textBytes(identity.clusterId)
}

export function checkpointStreamBytes(stream: StreamFacts): number {
  return STREAM_MIN_BYTES - 4 + textBytes(stream.topic) + textBytes(stream.topicId) + stream.acked.length * ACKED_BYTES
}

export function checkpointOpenBytes(open: OpenBody | null): number {
  return OPEN_LENGTH_BYTES + (open === null ? 0 : openBytes(open))
}

export function checkpointBytes(tables: CheckpointTables): number {
  let bytes = CHECKPOINT_FIXED_BYTES + textBytes(tables.clusterId) + CHECKPOINT_LISTS_BYTES
  for (const identity of tables.identities) bytes += checkpointIdentityBytes(identity)
  for (const stream of tables.streams) bytes += checkpointStreamBytes(stream)
  bytes += tables.incarnations.length * INCARNATION_BYTES + tables.settled.length * SETTLED_BYTES
  const powerLosses = tables.incarnations.filter(({ mayHaveLostPower }) => mayHaveLostPower).length
  bytes += (1 + powerLosses) * POWER_LOSS_BYTES
  return bytes + checkpointOpenBytes(tables.lastOpen)
}

export function encodeCheckpoint(into: Uint8Array, view: DataView, at: number, body: CheckpointBody): number {
  view.setUint16(at, body.part, true)
  view.setUint16(at + 2, body.parts, true)
  view.setUint32(at + 4, body.previousLastBodyCrc, true)
  putU64(view, at + 8, body.previousLastLsn)
  putU64(view, at + 16, body.oldestLiveSegment)
  let end = putText(into, view, at + CHECKPOINT_FIXED_BYTES, body.clusterId)
  end = putCount(view, end, body.identities.length)
  for (const identity of body.identities) {
    view.setBigInt64(end, identity.producerId, true)
    view.setInt16(end + 8, identity.epoch, true)
    end = putText(into, view, end + 10, identity.clusterId)
  }
  end = putCount(view, end, body.incarnations.length)
  for (const { incarnation, id } of body.incarnations) {
    view.setUint32(end, incarnation, true)
    end = putHex(into, end + 4, id)
  }
  end = putCount(view, end, body.streams.length)
  for (const stream of body.streams) end = putStream(into, view, end, stream)
  end = putCount(view, end, body.settled.length)
  for (const range of body.settled) {
    view.setUint32(end, range.stream, true)
    putU64(view, end + 4, range.from)
    putU64(view, end + 12, range.to)
    end += SETTLED_BYTES
  }
  const openAt = end + OPEN_LENGTH_BYTES
  const openEnd = body.lastOpen === null ? openAt : encodeOpen(into, view, openAt, body.lastOpen)
  view.setUint16(end, openEnd - openAt, true)
  return putPowerLosses(view, openEnd, body.incarnations)
}

function putPowerLosses(view: DataView, at: number, incarnations: readonly IncarnationFacts[]): number {
  const lost = incarnations.filter(({ mayHaveLostPower }) => mayHaveLostPower)
  let end = putCount(view, at, lost.length)
  for (const { incarnation } of lost) {
    view.setUint32(end, incarnation, true)
    end += POWER_LOSS_BYTES
  }
  return end
}

function putCount(view: DataView, at: number, count: number): number {
  view.setUint32(at, count, true)
  return at + 4
}

function putStream(into: Uint8Array, view: DataView, at: number, stream: StreamFacts): number {
  view.setUint32(at, stream.id, true)
  view.setInt32(at + 4, stream.partition, true)
  putU64(view, at + 8, stream.nextPosition)
  putU64(view, at + 16, stream.settledThrough)
  putI64(view, at + 24, stream.lastAckedOffset)
  let end = putText(into, view, putText(into, view, at + 32, stream.topic), stream.topicId)
  end = putCount(view, end, stream.acked.length)
  for (const acked of stream.acked) {
    view.setBigInt64(end, acked.producerId, true)
    view.setInt16(end + 8, acked.epoch, true)
    view.setInt32(end + 10, acked.lastAckedSequence, true)
    putI64(view, end + 14, acked.maxTimestampMs)
    end += ACKED_BYTES
  }
  return end
}

/** The fixed fields alone. @throws MQError WAL_CORRUPT */
export function decodeCheckpointHead(bytes: Uint8Array, view: DataView, at: number, length: number): CheckpointHead {
  const damaged = (how: string) => new BodyReader(bytes, view, at, length, 'CHECKPOINT').damaged(how)
  if (length < CHECKPOINT_FIXED_BYTES) throw damaged('it is too short')
  const part = view.getUint16(at, true)
  const parts = view.getUint16(at + 2, true)
  if (part >= parts) throw damaged(`it is part ${part} of ${parts}`)
  const previousLastLsn = getU64(view, at + 8)
  const oldestLiveSegment = getU64(view, at + 16)
  if (previousLastLsn < 0 || oldestLiveSegment < 0) throw damaged('a number exceeds 2^53')
  return { part, parts, previousLastLsn, previousLastBodyCrc: view.getUint32(at + 4, true), oldestLiveSegment }
}

/** @throws MQError WAL_CORRUPT */
export function decodeCheckpoint(bytes: Uint8Array, view: DataView, at: number, length: number): CheckpointBody {
  const head = decodeCheckpointHead(bytes, view, at, length)
  const reader = new BodyReader(bytes, view, at, length, 'CHECKPOINT')
  reader.skip(CHECKPOINT_FIXED_BYTES)
  const clusterId = reader.text()
  const identities: IdentityFacts[] = []
  for (let left = reader.count(IDENTITY_MIN_BYTES); left > 0; left--) {
    identities.push({ producerId: reader.big(), epoch: reader.i16(), clusterId: reader.text() })
  }
  const numbered: IncarnationFacts[] = []
  for (let left = reader.count(INCARNATION_BYTES); left > 0; left--) {
    numbered.push({ incarnation: reader.u32(), id: reader.hex(8) })
  }
  const streams: StreamFacts[] = []
  for (let left = reader.count(STREAM_MIN_BYTES); left > 0; left--) streams.push(readStream(reader))
  const settled: SettledRange[] = []
  for (let left = reader.count(SETTLED_BYTES); left > 0; left--) {
    settled.push({ stream: reader.u32(), from: reader.u64(), to: reader.u64() })
  }
  const openLength = reader.u16()
  const openAt = reader.at
  reader.skip(openLength)
  const lastOpen = openLength === 0 ? null : decodeOpen(bytes, view, openAt, openLength)
  const incarnations = withPowerLosses(numbered, reader)
  return { ...head, clusterId, identities, incarnations, streams, settled, lastOpen }
}

function withPowerLosses(incarnations: readonly IncarnationFacts[], reader: BodyReader): readonly IncarnationFacts[] {
  const lost = new Set<number>()
  for (let left = reader.count(POWER_LOSS_BYTES); left > 0; left--) lost.add(reader.u32())
  return incarnations.map((facts) => (lost.has(facts.incarnation) ? { ...facts, mayHaveLostPower: true } : facts))
}

function readStream(reader: BodyReader): StreamFacts {
  const id = reader.u32()
  const partition = reader.i32()
  const nextPosition = reader.u64()
  const settledThrough = reader.u64()
  const lastAckedOffset = reader.i64()
  const topic = reader.text()
  const topicId = reader.text()
  const acked: AckedIdentity[] = []
  for (let left = reader.count(ACKED_BYTES); left > 0; left--) {
    acked.push({
      producerId: reader.big(),
      epoch: reader.i16(),
      lastAckedSequence: reader.i32(),
      maxTimestampMs: reader.i64(),
    })
  }
  if (settledThrough > nextPosition) throw reader.damaged(`stream ${id} is settled beyond its end`)
  return { id, topic, topicId, partition, nextPosition, settledThrough, lastAckedOffset, acked }
}
