/**
 * One run of one client in a process of its own: no client pays for the heap, the JIT or the garbage of another.
 * Invariant: the window opens after the warm-up has been acknowledged and closes when the last record has been.
 * Talks by IPC: gets one Job, answers one Measurement, ends.
 */
import { readFileSync } from 'node:fs'
import { makeValues } from './payloads.js'
import type { Job, Measurement, Peer, PeerFactory } from './peer.js'

const PEERS: Record<string, () => Promise<{ createPeer: PeerFactory }>> = {
  tandem: () => import('../peers/tandem.js'),
  'metrics-on': () => import('../peers/tandem.js').then((peer) => ({ createPeer: peer.createWithMetrics })),
  'metrics-off': () => import('../peers/tandem.js').then((peer) => ({ createPeer: peer.createWithoutMetrics })),
  kafkajs: () => import('../peers/kafkajs.js'),
  platformatic: () => import('../peers/platformatic.js'),
}

process.once('message', (job: Job) => {
  run(job).then(
    (measurement) => process.send?.({ measurement }, () => process.exit(0)),
    (error: unknown) =>
      process.send?.({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }, () =>
        process.exit(1),
      ),
  )
})

async function run(job: Job): Promise<Measurement> {
  const load = PEERS[job.client]
  if (load === undefined)
    throw new Error(`unknown client ${job.client}: expected one of ${Object.keys(PEERS).join(', ')}`)
  const { createPeer } = await load()
  const peer = await createPeer({ brokers: job.brokers, compression: job.compression, partitions: job.partitions })
  try {
    const values = makeValues(job.valueBytes)
    if (job.warmupRecords > 0) await peer.produce(job.warmupTopic, values, job.warmupRecords)
    return await measure(peer, job, values)
  } finally {
    await peer.close()
  }
}

async function measure(peer: Peer, job: Job, values: readonly Buffer[]): Promise<Measurement> {
  const batchesBefore = peer.batches()
  const wireBefore = writtenBytes()
  const cpuBefore = process.cpuUsage()
  const startedNs = process.hrtime.bigint()
  await peer.produce(job.topic, values, job.records)
  const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9
  const cpu = process.cpuUsage(cpuBefore)
  const wireAfter = writtenBytes()
  const batchesAfter = peer.batches()
  return {
    version: peer.version,
    settings: peer.settings,
    seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    wireBytes: wireBefore === null || wireAfter === null ? null : wireAfter - wireBefore,
    meanBatchBytes: meanBatchBytes(batchesBefore, batchesAfter),
  }
}

function meanBatchBytes(before: ReturnType<Peer['batches']>, after: ReturnType<Peer['batches']>): number | null {
  if (before === null || after === null || after.count === before.count) return null
  return Math.round((after.bytes - before.bytes) / (after.count - before.count))
}

/** Linux counts the bytes of all write calls of a process; sockets are nearly all of them here. */
function writtenBytes(): number | null {
  try {
    return Number(/^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? Number.NaN)
  } catch {
    return null
  }
}
