/**
 * A member of group `g` in a process of its own, which the test kills: run by kill.test.ts.
 * Each record is a line of the journal, written before its callback returns, so that SIGKILL loses nothing that happened.
 */
import { openSync, writeSync } from 'node:fs'
import { Consumer } from '../../../lib/consumer/index.js'
import { silentLogger } from '../../../lib/util/index.js'

const [brokers, groupProtocol, journal] = process.argv.slice(2) as [string, 'classic' | 'consumer', string]
const file = openSync(journal, 'a')
const common = { brokers, groupId: 'g', groupProtocol, logger: silentLogger }
const consumer = new Consumer({ ...common, autoOffsetReset: 'earliest', autoCommitIntervalMs: 20, fetchMaxWaitMs: 20 })
process.once('message', () => void consumer.close().then(() => process.exit(0)))

await consumer.subscribe('t', async ({ partition, offset, value }) => {
  await new Promise((resolve) => setImmediate(resolve))
  writeSync(file, `${partition}@${offset}=${value}\n`)
  process.send?.(offset)
})
