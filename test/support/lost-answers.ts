/**
 * Brings a producer into the place where only the broker's memory and its log can tell what became of its batches:
 * several batches are appended, none of their answers arrives, and then the broker remembers only the last of them,
 * because a clean stop keeps one batch per producer (kafka.md B-12). The same bytes sent again meet 45.
 */
import type { Producer, RecordMetadata } from '../../lib/index.js'
import { Produce } from '../../lib/protocol/index.js'
import { eventually } from './eventually.js'
import { endOffsets } from './interop-kafkajs.js'
import type { TcpProxy } from './tcp-proxy.js'

const SENT_LIMIT_MS = 5_000

/** Appends `batches` of `records` each, of which the producer hears nothing; their promises, in order. */
export async function sendUnheard(
  wish: { producer: Producer; proxy: TcpProxy; brokers: readonly string[]; topic: string },
  batches: number,
  records: number,
  options: { readonly timestamp?: number } = {},
): Promise<Promise<RecordMetadata>[]> {
  const { producer, proxy, brokers, topic } = wish
  const [before = 0] = await endOffsets(brokers, topic)
  proxy.plan = ({ apiKey }) => (apiKey === Produce.key ? { kind: 'silence' } : null)
  const sends: Promise<RecordMetadata>[] = []
  for (let batch = 0; batch < batches; batch++) {
    const requests = proxy.seen(Produce.key)
    for (let record = 0; record < records; record++) {
      const send = producer.sendSync(topic, unheard(sends.length), { partition: 0, ...options })
      send.catch(() => {}) // The test looks at it later.
      sends.push(send)
    }
    // Only then the next one: otherwise they would share a batch.
    await eventually(`batch ${batch} is on its way`, () => proxy.seen(Produce.key) > requests, SENT_LIMIT_MS)
  }
  const isThere = async () => (await endOffsets(brokers, topic))[0] === before + sends.length
  await eventually(`${sends.length} unheard records are in the log`, isThere, SENT_LIMIT_MS)
  return sends
}

export const unheard = (index: number) => `unheard ${index}`
