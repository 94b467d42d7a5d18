/**
 * A client with a log, in a process of its own: it leaves accepted records behind and dies, or comes back and delivers
 * what was left. Talks by IPC: gets one ProducerJob, answers one ProducerMeasurement, ends.
 */
import { MQ } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'
import type { ProducerJob, ProducerMeasurement } from './wal-end-to-end.js'
import { Items } from './wal-log.js'

/** Sends whose acceptance is awaited together. */
const CHUNK = 5_000

process.once('message', (job: ProducerJob) => {
  run(job).then(
    (measurement) => process.send?.({ measurement }, () => end(job)),
    (error: unknown) =>
      process.send?.({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }, () =>
        process.exit(1),
      ),
  )
})

function end({ what }: ProducerJob): void {
  if (what === 'leave') process.kill(process.pid, 'SIGKILL')
  else process.exit(0)
}

async function run(job: ProducerJob): Promise<ProducerMeasurement> {
  const { what, brokers, dir, durability } = job
  const mq = new MQ<Buffer>({
    brokers: [...brokers],
    clientId: 'bench-wal',
    logger: silentLogger,
    metrics: { enabled: job.isMeasured, flushIntervalMs: 500 },
    monitoring: { intervalMs: 0 },
    producer: { wal: { durability, dir, maxBytes: 2 ** 31 } },
  })
  const { producer } = mq
  const cpuBefore = process.cpuUsage()
  const startedAtMs = Date.now()
  const startedMs = performance.now()
  const since = () => (performance.now() - startedMs) / 1_000
  await producer.connect()
  const openSeconds = since()
  if (what !== 'resume') await send(producer, job)
  else await producer.walRecovered()
  const resolvedSeconds = since()
  if (what !== 'leave') await producer.flush()
  const seconds = since()
  const cpu = process.cpuUsage(cpuBefore)
  if (what !== 'leave') await mq.close()
  return {
    startedAtMs,
    openSeconds,
    resolvedSeconds,
    seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    peakRssBytes: process.resourceUsage().maxRSS * 1_024,
  }
}

async function send(
  producer: MQ<Buffer>['producer'],
  { topic, partitions, records, itemBytes }: ProducerJob,
): Promise<void> {
  const items = new Items(itemBytes)
  for (let number = 0; number < records; ) {
    const accepted: Promise<unknown>[] = []
    for (const end = Math.min(records, number + CHUNK); number < end; number++) {
      accepted.push(producer.sendDurable(topic, items.number(number), { partition: number % partitions }))
    }
    await Promise.all(accepted)
  }
}
