/**
 * The main job, on real input: produces a million JSON records (mixed sizes, keys, headers, lz4) while consuming them,
 * then verifies count, order per key and a checksum, and prints what it cost.
 * Runs on the embedded broker; `--brokers host:port` takes a real Kafka.
 */
import { parseArgs } from 'node:util'
import { MQ } from 'tandem-mq'
import { createBroker } from 'tandem-mq/broker'
import { crc32c } from '../lib/util/index.js'
import { DemoRecords, sequenceOf } from './demo-records.js'

const HELP = `npm run demo -- [options]

Produces JSON records (mixed sizes, keys, headers, lz4) while consuming them, verifies count, order per key and
checksum, and prints rates, CPU per message, batch sizes and latencies.

  --brokers host:port[,...]  a real Kafka; default: an embedded broker with three nodes in this process
  --records n                how many records, default 1000000
  --partitions n             partitions of the topic, default 6
  --customers n              different keys, default 10000
  --compression name         none, gzip, snappy, lz4, zstd; default lz4
  --help                     this text
`

const { values: args } = parseArgs({
  options: {
    brokers: { type: 'string' },
    records: { type: 'string', default: '1000000' },
    partitions: { type: 'string', default: '6' },
    customers: { type: 'string', default: '10000' },
    compression: { type: 'string', default: 'lz4' },
    help: { type: 'boolean', default: false },
  },
})

function count(name: 'records' | 'partitions' | 'customers'): number {
  const value = Number(args[name])
  if (Number.isSafeInteger(value) && value >= 1) return value
  console.error(`--${name} ${args[name]}: expected a whole number from 1`)
  process.exit(2)
}

if (args.help) {
  process.stdout.write(HELP)
  process.exit(0)
}

const records = count('records')
const partitions = count('partitions')
const customers = count('customers')
const topic = `demo-${Date.now().toString(36)}`
const thousands = (value: number) => Math.round(value).toLocaleString('en-US')

const embedded = args.brokers === undefined ? await createBroker({ nodes: 3 }) : undefined
const brokers = args.brokers ?? (embedded?.bootstrap as string)
console.log(`tandem-mq demo: ${thousands(records)} JSON records, ${partitions} partitions, ${args.compression}`)
console.log(embedded === undefined ? `  Kafka at ${brokers}` : `  embedded broker, three nodes, at ${brokers}`)
const mq = new MQ({
  brokers,
  clientId: 'demo',
  producer: { compression: args.compression as 'lz4' },
  monitoring: { intervalMs: 0 }, // this program tells how it goes
})
const { producer, consumer } = mq
mq.on('error', (error) => console.error(`  ${error}`))
await mq.admin.createTopic({ name: topic, partitions })

// What was sent and what arrived; the sums do not depend on the order between partitions.
let sentBytes = 0
let sentSum = 0
let received = 0
let receivedBytes = 0
let receivedSum = 0
let outOfOrder = 0
const lastSeen = new Map<string, number>()
let allReceived: () => void = () => {}
const done = new Promise<void>((resolve) => {
  allReceived = resolve
})

await consumer.assign(
  [topic],
  (record) => {
    const value = record.value as Buffer
    const key = (record.key as Buffer).toString('latin1')
    const n = sequenceOf(value)
    if (n !== (lastSeen.get(key) ?? 0) + 1) outOfOrder++
    lastSeen.set(key, n)
    receivedBytes += value.length
    receivedSum = (receivedSum + crc32c(value)) % Number.MAX_SAFE_INTEGER
    if (++received >= records) allReceived()
  },
  { from: 'earliest' },
)

// What making and checking a record costs by itself, so that the rest can be told apart.
const ownUs = costOfOneRecord()

const source = new DemoRecords(customers)
const startCpu = process.cpuUsage()
const startMs = performance.now()
const progress = setInterval(report, 1000)
for (let sent = 0; sent < records; sent++) {
  const { key, value, headers } = source.next()
  const bytes = Buffer.from(value)
  sentBytes += bytes.length
  sentSum = (sentSum + crc32c(bytes)) % Number.MAX_SAFE_INTEGER
  if (!producer.sendAsync(topic, bytes, { key, headers })) await producer.ready()
  // A service would yield by itself; here the loop does, so that consuming goes on beside it.
  if (sent % 2000 === 1999) await new Promise((resolve) => setImmediate(resolve))
}
await producer.flush()
const producedMs = performance.now() - startMs
const timeout = setTimeout(allReceived, 60_000)
await done
clearTimeout(timeout)
clearInterval(progress)
const totalMs = performance.now() - startMs
const cpu = process.cpuUsage(startCpu)

const metrics = producer.getMetrics()
console.log(
  `  produced   ${thousands(records)} records, ${thousands(sentBytes / 1e6)} MB in ${(producedMs / 1000).toFixed(1)} s = ${thousands((records * 1000) / producedMs)} records/s`,
)
console.log(
  `  consumed   ${thousands(received)} records, ${thousands(receivedBytes / 1e6)} MB in ${(totalMs / 1000).toFixed(1)} s = ${thousands((received * 1000) / totalMs)} records/s`,
)
const cpuUs = (cpu.user + cpu.system) / records
console.log(
  `  CPU        ${(cpuUs - ownUs).toFixed(2)} us per message for producing${embedded === undefined ? '' : ', brokering'} and consuming it, besides ${ownUs.toFixed(2)} us for making and checking it`,
)
console.log(
  `  batches    ${thousands(metrics.batches)}, mean ${thousands(metrics.meanBatchRecords)} records in ${thousands(metrics.meanBatchBytes)} B, compressed to ${(metrics.compressionRatio * 100).toFixed(0)} %`,
)
console.log(
  `  latency    p50 ${metrics.p50LatencyMs.toFixed(1)} ms, p99 ${metrics.p99LatencyMs.toFixed(1)} ms from append to acknowledgement, at full load`,
)
console.log(`  memory     ${thousands(process.memoryUsage.rss() / 1e6)} MB`)

await printMetrics()
const { pendingMessages } = producer.getMetrics()
await mq.close()
await embedded?.close()

const checks: [string, boolean][] = [
  [`count: ${thousands(received)} of ${thousands(records)} arrived`, received === records],
  [`order: ${outOfOrder} records out of order over ${thousands(lastSeen.size)} keys`, outOfOrder === 0],
  [
    `checksum: ${receivedSum.toString(16)}, ${thousands(receivedBytes)} B`,
    receivedSum === sentSum && receivedBytes === sentBytes,
  ],
  [
    `conserved: ${thousands(metrics.totalMessages)} accepted = ${thousands(metrics.successMessages)} acknowledged + ${metrics.failedMessages} failed + ${metrics.pendingMessages} pending`,
    metrics.totalMessages === metrics.successMessages && pendingMessages === 0,
  ],
]
for (const [text, isGood] of checks) console.log(`  ${isGood ? 'ok  ' : 'FAIL'} ${text}`)
if (checks.some(([, isGood]) => !isGood)) process.exitCode = 1

/** CPU of this program's own part of a record: making it, its bytes, its checksum, twice. Microseconds. */
function costOfOneRecord(): number {
  const rehearsal = new DemoRecords(customers, 7)
  const seen = new Map<string, number>()
  let sum = 0
  const rounds = 100_000
  const start = process.cpuUsage()
  for (let round = 0; round < rounds; round++) {
    const { key, value } = rehearsal.next()
    const bytes = Buffer.from(value)
    sum = (sum + crc32c(bytes) + crc32c(bytes)) % Number.MAX_SAFE_INTEGER
    seen.set(Buffer.from(key).toString('latin1'), sequenceOf(bytes))
  }
  const used = process.cpuUsage(start)
  return (used.user + used.system) / rounds
}

function report(): void {
  const { successMessages, bufferUsedBytes } = producer.getMetrics()
  const rss = process.memoryUsage.rss() / 1e6
  console.log(
    `  ${((performance.now() - startMs) / 1000).toFixed(0).padStart(3)} s  acknowledged ${thousands(successMessages)}  consumed ${thousands(received)}  buffered ${(bufferUsedBytes / 1e6).toFixed(0)} MB  rss ${rss.toFixed(0)} MB`,
  )
}

/** The series of a dashboard's first row, as Prometheus would fetch them. */
async function printMetrics(): Promise<void> {
  const { overall, checks } = await mq.health()
  console.log(`  health     ${overall ? 'healthy' : 'NOT healthy'} (${Object.keys(checks).join(', ')})`)
  const wanted =
    /^tandem_mq_(producer_records_total|producer_batches_total|consumer_records_total|switch_counts_total|buffer_used|connections\{|produce_latency_seconds_(sum|count))/
  const lines = (await mq.metrics.text()).split('\n').filter((line) => wanted.test(line))
  console.log(`  metrics    ${lines.length} lines of mq.metrics.text()`)
  for (const line of lines) console.log(`             ${line}`)
}
