/**
 * What a child of the kill tests is told, and the lines in which it tells what happened.
 *
 *   parent --stdin: one Job as a line of JSON--> child --stdout: lines--> parent
 *
 * Why plain lines on a pipe that blocks: what a child has written is the parent's, whatever kills the child a moment
 * later, and a parent that falls behind slows the child down instead of filling memory.
 * Invariant: `S` is written before the first record of its range is sent, `A` and `D` only after the promise resolved; so
 * the parent never believes in a record that was not sent, nor in an acceptance that did not happen.
 *
 *   S lane from to     about to send these numbers        A lane from to   accepted (sendDurable resolved)
 *   F lane n code status  refused, with its error         D lane from to   delivered (sendSync, sendAsync)
 *   X milestone [json]                                    E name json      an event of the producer's
 */
import type { ProducerConfig } from '../../../lib/config/index.js'

export interface Lane {
  readonly topic: string
  readonly partition: number
  /** The first number to send. */
  readonly from: number
}

export interface Job {
  readonly seed: number
  readonly brokers: string
  readonly lanes: readonly Lane[]
  /**
   * `load`: sends until it is killed or has sent `limit` records per lane. `doubt`: brings batches into doubt and waits for
   * its end. `drain`: recovers, delivers, closes.
   */
  readonly role: 'load' | 'doubt' | 'drain'
  /** Records per lane; 0 = without end. */
  readonly limit: number
  /** Records of one lane that are sent in one turn, at most. */
  readonly burst: number
  /** Records whose acceptance is awaited, at most. */
  readonly window: number
  /** Sends as soon as there is a producer, without waiting for `connect()`. */
  readonly isEager: boolean
  /** Every record by `sendDurable`. */
  readonly isOnlyDurable: boolean
  readonly producer: ProducerConfig
  /** For `load`: closes the producer so long after the job began, within `closeLimitMs`. Milliseconds; -1 = never. */
  readonly closeAfterMs: number
  readonly closeLimitMs: number
  /** For `doubt`. */
  readonly doubt: Doubt | null
  /** CreateTime of every record; 0 = the child's clock. */
  readonly timestamp: number
}

/** One record is delivered and noted first; then these batches, of which no answer arrives. All on the first lane. */
export interface Doubt {
  /** 1..5. */
  readonly batches: number
  readonly recordsPerBatch: number
  /** Accepted behind them, never on the wire: with five batches in doubt no more may leave. */
  readonly unsent: number
  /** What is lost: the broker did what was asked, or it heard nothing. */
  readonly loses: 'answers' | 'requests'
}

export type Milestone =
  /** The library is loaded; waits for its job. */
  | 'ready'
  /** `connect()` resolved: the log is open. */
  | 'open'
  /** `connect()` rejected. */
  | 'unconnected'
  /** Everything that was recovered is settled or held. */
  | 'recovered'
  /** All of `limit` are accepted; all that should be in doubt is. */
  | 'sent'
  /** `close()` resolved; with its report. */
  | 'closed'
  /** The job failed; with the error. */
  | 'failed'
