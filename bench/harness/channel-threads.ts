/**
 * A reader on another thread, behind the shared ring: what one core more costs and gives beside the channel on one thread.
 * Each record is copied into the ring and out of it; the reader checks its counter. A full ring holds the writer up.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { CaseOf, ChannelWork } from './channel-job.js'
import type { SharedReaderData } from './channel-shared-reader.js'
import { RingWriter, ringMemory } from './channel-shared-ring.js'
import type { Percentiles } from './wal-job.js'

const RING_BYTES = 1024 * 1024
const READER = fileURLToPath(new URL('./channel-shared-reader.js', import.meta.url))
/** Long enough that the reader has looked, found nothing and sleeps. Milliseconds. */
const IDLE_MS = 2

export function readOnThread({ payloadBytes }: CaseOf<'thread'>): ChannelWork {
  const { ring, read, end } = startReader('counter')
  const bytes = Buffer.alloc(payloadBytes, 'x')
  let written = 0
  return {
    run: async (count) => {
      for (let index = 0; index < count; index++) {
        bytes.writeInt32LE(written, 0)
        written = (written + 1) | 0
        while (!ring.tryWrite(bytes)) await ring.room(payloadBytes)
      }
      await ring.drained()
      if (read() !== written) throw new Error(`the reader verified ${read()} of ${written}`)
    },
    verified: read,
    end,
  }
}

/** One record at a time to a reader that sleeps: how long until it has it. */
export function wakeUp(isQuick: boolean): ChannelWork {
  const { ring, read, answer, end } = startReader('stamp')
  const stamp = Buffer.alloc(8)
  return {
    fixedCount: isQuick ? 20 : 200,
    run: async (count) => {
      for (let index = 0; index < count; index++) {
        await sleep(IDLE_MS)
        stamp.writeBigInt64LE(process.hrtime.bigint(), 0)
        if (!ring.tryWrite(stamp)) throw new Error('a ring that is read at once is full')
      }
      await ring.drained()
    },
    verified: read,
    latency: () => {
      const latencies = answer()
      ring.tryWrite(Buffer.alloc(0))
      return latencies
    },
    end,
  }
}

interface Reader {
  readonly ring: RingWriter
  /** Records that the thread has verified, modulo 2^32. */
  read(): number
  answer(): Promise<Percentiles>
  end(): Promise<void>
}

function startReader(content: SharedReaderData['content']): Reader {
  const memory = ringMemory(RING_BYTES)
  const counts = new SharedArrayBuffer(4)
  const data: SharedReaderData = { ring: memory, counts, content }
  const worker = new Worker(READER, { workerData: data })
  // Nobody listens to its errors: one ends the process, as any wrong result does.
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  const ring = new RingWriter(memory)
  const verified = new Int32Array(counts)
  return {
    ring,
    read: () => Atomics.load(verified, 0),
    answer: () => new Promise((resolve) => worker.once('message', resolve)),
    end: async () => {
      while (!ring.tryEnd()) await ring.room(0)
      await ended
    },
  }
}
