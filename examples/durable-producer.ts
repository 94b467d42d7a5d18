/**
 * A producer with a write-ahead log: what it accepted while no broker could be reached is delivered by the next process
 * that opens the directory, in order and once. Nothing is killed here; a process that dies leaves the same behind.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Consumer, MQ, Producer } from 'tandem-mq'
import { check, exampleBrokers } from './example.js'

const TOPIC = `durable-${Date.now().toString(36)}`
const RECORDS = 1_000
/** Nobody listens there. */
const NOBODY = '127.0.0.1:1'

const { brokers, stop } = await exampleBrokers()
const folder = mkdtempSync(join(tmpdir(), 'durable-'))
const wal = { dir: join(folder, 'orders.wal'), durability: 'immediate', maxBytes: 64 * 1024 * 1024 } as const
const mq = new MQ({ brokers })
await mq.admin.createTopics([{ name: TOPIC, partitions: 3 }])

// An ordinary day: the log learns which partitions the topic has.
const first = new Producer({ brokers, wal })
await first.connect()
await first.sendSync(TOPIC, 'opened', { key: 'shop' })
console.log(`  the promise: ${first.guarantee.level}, survives ${first.guarantee.survives}`)
await first.close()

// No broker can be reached. Records are accepted all the same: they are on the disk.
const second = new Producer({
  brokers: NOBODY,
  wal,
  logger: { ...console, error() {}, warn() {}, info() {}, debug() {} },
})
const receipts = await Promise.all(
  Array.from({ length: RECORDS }, (_, n) => second.sendDurable(TOPIC, String(n), { key: `customer-${n % 10}` })),
)
check(receipts.length === RECORDS, `${RECORDS} records were accepted while no broker could be reached`)
const { inWalRecords } = await second.close({ timeoutMs: 0 })
check(inWalRecords === RECORDS, 'close() says that all of them are in the log')

// The next process, with brokers.
const third = new Producer({ brokers, wal })
third.on('walRecovery', ({ phase, entries }) => {
  if (phase === 'done') console.log(`  recovered: ${entries} batches were left behind`)
})
await third.connect()
await third.walRecovered()
check(third.heldStreams.length === 0, 'nothing waits for a decision')
check((third.walMeasures()?.log.unsettledRecords ?? -1) === 0, 'the log is empty')
await third.close()

const values = await readAll()
check(values.length === RECORDS + 1, 'every record is in Kafka, and none of them twice')
const isOrdered = Array.from({ length: 10 }, (_, customer) => values.map(Number).filter((n) => n % 10 === customer))
  .flatMap((own) => own.map((n, at) => at === 0 || n > (own[at - 1] as number)))
  .every((holds) => holds)
check(isOrdered, 'those of each customer are in the order in which they were sent')
await mq.close()
await stop()
rmSync(folder, { recursive: true })

async function readAll(): Promise<string[]> {
  const consumer = new Consumer({ brokers, autoOffsetReset: 'earliest' })
  await consumer.assign([TOPIC])
  const found: string[] = []
  // Half a second after the last one that must come, no other one comes.
  for (;;) {
    const record = await consumer.read({ timeoutMs: found.length <= RECORDS ? 20_000 : 500 })
    if (record === null) break
    found.push(String(record.value))
  }
  await consumer.close()
  return found
}
