/**
 * Puts bytes into a log as they are: what no producer may send, but a consumer may meet (control batches, old formats,
 * gaps left by compaction, damage).
 * Invariant: the log end grows by the offsets that the bytes claim; only base offset and leader epoch of a magic 2
 * batch are set, both outside its CRC.
 */
import { MQError } from '../errors/index.js'
import { BATCH_HEADER_BYTES, MAGIC_END_BYTES, magicOf, patchPosition, readHeader } from './batch-header.js'
import type { Replicas } from './replicas.js'
import { storedBatch } from './stored-batch.js'

const OPAQUE = {
  baseTimestamp: -1,
  maxTimestamp: -1,
  attributes: 0,
  producerId: -1n,
  producerEpoch: -1,
  baseSequence: -1,
} as const

/** Returns the base offset. `offsets`: how many the bytes take, needed for anything but one batch of magic 2. */
export function appendRaw(replicas: Replicas, raw: Uint8Array, offsets: number | undefined, nowMs: number): number {
  const bytes = Buffer.from(raw)
  const isBatch = bytes.length >= BATCH_HEADER_BYTES && magicOf(bytes) === 2
  if (!isBatch && offsets === undefined) {
    const why = bytes.length < MAGIC_END_BYTES ? `${bytes.length} bytes` : `magic ${magicOf(bytes)}`
    throw new MQError('INVALID_OFFSET', `say how many offsets these bytes take: they are no batch of magic 2 (${why})`)
  }
  const baseOffset = replicas.log.logEnd
  const { leaderEpoch } = replicas
  if (isBatch) patchPosition(bytes, baseOffset, leaderEpoch)
  const facts = isBatch ? readHeader(bytes) : { ...OPAQUE, lastOffsetDelta: 0, count: 0 }
  const header = offsets === undefined ? facts : { ...facts, lastOffsetDelta: offsets - 1 }
  const { maxTimestamp, attributes } = header
  replicas.append(storedBatch(bytes, header, { baseOffset, leaderEpoch, maxTimestamp, attributes, nowMs }))
  return baseOffset
}
