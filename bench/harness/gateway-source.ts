/**
 * Where the records come from: the in-process broker, unless there is a Kafka, and the publisher. A process of its own, so
 * that the gateway's CPU is the gateway's. Records are due by the clock; one that is late goes out at once, none is left out.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createBroker } from '../../lib/broker/index.js'
import { MQ } from '../../lib/index.js'
import { makeValue, writeNumber } from './gateway-check.js'
import { type GatewayCase, nowUs, type PublishDone, type SourceStarted, type ToSource } from './gateway-job.js'

const TICK_MS = 2

let what: GatewayCase | null = null
let mq: MQ<Buffer> | null = null
let number = 0

process.on('message', (message: ToSource) => {
  answer(message).then(
    (said) => process.send?.(said),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit(0))

async function answer(message: ToSource): Promise<SourceStarted | PublishDone> {
  return message.kind === 'start' ? start(message) : publish(message)
}

async function start(message: ToSource & { kind: 'start' }): Promise<SourceStarted> {
  what = message.what
  const brokers = message.brokers ?? (await ownBroker(message.what))
  mq = new MQ<Buffer>({ brokers: brokers.join(','), monitoring: { intervalMs: 0 } })
  return { brokers }
}

async function ownBroker({ topic, partitions }: GatewayCase): Promise<string[]> {
  const broker = await createBroker()
  broker.createTopic(topic, { partitions })
  return String(broker.bootstrap).split(',')
}

async function publish({ perSecond, milliseconds }: ToSource & { kind: 'publish' }): Promise<PublishDone> {
  if (mq === null || what === null) throw new Error('not started')
  const { topic, partitions, valueBytes } = what
  const value = makeValue(valueBytes)
  const due = Math.max(1, Math.round((perSecond * milliseconds) / 1000))
  const firstUs = nowUs()
  let failure: unknown = null
  const settled: Promise<unknown>[] = []
  for (let sent = 0; sent < due; ) {
    const now = nowUs()
    const upTo = Math.min(due, Math.ceil(((now - firstUs) * perSecond) / 1e6) || 1)
    for (; sent < upTo; sent++, number++) {
      writeNumber(value, number % partitions, Math.floor(number / partitions), nowUs())
      const one = mq.sendSync(topic, Buffer.from(value), { partition: number % partitions })
      settled.push(one.catch((error: unknown) => (failure ??= error)))
    }
    await sleep(TICK_MS)
  }
  const lastUs = nowUs()
  await Promise.all(settled)
  if (failure !== null) throw failure
  return { published: due, ends: endsOf(number, partitions), firstUs, lastUs }
}

/** Numbers go around: partition 0 gets 0, 3, 6 of three, and counts them 0, 1, 2. */
function endsOf(count: number, partitions: number): number[] {
  return Array.from({ length: partitions }, (_, partition) => Math.ceil((count - partition) / partitions))
}
