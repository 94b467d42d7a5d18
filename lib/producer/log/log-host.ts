/** What the producer's log asks of the producer. */
import type { MQError } from '../../errors/index.js'
import type { Clock } from '../../util/index.js'
import type { Batch } from '../batch.js'
import type { BatchMemory } from '../batch-memory.js'
import type { ProducerCounters } from '../counters.js'
import type { LaneIdentity } from '../identity.js'
import type { Lane } from '../lane.js'
import type { ProducerSettings } from '../settings.js'

export interface LogHost {
  readonly clock: Clock
  readonly settings: ProducerSettings
  readonly memory: BatchMemory
  readonly counters: ProducerCounters
  /** Of all topics whose partitions are known. */
  readonly lanes: readonly Lane[]
  /** The lane of a topic-partition; undefined while its topic's partitions are not known, which are asked for then. */
  laneOf(topic: string, partition: number): Lane | undefined
  /** The log is open: topics that it knows have lanes from now on. */
  logOpened(): void
  /** Numbers for the next batch of this lane; null while there are none, or they are about to change. */
  identityOf(lane: Lane): LaneIdentity | null
  /** The batch can never be sent: its codec failed, or the log never takes a frame of its size. */
  unsendable(lane: Lane, batch: Batch, error: MQError): void
  /** New numbers for what is pending: a batch before it is gone, or goes again as a new one. */
  renew(lane: Lane): void
  /** A logged batch goes on as so many parts. */
  replaced(batch: Batch, parts: number): void
  warn(error: MQError): void
}
