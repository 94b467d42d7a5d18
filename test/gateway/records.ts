/** A record as clients get it, for tests in which the feeds are played. */
import { FeedBlock } from '../../lib/gateway/frames/block.js'
import type { Wire } from '../../lib/gateway/frames/wire.js'

export function recordFrame(wire: Wire, topic: string, partition: number, offset: number, value: string): Buffer {
  const record = { offset, timestamp: 1, key: null, value: Buffer.from(value), headers: [] }
  return new FeedBlock(topic, partition, [record]).frames(wire, 0, 1)
}
