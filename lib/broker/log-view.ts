/**
 * A partition as tests look at it, and damage done to it on command.
 * Invariant: a view is a copy taken at one moment; only `bytes` of batches are the stored ones.
 */
import { MQError } from '../errors/index.js'
import { BATCH_HEADER_BYTES } from './batch-header.js'
import type { ProducerEntry } from './producer-state.js'
import type { Replicas } from './replicas.js'
import type { StoredBatch } from './stored-batch.js'

export interface LogView {
  readonly leader: number
  readonly epoch: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  readonly highWatermark: number
  readonly logStart: number
  readonly logEnd: number
  readonly bytes: number
  readonly batches: readonly StoredBatch[]
  readonly producers: readonly ProducerEntry[]
}

export function viewOf(replicas: Replicas, brokerId?: number): LogView {
  const log = brokerId === undefined ? replicas.log : replicas.logOf(brokerId)
  if (log === undefined) {
    const all = replicas.replicas.join(', ')
    throw new MQError('INVALID_PARTITION', `broker ${brokerId} has no replica: ask ${all}`, { brokerId })
  }
  return {
    leader: replicas.leaderId,
    epoch: replicas.leaderEpoch,
    replicas: [...replicas.replicas],
    isr: [...replicas.isr],
    highWatermark: replicas.highWatermark,
    logStart: log.logStart,
    logEnd: log.logEnd,
    bytes: log.bytes,
    batches: log.batches(),
    producers: log.producers.entries(),
  }
}

export interface Corruption {
  /** Byte within the batch; default the first one behind its header. */
  readonly at?: number
  readonly xor?: number
  readonly brokerId?: number
}

export function corruptStored(replicas: Replicas, offset: number, options: Corruption): void {
  const log = options.brokerId === undefined ? replicas.log : replicas.logOf(options.brokerId)
  const [batch] = log?.from(offset) ?? []
  if (log === undefined || batch === undefined) {
    throw new MQError('INVALID_OFFSET', `no batch at offset ${offset} to damage`, { offset })
  }
  const bytes = Buffer.from(batch.bytes)
  const at = options.at ?? BATCH_HEADER_BYTES
  if (!(at >= 0 && at < bytes.length)) {
    throw new MQError('INVALID_OFFSET', `at: expected a byte 0..${bytes.length - 1} of the batch, got ${at}`, {
      at,
      offset,
    })
  }
  bytes[at] = (bytes[at] as number) ^ (options.xor ?? 0xff)
  log.replace(batch, { ...batch, bytes })
}
