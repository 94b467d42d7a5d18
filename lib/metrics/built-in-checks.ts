/**
 * The checks every instance has: what is wrong with a part, as a text that names it.
 * Why they look and do not ask: only the check of the brokers makes a round trip, so health stays cheap while many ask.
 * Source: features.md ME-5, PR-19.
 */
import { MQError, toMQError } from '../errors/index.js'

export interface CheckedProducer {
  /** Throws what is in the way of delivery. */
  checkHealth(): void
}

export interface CheckedConsumer {
  readonly state: string
  getMetrics(): { readonly failedPartitions: readonly string[] }
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

function unhealthy(text: string): MQError {
  return new MQError('CONNECTION_FAILED', text, {})
}
