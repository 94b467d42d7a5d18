/**
 * Puts together what metrics read, when they read it: counters as they stand, levels summed up over the lanes.
 * Why here and not kept up to date: ten thousand lanes are looked at once per flush instead of once per record.
 */
import type { ChannelMeasures, ChannelStats } from '../channel/index.js'
import type { BatchMemory } from './batch-memory.js'
import type { ProducerCounters } from './counters.js'
import type { Lane } from './lane.js'
import type { CircuitLevel, ProducerMeasures } from './measures.js'
import { Observations } from './observations.js'

export interface MeasureSources {
  readonly counters: ProducerCounters
  /** null: nothing is observed, and all histograms are empty. */
  readonly observations: Observations | null
  readonly memory: BatchMemory
  readonly lanes: readonly Lane[]
  readonly inFlightRequests: number
  readonly circuits: ReadonlyMap<number, CircuitLevel>
  readonly blockedMs: number
}

export function readMeasures(sources: MeasureSources): ProducerMeasures {
  const { counters, memory, lanes } = sources
  const observed = sources.observations ?? new Observations()
  const { usedBytes, limitBytes } = memory.budget
  return {
    accepted: counters.accepted,
    acknowledged: counters.acknowledged,
    failed: counters.failed,
    dropped: counters.dropped,
    pending: counters.pending,
    acceptedBytes: counters.acceptedBytes,
    batches: counters.batches,
    retries: counters.retriesByReason,
    produceSeconds: observed.produceSeconds,
    requestSeconds: observed.requestSeconds,
    batchBytes: observed.batchBytes,
    batchRecords: observed.batchRecords,
    compressionRatios: observed.ratios(),
    inFlightBatches: lanes.reduce((sum, { window }) => sum + window.inFlight, 0),
    inFlightRequests: sources.inFlightRequests,
    bufferUsedBytes: usedBytes,
    bufferLimitBytes: limitBytes,
    softLimits: counters.softLimits,
    hardLimits: counters.hardLimits,
    blockedSeconds: sources.blockedMs / 1000,
    recordsPerSecond: counters.recordRate.perSecond(),
    circuits: sources.circuits,
    errors: counters.errors,
    lanes: lanesOf(sources, observed),
  }
}

/** All lanes as one channel: what the producer took is written, what the sender took is read. */
function lanesOf({ counters, memory, lanes }: MeasureSources, observed: Observations): ChannelMeasures {
  let activeRecords = 0
  let activeBytes = 0
  let skippedSwitches = 0
  for (const lane of lanes) {
    skippedSwitches += lane.skippedSwitches
    if (lane.activeRecords === 0) continue
    activeRecords += lane.activeRecords
    activeBytes += lane.activeBytes
  }
  return {
    writes: counters.accepted,
    writeFailures: counters.refused,
    writtenBytes: counters.acceptedBytes,
    reads: counters.handedRecords,
    readFailures: 0, // The sender is the one reader, and takes only what is there.
    readBytes: counters.handedBytes,
    switches: counters.seals,
    skippedSwitches,
    switchSeconds: observed.switchSeconds,
    allocations: memory.stats().allocations,
    activeRecords,
    activeBytes,
    overdueLeases: 0,
  }
}

/** All lanes as one channel, for people (CH-2); `pooledBuffers` are arenas that wait for reuse. */
export function readStats(lanes: readonly Lane[], counters: ProducerCounters, memory: BatchMemory): ChannelStats {
  const total = {
    activeRecords: 0,
    activeBytes: 0,
    sealedBuffers: 0,
    sealedBytes: 0,
    pooledBuffers: memory.stats().pooledArenas,
    sequence: 0,
    switches: counters.seals,
    skippedSwitches: 0,
    waiters: 0,
  }
  for (const lane of lanes) {
    const stats = lane.stats()
    total.activeRecords += stats.activeRecords
    total.activeBytes += stats.activeRecords === 0 ? 0 : stats.activeBytes
    total.sealedBuffers += stats.sealedBuffers
    total.sealedBytes += stats.sealedBytes
    total.sequence = Math.max(total.sequence, stats.sequence)
    total.skippedSwitches += stats.skippedSwitches
  }
  return total
}
