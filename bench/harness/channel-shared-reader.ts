/**
 * The reading thread of the shared ring: copies each record out, checks its counter, counts.
 * Invariants: the counts are stored before the record is let go, so who sees the ring drained sees all of them; a wrong
 * record ends the thread with an error. An empty record asks for the latencies since the last one.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { ENDED, NOTHING, RingReader } from './channel-shared-ring.js'
import { Latencies } from './latencies.js'

export interface SharedReaderData {
  readonly ring: SharedArrayBuffer
  /** One Int32: records read and found right, modulo 2^32. */
  readonly counts: SharedArrayBuffer
  /** 'counter': an int32 that rises by one. 'stamp': when it was written, of process.hrtime. */
  readonly content: 'counter' | 'stamp'
}

const LARGEST = 1024 * 1024

if (parentPort !== null) readAll(workerData as SharedReaderData)

function readAll({ ring, counts, content }: SharedReaderData): void {
  const reader = new RingReader(ring)
  const read = new Int32Array(counts)
  const target = Buffer.alloc(LARGEST)
  let latencies = new Latencies()
  let expected = 0
  for (let length = reader.next(); length !== ENDED; length = reader.next()) {
    if (length === NOTHING) {
      reader.wait()
      continue
    }
    reader.copyTo(target)
    if (length === 0) {
      parentPort?.postMessage(latencies.percentiles())
      latencies = new Latencies()
    } else if (content === 'stamp') {
      latencies.note(Number(process.hrtime.bigint() - target.readBigInt64LE(0)) / 1e6)
      expected = (expected + 1) | 0
    } else {
      if (target.readInt32LE(0) !== expected) throw new Error(`expected ${expected}, read ${target.readInt32LE(0)}`)
      expected = (expected + 1) | 0
    }
    Atomics.store(read, 0, expected)
    reader.advance()
  }
  reader.advance()
}
