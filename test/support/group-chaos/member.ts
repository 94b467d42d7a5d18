/**
 * One member of a group in a process of its own, which others may kill or stop: run by group-chaos.
 * Everything it does is a line of its journal, written synchronously, so that SIGKILL loses nothing that happened:
 *   a <partitions>   given to us        r <partitions>   given back        l <partitions>   lost
 *   p <partition> <offset>  a record is processed (written before its callback returns)
 *   e, w <text>      an error, a warning   c  closed cleanly
 */
import { openSync, writeSync } from 'node:fs'
import { Consumer } from '../../../lib/consumer/index.js'
import { silentLogger } from '../../../lib/util/index.js'

const [brokers, topic, groupId, protocol, journal, name] = process.argv.slice(2) as [
  string,
  string,
  string,
  'classic' | 'consumer',
  string,
  string,
]
const file = openSync(journal, 'a')
const note = (line: string) => void writeSync(file, `${line}\n`)
const list = (partitions: readonly { partition: number }[]) => partitions.map(({ partition }) => partition).join()

const consumer = new Consumer({
  brokers,
  groupId,
  clientId: name,
  groupProtocol: protocol,
  autoOffsetReset: 'earliest',
  autoCommitIntervalMs: 500,
  sessionTimeoutMs: 6_000,
  heartbeatIntervalMs: 1_000,
  rebalanceTimeoutMs: 10_000,
  fetchMaxWaitMs: 100,
  concurrency: 3,
  onError: 'stop',
  logger: silentLogger,
})
consumer.on('assigned', ({ partitions }) => note(`a ${list(partitions)} ${Date.now()}`))
consumer.on('revoked', ({ partitions }) => note(`r ${list(partitions)} ${Date.now()}`))
consumer.on('lost', ({ partitions, reason }) => note(`l ${list(partitions)} ${Date.now()} ${reason.message}`))
consumer.on('error', (error) => note(`e ${error.code} ${error.message}`))
consumer.on('warning', (warning) => note(`w ${Date.now()} ${warning.message} ${JSON.stringify(warning.context)}`))

process.on('SIGTERM', async () => {
  await consumer.close()
  note('c')
  process.exit(0)
})

await consumer.subscribe(topic, async (record, { partition }) => {
  await Promise.resolve() // a callback that awaits something, as callbacks do
  note(`p ${partition} ${record.offset} ${Date.now()}`)
})
process.send?.('ready')
