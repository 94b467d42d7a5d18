/**
 * @platformatic/kafka in its best fair configuration for reading: its stream by 'data' events, commits by interval.
 * Its authors ask for Node 22.22; the result says whether the one function that older ones lack had to be supplied.
 * It only reads in groups. Its offsets are bigints, so our check costs it one conversion per record.
 */
import type { Readable } from 'node:stream'
import type { ConsumerPeerFactory, Tally, Use } from '../harness/consume-peer.js'
import { HAS_WITH_RESOLVERS, loadPlatformatic, platformaticVersion } from './platformatic.js'

/** As ours. */
const COMMIT_INTERVAL_MS = 5_000
/** Measured, 100 B, us CPU per record and peak RSS: its default of 50 MiB 6.3 and 526 MiB (lz4 4.5, 555), 1 MiB 4.4 and 267 (4.3, 268). */
const MAX_BYTES = Number(process.env.PLATFORMATIC_MAX_BYTES ?? 1_048_576)
/** Its default; 100,000 changes nothing. */
const HIGH_WATER_MARK = Number(process.env.PLATFORMATIC_HIGH_WATER ?? 1_024)

interface PlatformaticMessage {
  readonly partition: number
  readonly offset: bigint
  readonly value: Buffer
}

/** The little of its API that is used here; its own types are not there when it is not installed. */
interface PlatformaticConsumer {
  consume(options: Record<string, unknown>): Promise<Readable>
  on(event: 'consumer:group:join', listener: () => void): void
  close(force?: boolean): Promise<void>
}
interface Platformatic {
  readonly Consumer: new (options: Record<string, unknown>) => PlatformaticConsumer
}

export const createConsumerPeer: ConsumerPeerFactory = async ({ brokers }) => {
  const { Consumer } = await loadPlatformatic<Platformatic>()
  const open: PlatformaticConsumer[] = []
  return {
    version: platformaticVersion(),
    settings: {
      withResolversSupplied: !HAS_WITH_RESOLVERS,
      autocommit: COMMIT_INTERVAL_MS,
      maxBytes: MAX_BYTES,
      highWaterMark: HIGH_WATER_MARK,
    },
    async read(topic, group, tally, use) {
      const common = { clientId: 'bench-platformatic', bootstrapBrokers: [...brokers], autocreateTopics: false }
      const consumer = new Consumer({ ...common, groupId: group })
      open.push(consumer)
      consumer.on('consumer:group:join', () => tally.begin())
      const limits = { maxBytes: MAX_BYTES, highWaterMark: HIGH_WATER_MARK, autocommit: COMMIT_INTERVAL_MS }
      const stream = await consumer.consume({ topics: [topic], mode: 'earliest', ...limits })
      await new Promise((_, reject) => stream.on('error', reject).on('data', listenerFor(tally, use)))
    },
    async close() {
      for (const consumer of open) await consumer.close(true)
    },
  }
}

function listenerFor(tally: Tally, use: Use): (message: PlatformaticMessage) => void {
  if (use === 'content') return ({ partition, offset, value }) => tally.addContent(partition, Number(offset), value)
  if (use === 'untouched') return ({ partition, offset }) => tally.add(partition, Number(offset), 0)
  return ({ partition, offset, value }) => tally.add(partition, Number(offset), value.length)
}
