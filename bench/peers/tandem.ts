/**
 * tandem-mq with its default settings, as a service would use it: `sendAsync` per record, `ready()` when told to wait.
 * A loop that never yields would starve its own sockets, which no service does: it gives way to the event loop now and then.
 * Which build is measured is said by TANDEM_ENTRY (the harness builds `dist`), since a loader's transformations cost time.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Peer, PeerFactory, PeerOptions } from '../harness/peer.js'

type Tandem = typeof import('tandem-mq')
type ProducerLike = InstanceType<Tandem['Producer']>

/** Records between two turns of the event loop: about a millisecond of work. TANDEM_TURN=512 shows the smaller batches of a busier loop. */
const RECORDS_PER_TURN = Number(process.env.TANDEM_TURN ?? 4096)
/** A tenth of the default: a run of some seconds sees several flushes, and more of them than a service has. */
const FLUSH_MS = 500

export const createPeer: PeerFactory = async (options) => {
  const { Producer } = await load()
  const { brokers, compression } = options
  const producer = new Producer({ brokers: [...brokers], clientId: 'bench-tandem', compression })
  return peerOf(producer, options, () => producer.close())
}

/** The producer of a whole client, as services have it: with metrics that are flushed, or without any. */
export const createWithMetrics: PeerFactory = (options) => createWhole(options, true)
export const createWithoutMetrics: PeerFactory = (options) => createWhole(options, false)

const createWhole = async (options: PeerOptions, enabled: boolean): Promise<Peer> => {
  const { MQ } = await load()
  const { brokers, compression } = options
  const mq = new MQ<Buffer>({
    brokers: [...brokers],
    clientId: 'bench-tandem',
    logLevel: 'silent',
    metrics: { enabled, flushIntervalMs: FLUSH_MS },
    monitoring: { intervalMs: 0 },
    producer: { compression },
  })
  return peerOf(mq.producer, options, () => mq.close(), { metrics: enabled })
}

const load = async (): Promise<Tandem> => (await import(process.env.TANDEM_ENTRY ?? 'tandem-mq')) as Tandem

async function peerOf(
  producer: ProducerLike,
  { compression }: PeerOptions,
  close: () => Promise<unknown>,
  settings: Peer['settings'] = {},
): Promise<Peer> {
  let firstError = 'none'
  producer.on('error', (error) => {
    if (firstError === 'none') firstError = String(error)
  })
  await producer.connect()
  return {
    version: 'this repository',
    settings: { idempotent: true, acks: -1, compression, recordsPerTurn: RECORDS_PER_TURN, ...settings },
    async produce(topic, values, records) {
      const before = producer.getMetrics()
      for (let index = 0; index < records; index++) {
        const hasRoom = producer.sendAsync(topic, values[index % values.length] as Buffer)
        if (!hasRoom) await producer.ready()
        else if (index % RECORDS_PER_TURN === 0) await nextTurn()
      }
      await producer.flush()
      const after = producer.getMetrics()
      const delivered = after.successMessages - before.successMessages
      if (delivered !== records)
        throw new Error(`${delivered} of ${records} records were acknowledged; first error: ${firstError}`)
    },
    batches() {
      const { batches, meanBatchBytes } = producer.getMetrics()
      return { count: batches, bytes: batches * meanBatchBytes }
    },
    async close() {
      await close()
    },
  }
}
