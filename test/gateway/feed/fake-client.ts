/** A client for tests of feeds: takes frames as long as its buffer has room, reads them when it is told to, notes all. */

import type { MQError } from '../../../lib/errors/index.js'
import type { FeedClient, FeedReader } from '../../../lib/gateway/feed/types.js'
import { type Wire, wireOf } from '../../../lib/gateway/frames/wire.js'

export interface Got {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
}

export interface Gap {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
  readonly reason: 'dropped' | 'deleted'
}

/** Frames of JSON wires. */
export function parseFrames(wire: Wire, bytes: Buffer): Got[] {
  const frames: Got[] = []
  for (let at = 0; at < bytes.length; ) {
    const { start, length } = payloadAt(wire, bytes, at)
    frames.push(JSON.parse(bytes.toString('utf8', start, start + length)) as Got)
    at = start + length
  }
  return frames
}

function payloadAt(wire: Wire, bytes: Buffer, at: number): { start: number; length: number } {
  if (wire.transport === 'tcp') return { start: at + 4, length: bytes.readUInt32BE(at) }
  const short = bytes.readUInt8(at + 1)
  if (short < 126) return { start: at + 2, length: short }
  if (short === 126) return { start: at + 4, length: bytes.readUInt16BE(at + 2) }
  return { start: at + 10, length: Number(bytes.readBigUInt64BE(at + 2)) }
}

export class FakeClient implements FeedClient {
  readonly wire: Wire
  /** Room of its write buffer. Bytes. */
  readonly roomBytes: number
  reader!: FeedReader
  bufferedBytes = 0
  mostBuffered = 0
  sends = 0
  slow = 0
  readonly log: (Got | Gap)[] = []
  readonly failures: { topic: string; error: MQError }[] = []
  /** `records` of `sendFrames` did not fit its bytes, or it was sent to although it was not writable. */
  readonly wrongs: string[] = []
  onSend: (() => void) | null = null

  constructor(roomBytes = Number.POSITIVE_INFINITY, wire: Wire = wireOf('tcp', 'json')) {
    this.roomBytes = roomBytes
    this.wire = wire
  }

  get isWritable(): boolean {
    return this.bufferedBytes < this.roomBytes
  }

  get records(): Got[] {
    return this.log.filter((one): one is Got => 'offset' in one)
  }

  get offsets(): number[] {
    return this.records.map(({ offset }) => offset)
  }

  get gaps(): Gap[] {
    return this.log.filter((one): one is Gap => 'reason' in one)
  }

  sendFrames(bytes: Buffer, records: number): void {
    if (!this.isWritable) this.wrongs.push('sent to a full client')
    const got = parseFrames(this.wire, bytes)
    if (got.length !== records) this.wrongs.push(`${records} records told, ${got.length} sent`)
    this.log.push(...got)
    this.sends++
    this.bufferedBytes += bytes.length
    this.mostBuffered = Math.max(this.mostBuffered, this.bufferedBytes)
    this.onSend?.()
  }

  gap(topic: string, partition: number, from: number, to: number, reason: 'dropped' | 'deleted'): void {
    this.log.push({ topic, partition, from, to, reason })
  }

  failed(topic: string, error: MQError): void {
    this.failures.push({ topic, error })
  }

  tooSlow(): void {
    this.slow++
  }

  /** Its peer has read all of it. */
  drain(): void {
    const wasFull = !this.isWritable
    this.bufferedBytes = 0
    if (wasFull) this.reader.drained()
  }
}
