/**
 * @platformatic/kafka in its best fair configuration: idempotent (it then allows one request per connection), acks all,
 * `send` of 5,000 messages per call, one call at a time. Measured, 100 B, lz4, 6 partitions, medians of 3, chunk x calls:
 * 1,000 x 1 202 k/s; 5,000 x 1 344 k/s; 5,000 x 2 274 k/s; 5,000 x 4 273 k/s; 10,000 x 2 225 k/s.
 * Its authors ask for Node 22.22; on an older one the single function it lacks is supplied below, and the result says so.
 * It is no dependency of ours: `node scripts/bench-peers.mjs` installs it beside this file.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { inChunks, type PeerFactory } from '../harness/peer.js'

const CHUNK_RECORDS = Number(process.env.PLATFORMATIC_CHUNK ?? 5_000)
const CONCURRENT_CALLS = Number(process.env.PLATFORMATIC_CALLS ?? 1)
/** By the working folder, which is the repository: compiled, this file stands elsewhere. */
const PACKAGE = pathToFileURL('bench/peers/node_modules/@platformatic/kafka/package.json')

export const HAS_WITH_RESOLVERS = 'withResolvers' in Promise

/** The little of its API that is used here; its own types are not there when it is not installed. */
interface PlatformaticProducer {
  send(options: {
    messages: { topic: string; value: Buffer }[]
    acks: number
    idempotent: boolean
    compression: string
  }): Promise<unknown>
  close(): Promise<void>
}
interface Platformatic {
  readonly Producer: new (options: Record<string, unknown>) => PlatformaticProducer
}

export const createPeer: PeerFactory = async ({ brokers, compression }) => {
  const { Producer } = await loadPlatformatic<Platformatic>()
  const producer = new Producer({
    clientId: 'bench-platformatic',
    bootstrapBrokers: [...brokers],
    idempotent: true,
    autocreateTopics: false,
  })
  return {
    version: platformaticVersion(),
    settings: {
      withResolversSupplied: !HAS_WITH_RESOLVERS,
      idempotent: true,
      acks: -1,
      compression,
      chunkRecords: CHUNK_RECORDS,
      concurrentCalls: CONCURRENT_CALLS,
    },
    produce: (topic, values, records) =>
      inChunks(records, CHUNK_RECORDS, CONCURRENT_CALLS, (from, count) => {
        const messages = Array.from({ length: count }, (_, index) => ({
          topic,
          value: values[(from + index) % values.length] as Buffer,
        }))
        return producer.send({ messages, acks: -1, idempotent: true, compression })
      }),
    batches: () => null,
    close: () => producer.close(),
  }
}

export async function loadPlatformatic<T>(): Promise<T> {
  if (!existsSync(fileURLToPath(PACKAGE))) throw new Error('not installed: node scripts/bench-peers.mjs')
  supplyWithResolvers()
  const name = '@platformatic/kafka'
  return (await import(name)) as T
}

export function platformaticVersion(): string {
  return JSON.parse(readFileSync(fileURLToPath(PACKAGE), 'utf8')).version
}

/** Promise.withResolvers came with Node 22. */
function supplyWithResolvers(): void {
  if (HAS_WITH_RESOLVERS) return
  Object.assign(Promise, {
    withResolvers<T>() {
      let resolve: (value: T) => void = () => {}
      let reject: (reason: unknown) => void = () => {}
      const promise = new Promise<T>((yes, no) => {
        resolve = yes
        reject = no
      })
      return { promise, resolve, reject }
    },
  })
}
