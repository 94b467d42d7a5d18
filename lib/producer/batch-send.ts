/** Sending many records in one call: the shape of the batch, and results in input order (PR-4). */
import { MQError } from '../errors/index.js'
import type { HeadersInput, RecordBytes } from '../protocol/index.js'
import type { Clock } from '../util/index.js'
import type { SendCallback } from './batch.js'
import type { Lane } from './lane.js'

export interface MessageToSend<V = RecordBytes, K = RecordBytes> {
  /** Default: the batch's topic. */
  readonly topic?: string
  readonly key?: K | null
  readonly value: V | null
  readonly headers?: HeadersInput
  readonly partition?: number
  readonly timestamp?: number
}

export interface BatchToSend<V = RecordBytes, K = RecordBytes> {
  /** Topic of the messages that name none. */
  readonly topic?: string
  readonly messages: readonly MessageToSend<V, K>[]
  /** Most bytes of one Kafka batch that these messages go into. */
  readonly maxBatchBytes?: number
  /** Most records of one Kafka batch that these messages go into. */
  readonly maxBatchRecords?: number
  /** How long these messages may wait for company. Milliseconds, default 0: they leave at the end of the turn. */
  readonly lingerMs?: number
}

/** What became of one message. */
export interface BatchResult {
  readonly topic: string
  /** -1 when it failed before it got one. */
  readonly partition: number
  /** -1 when it failed. */
  readonly offset: number
  readonly error?: MQError
  /** From the call to the outcome. Milliseconds. */
  readonly latencyMs: number
}

/** Throws INVALID_CONFIG naming what is wrong with the batch itself; bad messages fail alone later. */
export function checkBatch<V, K>(batch: BatchToSend<V, K>): void {
  if (batch === null || typeof batch !== 'object' || !Array.isArray(batch.messages)) {
    throw new MQError('INVALID_CONFIG', 'a batch is {topic?, messages: [...]}', { field: 'messages' })
  }
  for (const field of ['maxBatchBytes', 'maxBatchRecords'] as const) {
    const value = batch[field]
    if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
      throw new MQError('INVALID_CONFIG', `${field} is ${String(value)}: expected an integer >= 1`, { field, value })
    }
  }
  const { lingerMs } = batch
  if (lingerMs !== undefined && !(lingerMs >= 0 && lingerMs <= 60_000)) {
    throw new MQError('INVALID_CONFIG', `lingerMs is ${String(lingerMs)}: expected 0..60000`, {
      field: 'lingerMs',
      lingerMs,
    })
  }
  if (batch.topic !== undefined) return
  const at = batch.messages.findIndex((message) => message?.topic === undefined)
  if (at >= 0) {
    throw new MQError('INVALID_CONFIG', `messages[${at}] names no topic, and the batch has none`, {
      field: `messages[${at}].topic`,
    })
  }
}

/** Limits that one call puts on the batches its records go into, and the lanes they went to. */
export interface Placement {
  readonly limits: { readonly bytes: number; readonly records: number }
  readonly lanes: Set<Lane>
}

/** Seals what the lane holds when one more record, `bytesWith` it, would pass the limits. */
export function place({ limits, lanes }: Placement, lane: Lane, bytesWith: number): void {
  lanes.add(lane)
  const isFull = lane.activeRecords >= limits.records || bytesWith > limits.bytes
  if (isFull && lane.activeRecords > 0) lane.sealFull()
}

/** Makes one callback per message; `done` gets all results, in input order, when the last one is told. */
export function collectResults(count: number, clock: Clock, done: (results: BatchResult[]) => void) {
  const startMs = clock.monotonicMs()
  const results = new Array<BatchResult>(count)
  let left = count
  if (count === 0) clock.defer(() => done([]))
  return (index: number, topic: string): SendCallback =>
    (error, metadata) => {
      if (results[index] !== undefined) return
      const latencyMs = clock.monotonicMs() - startMs
      results[index] =
        error === null && metadata !== null
          ? { topic, partition: metadata.partition, offset: metadata.offset, latencyMs }
          : { topic, partition: error?.context.partition ?? -1, offset: -1, error: error as MQError, latencyMs }
      if (--left === 0) done(results)
    }
}
