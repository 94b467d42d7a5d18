/**
 * One run of one consumer in a process of its own: no client pays for the heap, the JIT or the garbage of another.
 * Invariant: a measurement leaves only when the warm-up had every byte right and the run every record in its place.
 * Talks by IPC: gets one ConsumeJob, answers one measurement or why there is none, ends.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConsumeJob, type ConsumeMeasurement, type ConsumerPeerFactory, Tally, type Use } from './consume-peer.js'
import { makeValues } from './payloads.js'

const PEERS: Record<string, () => Promise<{ createConsumerPeer: ConsumerPeerFactory }>> = {
  tandem: () => import('../peers/tandem-consumer.js'),
  kafkajs: () => import('../peers/kafkajs-consumer.js'),
  platformatic: () => import('../peers/platformatic-consumer.js'),
}
/** After the last record: what comes now was delivered twice. Milliseconds. */
const AFTERWARDS_MS = 100

process.once('message', (job: ConsumeJob) => {
  run(job).then(
    (measurement) => process.send?.({ measurement }, () => process.exit(0)),
    (error: unknown) =>
      process.send?.({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }, () =>
        process.exit(1),
      ),
  )
})

async function run(job: ConsumeJob): Promise<ConsumeMeasurement> {
  const load = PEERS[job.client]
  if (load === undefined)
    throw new Error(`unknown client ${job.client}: expected one of ${Object.keys(PEERS).join(', ')}`)
  const values = makeValues(job.valueBytes)
  const idleRssBytes = process.memoryUsage().rss
  const { createConsumerPeer } = await load()
  if (job.warmupRecords > 0) {
    await readAll(createConsumerPeer, job, job.warmupTopic, job.warmupGroup, job.warmupRecords, 'content', values)
  }
  const measured = await readAll(createConsumerPeer, job, job.topic, job.group, job.records, job.use, values)
  return { ...measured, idleRssBytes }
}

async function readAll(
  create: ConsumerPeerFactory,
  job: ConsumeJob,
  topic: string,
  group: string,
  records: number,
  use: Use,
  values: readonly Buffer[],
): Promise<Omit<ConsumeMeasurement, 'idleRssBytes'>> {
  const tally = new Tally(records, job.partitions)
  const cpuBefore = process.cpuUsage()
  const peer = await create(job)
  try {
    // A client whose reading fails says so here, and not only when the limit of the run is over.
    await Promise.race([peer.read(topic, group, tally, use).then(() => tally.complete), tally.complete])
    await sleep(AFTERWARDS_MS)
  } finally {
    await peer.close()
  }
  const whole = process.cpuUsage(cpuBefore)
  const verdict = tally.verdict(use, values)
  if (verdict !== null) throw new Error(`${topic}: ${verdict}`)
  return {
    version: peer.version,
    settings: peer.settings,
    seconds: tally.seconds,
    secondsFromFirst: tally.secondsFromFirst,
    cpuSeconds: tally.cpuSecondsSince(cpuBefore),
    wholeCpuSeconds: (whole.user + whole.system) / 1e6,
    peakRssBytes: peakRssBytes(),
  }
}

/** Linux tells of this process alone; the portable figure also remembers the process that started it. */
function peakRssBytes(): number {
  try {
    const text = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    return Number(text ?? Number.NaN) * 1024
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}
