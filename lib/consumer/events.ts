/** What a consumer tells besides records. Listeners run after our own state has changed. */
import type { MQError } from '../errors/index.js'
import type { TopicPartition } from './cursor.js'

/** Records that were read have vanished from the log (unclean election): KIP-320. */
export interface TruncationEvent {
  readonly topic: string
  readonly partition: number
  /** Where this consumer stood. */
  readonly position: number
  /** Where the logs part, -1 when unknown. */
  readonly divergence: number
}

/** A position outside the log, or of a topic that was made anew, was given up. */
export interface ResetEvent {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
}

export interface WarningEvent {
  readonly message: string
  readonly context: object
}

/** Partitions that came to this consumer, or left it. */
export interface PartitionsEvent {
  readonly partitions: readonly TopicPartition[]
}

/** Partitions that were taken away: somebody else may read them already. */
export interface LostEvent extends PartitionsEvent {
  readonly reason: MQError
}

export interface ConsumerEvents {
  /** A partition, a callback or a batch failed. Other partitions go on. */
  error: MQError
  warning: WarningEvent
  truncation: TruncationEvent
  reset: ResetEvent
  /** The group gave us these. A promise that the listener returns is awaited before they are read; it may `seek`. */
  assigned: PartitionsEvent
  /** These go to somebody else; committed already. A promise is awaited, within `rebalanceTimeoutMs`. */
  revoked: PartitionsEvent
  /** These are gone without a commit: the group did not hear of this member, or put it out. */
  lost: LostEvent
  /** Delivery ended: a callback returned false (`error` null), or its failure ended it. */
  stopped: { readonly error: MQError | null }
}
