/**
 * A producer with a log against an in-process broker: how long a million records that were left behind take to arrive,
 * and what metrics cost.
 * Invariant: a measurement counts only if the topic holds exactly the numbers that were sent, once each, in the order of
 * their partition.
 */
import { type Broker, createBroker, fault } from '../../lib/broker/index.js'
import type { LogDurability } from '../../lib/wal/index.js'
import { compiledWorker } from './compiled.js'
import { type Answer, inOwnProcess } from './own-process.js'
import type { WalCase, WalMeasurement } from './wal-job.js'

const WORKER = compiledWorker('wal-producer-worker')
const RUN_LIMIT_MS = 300_000
const PARTITIONS = 6
const TOPIC = 'bench-wal'

export interface ProducerJob {
  /** `leave` dies when all are accepted; `resume` delivers what was left; `deliver` sends and delivers. */
  readonly what: 'leave' | 'resume' | 'deliver'
  readonly brokers: readonly string[]
  readonly topic: string
  readonly partitions: number
  readonly dir: string
  readonly durability: LogDurability
  readonly records: number
  readonly itemBytes: number
  readonly isMeasured: boolean
}

export interface ProducerMeasurement {
  /** Wall time. */
  readonly startedAtMs: number
  /** Since then, until the log was open; everything was resolved or accepted; everything was delivered. */
  readonly openSeconds: number
  readonly resolvedSeconds: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
}

type Of<K extends WalCase['kind']> = Extract<WalCase, { readonly kind: K }>

export async function measureEndToEnd(what: Of<'endToEnd'>, dir: string): Promise<Answer<WalMeasurement>> {
  const { records, itemBytes } = what
  await using broker = await createBroker()
  broker.createTopic(TOPIC, { partitions: PARTITIONS })
  const job = jobOf(broker, dir, { ...what, what: 'leave', isMeasured: true })
  const held = broker.on({ api: 'Produce' }, fault.hold())
  const left = await ask(job)
  held.remove()
  if ('failure' in left) return left
  const before = broker.count({ api: 'Produce' })
  const firstResend = broker.saw({ api: 'Produce', count: before + 1 }).then(() => Date.now())
  const resumed = await ask({ ...job, what: 'resume' })
  if ('failure' in resumed) return resumed
  await verify(broker, records, itemBytes)
  const { seconds, cpuSeconds, openSeconds, startedAtMs, peakRssBytes } = resumed.measurement
  const firstMs = (await firstResend) - startedAtMs
  return {
    measurement: {
      records,
      bytes: records * itemBytes,
      seconds,
      cpuSeconds,
      peakRssBytes,
      openMs: openSeconds * 1_000,
      firstResendMs: firstMs,
      readBack: records,
    },
  }
}

/** With, without, without, with: what drifts over time touches both alike. */
const ORDER = [true, false, false, true]

/** The same work with metrics and without; the answer is that of a run with them. */
export async function measureMetrics(what: Of<'metrics'>, dir: string): Promise<Answer<WalMeasurement>> {
  const { records, itemBytes } = what
  const cpu = { on: 0, off: 0 }
  let seconds = 0
  for (const [turn, isMeasured] of ORDER.entries()) {
    await using broker = await createBroker()
    broker.createTopic(TOPIC, { partitions: PARTITIONS })
    const answer = await ask(jobOf(broker, `${dir}-${turn}`, { ...what, what: 'deliver', isMeasured }))
    if ('failure' in answer) return answer
    await verify(broker, records, itemBytes)
    cpu[isMeasured ? 'on' : 'off'] += answer.measurement.cpuSeconds
    if (isMeasured) seconds = answer.measurement.seconds
  }
  const metricsPercent = 100 * (cpu.on / cpu.off - 1)
  const bytes = records * itemBytes
  return { measurement: { records, bytes, seconds, cpuSeconds: cpu.on / 2, readBack: records, metricsPercent } }
}

function jobOf(
  broker: Broker,
  dir: string,
  rest: Pick<ProducerJob, 'what' | 'durability' | 'records' | 'itemBytes' | 'isMeasured'>,
): ProducerJob {
  const { what, durability, records, itemBytes, isMeasured } = rest
  const brokers = broker.bootstrap.split(',')
  return { what, brokers, topic: TOPIC, partitions: PARTITIONS, dir, durability, records, itemBytes, isMeasured }
}

function ask(job: ProducerJob): Promise<Answer<ProducerMeasurement>> {
  return inOwnProcess<ProducerMeasurement>(job, { worker: WORKER, limitMs: RUN_LIMIT_MS, untilEnded: true })
}

async function verify(broker: Broker, records: number, itemBytes: number): Promise<void> {
  let found = 0
  for (let partition = 0; partition < PARTITIONS; partition++) {
    let expected = partition
    for (const { value, offset } of await broker.records(TOPIC, partition)) {
      const number = value?.readUInt32LE(0)
      if (number !== expected || value?.length !== itemBytes) {
        throw new Error(`partition ${partition}, offset ${offset}: expected number ${expected}, found ${number}`)
      }
      expected += PARTITIONS
      found++
    }
  }
  if (found !== records) throw new Error(`${records} records were accepted, the topic holds ${found}`)
}
