/** Writes a batch as a frame: one object says what stands in front of its bytes, for all batches. */
import { type AppendedEntry, UNBOUND, type Wal } from '../../wal/index.js'
import type { Batch } from '../batch.js'
import type { Lane } from '../lane.js'

class Prefix implements AppendedEntry {
  stream = 0
  count = 0
  maxTimestampMs = 0
  producerId = UNBOUND
  epoch = -1
  baseSequence = -1
  part = 0
  parts = 1
  originLsn = 0
  lsn = 0
  firstPosition = 0
}

const NO_BYTES = new Uint8Array(0)

export class FrameWriter {
  readonly #wal: Wal
  readonly #prefix = new Prefix()

  constructor(wal: Wal) {
    this.#wal = wal
  }

  /** Throws WAL_FULL, WAL_FAILED, WAL_FRAME_TOO_LARGE; the batch is unchanged then. */
  write(lane: Lane, batch: Batch): void {
    const prefix = this.#prefix
    if (lane.logStream < 0) lane.logStream = this.#wal.streamOf(lane.topic, lane.topicId, lane.partition)
    // A part belongs to the stream of the whole, whatever the topic has become meanwhile.
    prefix.stream = batch.originLsn > 0 ? batch.stream : lane.logStream
    prefix.count = batch.records
    prefix.maxTimestampMs = batch.maxTimestamp
    prefix.producerId = batch.isStamped ? batch.producerId : UNBOUND
    prefix.epoch = batch.producerEpoch
    prefix.baseSequence = batch.baseSequence
    prefix.part = batch.part
    prefix.parts = batch.parts
    prefix.originLsn = batch.originLsn
    prefix.firstPosition = batch.firstPosition
    const [head, body = NO_BYTES] = batch.wire()
    this.#wal.append(prefix, head as Uint8Array, body)
    batch.lsn = prefix.lsn
    batch.gateLsn = prefix.lsn
    batch.stream = prefix.stream
    batch.firstPosition = prefix.firstPosition
  }
}
