/**
 * What the benchmark asks of a client, ours or another one.
 * Invariant: `produce` resolves only when every record was acknowledged; it rejects when one was refused. Values are made
 * beforehand and shared, so that a client pays for sending only.
 */

export interface PeerOptions {
  readonly brokers: readonly string[]
  readonly compression: Compression
  readonly partitions: number
}

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

export interface Peer {
  readonly version: string
  /** The settings that matter, as they are in effect; printed with the result. */
  readonly settings: Readonly<Record<string, string | number | boolean>>
  produce(topic: string, values: readonly Buffer[], records: number): Promise<void>
  /** Batches and their bytes on the wire so far, when the client tells. */
  batches(): { readonly count: number; readonly bytes: number } | null
  close(): Promise<void>
}

export type PeerFactory = (options: PeerOptions) => Promise<Peer>

/** One run of one client, as its process gets it. */
export interface Job {
  readonly client: string
  readonly brokers: readonly string[]
  readonly topic: string
  readonly warmupTopic: string
  readonly records: number
  readonly warmupRecords: number
  readonly valueBytes: number
  readonly partitions: number
  readonly compression: Compression
}

/** What that process measured, from the first send until all were acknowledged. */
export interface Measurement {
  readonly version: string
  readonly settings: Peer['settings']
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
  /** Bytes given to the kernel; null where the platform does not count them. */
  readonly wireBytes: number | null
  readonly meanBatchBytes: number | null
}

/** Runs `workers` loops that each take the next chunk of a common count: fixed concurrency without a queue of promises. */
export async function inChunks(
  records: number,
  chunkRecords: number,
  workers: number,
  send: (from: number, count: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const loop = async () => {
    while (next < records) {
      const from = next
      const count = Math.min(chunkRecords, records - from)
      next += count
      await send(from, count)
    }
  }
  await Promise.all(Array.from({ length: workers }, loop))
}
