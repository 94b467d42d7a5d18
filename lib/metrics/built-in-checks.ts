/**
 * The checks every instance has: what is wrong with a part, as a text that names it.
 * Why they look and do not ask: only the check of the brokers makes a round trip, so health stays cheap while many ask.
 * Source: features.md ME-5, PR-19.
 */
import { MQError } from '../errors/index.js'

export interface CheckedProducer {
  readonly state: string
  /** Records are accepted but brokers are away, or a circuit is open. */
  readonly isDegraded: boolean
}

export interface CheckedConsumer {
  readonly state: string
  getMetrics(): { readonly failedPartitions: readonly string[] }
}

/** Throws when records can be accepted but not be sent. */
export function checkProducer(producer: CheckedProducer | null): void {
  if (producer?.isDegraded === true)
    throw unhealthy('degraded: records wait, because brokers are away or a circuit is open')
}

/** Throws when delivery ended by itself, or partitions stand still after an error. */
export function checkConsumer(consumer: CheckedConsumer | null): void {
  if (consumer === null) return
  if (consumer.state === 'stopped') throw unhealthy('delivery has ended: consumer.run() tells why')
  const { failedPartitions } = consumer.getMetrics()
  if (failedPartitions.length > 0)
    throw unhealthy(`partitions stand still after an error: ${failedPartitions.join(', ')}`)
}

function unhealthy(text: string): MQError {
  return new MQError('CONNECTION_FAILED', text, {})
}
