/**
 * From a sealed buffer to its wire form: compress once, then header and CRC.
 * Why here and not at the seal: sealing is one constant-time step on the append path; this runs when the sender takes
 * the batch (P-13).
 * Invariant: a result that is not smaller is dropped and the batch leaves raw (R-2, P-11).
 */
import type { CompressionCodec } from '../codec/index.js'
import { MQError, toMQError } from '../errors/index.js'
import type { Batch } from './batch.js'
import type { BatchMemory } from './batch-memory.js'

/** Which batches are worth compressing. */
export interface CompressionPlan {
  /** null: never. */
  readonly codec: CompressionCodec | null
  readonly level: number | undefined
  readonly optimizeForSmallMessages: boolean
  readonly smallMessageThresholdBytes: number
}

/** What a lane has learnt about its data: incompressible batches to leave raw before the codec is tried again. */
export interface CompressionHistory {
  skip: number
}

/** After a batch of data that does not compress (random bytes cost lz4 three times as much) so many go untried. */
const SKIP_BATCHES = 7
/** Smaller batches say nothing about the data: a codec needs some bytes to find repetitions. */
const TELLING_BYTES = 4096

/** Below this a codec's own framing eats the gain. */
const ALWAYS_RAW_BELOW_BYTES = 100

/**
 * Finishes now, or gives the promise of a codec that works in the thread pool. Throws COMPRESSION_FAILED.
 * Without room for a codec's result the batch leaves raw: the memory bound is worth more than a ratio.
 */
export function finishBatch(
  batch: Batch,
  plan: CompressionPlan,
  history: CompressionHistory,
  memory: BatchMemory,
): Promise<void> | null {
  const records = batch.plainRecords
  const codec = codecFor(records.length, plan)
  const isSkipped = codec !== null && history.skip > 0 && records.length >= TELLING_BYTES
  if (isSkipped) history.skip--
  if (codec === null || isSkipped || !memory.reserveScratch(records.length)) {
    batch.finish(0, null)
    return null
  }
  const reserved = records.length
  const done = (compressed: Uint8Array) => {
    if (batch.outcome !== null) return memory.budget.give(reserved, 0) // The producer ended meanwhile.
    if (compressed.length < records.length) batch.finish(codec.id, compressed)
    else {
      batch.finish(0, null)
      if (records.length >= TELLING_BYTES) history.skip = SKIP_BATCHES
    }
    memory.finished(batch, reserved)
  }
  const broken = (error: unknown): never => {
    memory.budget.give(reserved, 0)
    throw failed(codec, error)
  }
  try {
    const result = codec.compress(records, plan.level)
    if (!(result instanceof Uint8Array)) return result.then(done, broken)
    done(result)
    return null
  } catch (error) {
    return broken(error)
  }
}

/** CD-4's rule on whole batches: tiny ones raw, small ones only by the quick codecs. */
function codecFor(bytes: number, plan: CompressionPlan): CompressionCodec | null {
  const { codec } = plan
  if (codec === null || bytes < ALWAYS_RAW_BELOW_BYTES) return null
  if (!plan.optimizeForSmallMessages || bytes >= plan.smallMessageThresholdBytes) return codec
  return codec.type === 'lz4' || codec.type === 'snappy' ? codec : null
}

function failed(codec: CompressionCodec, error: unknown): MQError {
  return error instanceof MQError
    ? error
    : toMQError(error, 'COMPRESSION_FAILED', `the codec ${codec.type} failed`, { codec: codec.type })
}
