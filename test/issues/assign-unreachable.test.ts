/**
 * `assign(..., { timeoutMs })` bounded its look-ups, but not the first connection: with no broker to be reached it
 * rejected after the limits of the connection, half a minute with defaults. CO-1.
 */
import { expect, it } from 'vitest'
import { Consumer } from '../../lib/consumer/index.js'
import { silentLogger } from '../../lib/util/index.js'

it('CO-1: assign rejects after timeoutMs when no broker can be reached', async () => {
  const consumer = new Consumer({ brokers: '127.0.0.1:1', logger: silentLogger })
  const startMs = performance.now()
  await expect(consumer.assign(['t'], () => {}, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'TIMEOUT' })
  await consumer.close()
  expect(performance.now() - startMs).toBeLessThan(3_000)
})
