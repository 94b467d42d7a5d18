/** What a consumer tells besides records. Listeners run after our own state has changed. */
import type { MQError } from '../errors/index.js'

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

export interface ConsumerEvents {
  /** A partition, a callback or a batch failed. Other partitions go on. */
  error: MQError
  warning: WarningEvent
  truncation: TruncationEvent
  reset: ResetEvent
  /** Delivery ended: a callback returned false (`error` null), or its failure ended it. */
  stopped: { readonly error: MQError | null }
}
