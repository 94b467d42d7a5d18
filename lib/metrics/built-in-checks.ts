/**
 * The checks every instance has: what is wrong with a part, as a text that names it.
 * Why they look and do not ask: only the check of the brokers makes a round trip, so health stays cheap while many ask.
 * Source: features.md ME-5, PR-19.
 */
import { MQError, toMQError } from '../errors/index.js'
import type { WalState } from '../wal/index.js'

export interface CheckedProducer {
  /** Throws what is in the way of delivery. */
  checkHealth(): void
}

export interface CheckedConsumer {
  readonly state: string
  getMetrics(): { readonly failedPartitions: readonly string[] }
}

export interface CheckedLog {
  /** Null: without a log, or before it is open. */
  readonly walState: WalState | null
  walMeasures(): { readonly heldStreams: number } | null
}

/** Throws when records can be accepted but not be sent, and why. */
export function checkProducer(producer: CheckedProducer): void {
  try {
    producer.checkHealth()
  } catch (error) {
    const why = toMQError(error, 'PRODUCE_FAILED', 'the producer')
    throw new MQError(why.code, `degraded: ${why.message}`, why.context, { cause: error })
  }
}

/** Throws when delivery ended by itself, or partitions stand still after an error. */
export function checkConsumer(consumer: CheckedConsumer): void {
  if (consumer.state === 'stopped') throw unhealthy('delivery has ended: consumer.run() tells why')
  const { failedPartitions } = consumer.getMetrics()
  if (failedPartitions.length > 0)
    throw unhealthy(`partitions stand still after an error: ${failedPartitions.join(', ')}`)
}

/** Throws unless the log takes records and every topic-partition in it goes on. What it has accepted is safe in any case. */
export function checkWal(log: CheckedLog): void {
  const trouble = troubleOf(log.walState)
  if (trouble !== null) throw trouble
  const held = log.walMeasures()?.heldStreams ?? 0
  if (held === 0) return
  const text = `${held} topic-partitions are held in doubt: decide with producer.resolveHeld or 'tandem-mq wal recover'`
  throw new MQError('PRODUCE_FAILED', text, { heldStreams: held })
}

function troubleOf(state: WalState | null): MQError | null {
  switch (state) {
    case 'draining': {
      const text = 'draining: the log is full; new records wait or are refused until records in it are delivered'
      return new MQError('POOL_EXHAUSTED', text, { reason: 'WAL_FULL' })
    }
    case 'degraded':
      return new MQError('PRODUCE_FAILED', 'degraded: a segment was given up after a failed write, and written anew')
    case 'failed': {
      const text = 'failed: nothing is written any more; new records are treated as wal.onWalFailure says'
      return new MQError('PRODUCE_FAILED', text, { reason: 'WAL_FAILED' })
    }
    default:
      return null
  }
}

function unhealthy(text: string): MQError {
  return new MQError('CONNECTION_FAILED', text, {})
}
