/**
 * Waits for a fact that somebody else brings about: a broker, a process, another client.
 * Why polling: a real Kafka gives no event for it. Only integration tests may use this; with a clock of our own a test
 * advances time instead.
 */
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 20

/** Asks `fact` until it is true; what it throws counts as "not yet", and the last such error is the cause in the end. */
export async function eventually(
  what: string,
  fact: () => boolean | Promise<boolean>,
  deadlineMs: number,
  story: () => string = () => '',
): Promise<void> {
  const untilMs = Date.now() + deadlineMs
  for (let cause: unknown; ; ) {
    try {
      if (await fact()) return
    } catch (error) {
      cause = error
    }
    if (Date.now() > untilMs) throw new Error(`not within ${deadlineMs} ms: ${what} ${story()}`.trim(), { cause })
    await sleep(POLL_MS)
  }
}
