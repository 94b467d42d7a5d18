/**
 * A cluster on which the edges of exactly-once are provoked (wal.md 1.3): what can be done to one topic of one partition
 * between the death of a producer and its return. `null` where this cluster cannot do it.
 */
import type { FoundRecord } from '../support/ledger.js'

export interface EdgeStage {
  readonly name: string
  readonly brokers: string
  /** `isReplicated`: so that its leader can move; else one broker has it, and a restart of that one is felt. */
  createTopic(topic: string, isReplicated: boolean): Promise<void>
  read(topic: string): Promise<FoundRecord[]>
  /** Log end offset. */
  end(topic: string): Promise<number>
  /** The broker that leads the topic stops in order and comes back: it remembers one batch per producer. */
  cleanRestart(topic: string): Promise<void>
  /** It is killed and comes back. */
  kill(topic: string): Promise<void>
  recreate(topic: string): Promise<void>
  deleteRecords(topic: string, before: number): Promise<void>
  readonly moveLeader: ((topic: string) => Promise<void>) | null
  /** No broker knows any producer of the topic any more. */
  readonly forgetProducers: ((topic: string) => Promise<void>) | null
  /** DescribeProducers is refused until the returned function is called. */
  readonly refuseDescribe: (() => () => void) | null
  /** The brokers are those of another cluster now. */
  readonly becomeAnother: (() => Promise<void>) | null
  [Symbol.asyncDispose](): Promise<void>
}
