/**
 * Compaction on command, by whole batches: a batch goes when each of its records has a newer one of the same key.
 * Simpler than Kafka's cleaner, which rewrites batches record by record; what clients meet is the same: offsets with
 * gaps, and an emptied batch where a producer's last one was (kafka.md B-12).
 * Invariant: offsets, high watermark and producer states stay as they are.
 */
import { asBuffer, emptied } from './batch-header.js'
import type { PartitionLog } from './partition-log.js'
import { readRecords } from './read-records.js'
import type { Replicas } from './replicas.js'
import type { StoredBatch } from './stored-batch.js'

export async function compactLog(replicas: Replicas): Promise<void> {
  const served = replicas.log.batches().filter((batch) => batch.lastOffset < replicas.highWatermark)
  const newest = await newestOffsets(served)
  const dead: StoredBatch[] = []
  for (const batch of served) {
    const records = await readRecords(batch.bytes)
    const isAlive = records.some(({ key, offset }) => key === null || newest.get(key.toString('hex')) === offset)
    if (!isAlive) dead.push(batch)
  }
  for (const log of replicas.logs()) clean(log, dead)
}

async function newestOffsets(batches: readonly StoredBatch[]): Promise<Map<string, number>> {
  const newest = new Map<string, number>()
  for (const batch of batches) {
    for (const { key, offset } of await readRecords(batch.bytes)) {
      if (key !== null) newest.set(key.toString('hex'), offset)
    }
  }
  return newest
}

function clean(log: PartitionLog, dead: readonly StoredBatch[]): void {
  const gone = new Set(log.batches().filter((batch) => dead.some((one) => one.baseOffset === batch.baseOffset)))
  for (const batch of [...gone]) {
    const isLastOfProducer =
      batch.producerId >= 0n &&
      log.producers.entries().some((entry) => entry.batches.at(-1)?.lastOffset === batch.lastOffset)
    if (!isLastOfProducer) continue
    gone.delete(batch)
    log.replace(batch, { ...batch, bytes: emptied(asBuffer(batch.bytes)), count: 0 })
  }
  log.remove(gone)
}
