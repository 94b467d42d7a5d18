/**
 * What the examples share: a broker to run on, a check that can fail, and waiting for a fact.
 * A service of yours needs none of this.
 */
import { createBroker } from 'tandem-mq/broker'

/** A Kafka given by `--brokers`, `KAFKA_BROKERS`, or a broker in this process with the topics it is asked for. */
export async function exampleBrokers(
  given = process.env['KAFKA_BROKERS'],
): Promise<{ brokers: string; stop: () => Promise<void> }> {
  if (given !== undefined && given !== '') return { brokers: given, stop: async () => {} }
  const broker = await createBroker({ config: { 'auto.create.topics.enable': true } })
  return { brokers: broker.bootstrap, stop: () => broker.close() }
}

/** Prints what holds, or ends the process with exit code 1. */
export function check(holds: boolean, what: string): void {
  if (holds) return console.log(`  ok   ${what}`)
  console.error(`  FAILED   ${what}`)
  process.exit(1)
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Waits until something is true; fails after `limitMs`. */
export async function until(isTrue: () => boolean, limitMs = 30_000): Promise<void> {
  const endMs = Date.now() + limitMs
  while (!isTrue()) {
    if (Date.now() > endMs) check(false, `within ${limitMs} ms: ${String(isTrue)}`)
    await sleep(10)
  }
}
