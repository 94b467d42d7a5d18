/** A queue in front of a producer: what is enqueued survives a restart of the service, and arrives in order. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BatchQueue, MQ, recommendedMemoryItems } from 'tandem-mq'
import { check, exampleBrokers } from './example.js'

const ITEMS = 1_000
const dir = mkdtempSync(join(tmpdir(), 'tandem-queue-'))
const open = (send: ConstructorParameters<typeof BatchQueue<string>>[0]['send']) =>
  new BatchQueue<string>({
    send,
    dir,
    durability: 'os',
    batchMaxItems: 100,
    lingerMs: 20,
    memoryMaxItems: recommendedMemoryItems(5_000, 200),
  })

// Nobody can be reached: everything stays in the log.
const first = open(async () => {
  throw new Error('the network is down')
})
await first.start()
for (let n = 0; n < ITEMS; n++) await first.enqueue(`order ${n}`)
const { pending } = await first.close({ timeoutMs: 100 })

// The next start of the service delivers it, each record with a name of its own.
const { brokers, stop } = await exampleBrokers()
const run = process.env['RUN'] ?? Date.now().toString(36)
const topic = `queue-${run}`
const mq = new MQ({ brokers, consumer: { autoOffsetReset: 'earliest', groupId: `${topic}.group` } })
await mq.admin.createTopic({ name: topic, partitions: 1 })
const second = open(mq.queueSender(topic, { idHeader: true }))
await second.start()
await second.drain()
const { sent } = await second.close()
const read: string[] = []
await new Promise<void>((resolve) => {
  void mq.subscribe(topic, (record) => {
    read.push(String(record.value))
    if (read.length === ITEMS) resolve()
  })
})
await mq.close()
await stop()
rmSync(dir, { recursive: true })
const isInOrder = read.every((value, n) => value === `order ${n}`)
check(
  pending === ITEMS && sent === ITEMS && isInOrder,
  `${ITEMS} orders kept, and delivered in order by the next start`,
)
