/**
 * What the kill tests need of a cluster, be it in this process or real: topics, trouble, and a reader that knows nothing
 * of the producer.
 */
import type { RandomSource } from '../../../lib/util/index.js'
import type { FoundRecord } from './ledger.js'

export type Trouble = 'cleanRestart' | 'kill' | 'moveLeader' | 'holdAnswers' | 'loseAnswers' | 'disconnect'

export interface ChaosCluster {
  /** For the last line of the report. */
  readonly name: string
  readonly brokers: string
  /** What can be done to it while producers run. */
  readonly troubles: readonly Trouble[]
  /** Share of the cycles in which something is done to it, 0..1. */
  readonly troubled: number
  /** Not replicated, it feels the restart of its broker: that one comes back and has forgotten most batches. */
  createTopic(topic: string, partitions: number, isReplicated: boolean): Promise<void>
  deleteTopic(topic: string): Promise<void>
  /** Everything of one topic, by partition, ascending offsets. */
  read(topic: string, partitions: number): Promise<FoundRecord[][]>
  /** Does it and, after a while, undoes it; settles when it is undone. */
  trouble(kind: Trouble, topics: readonly string[], random: RandomSource): Promise<void>
  close(): Promise<void>
}
