/**
 * Frames of the gateway as Protocol Buffers (docs/gateway.proto). Hot path: `protoRecord`.
 * Invariant: what a writer gives is valid until its next use: it is copied into the frame that travels.
 */
import type { FeedRecord, FrameId, HeaderList, ServerFrame } from '../types.js'
import type { ProtoWriter } from './proto-wire.js'

const FIELD = { welcome: 1, ack: 2, subscribed: 3, unsubscribed: 4, gap: 5, error: 6, pong: 7, stats: 8 } as const
const RECORD = 9

/** One `Record` frame behind what is in `out`. */
export function protoRecord(out: ProtoWriter, topic: string, partition: number, record: FeedRecord): void {
  out.message(RECORD, () => {
    out.text(1, topic)
    if (partition > 0) out.varint(2, partition)
    if (record.offset > 0) out.varint(3, record.offset)
    if (record.timestamp > 0) out.varint(4, record.timestamp)
    if (record.key !== null) out.data(5, record.key)
    if (record.value !== null) out.data(6, record.value)
    if (record.headers.length > 0) writeHeaders(out, record.headers)
  })
}

export function protoServerFrame(out: ProtoWriter, frame: ServerFrame): void {
  out.message(FIELD[frame.type], () => writeBody(out, frame))
  if ('id' in frame) writeId(out, frame.id)
}

function writeBody(out: ProtoWriter, frame: ServerFrame): void {
  switch (frame.type) {
    case 'welcome':
      out.text(1, frame.name)
      out.varint(2, frame.version)
      for (const [name, limit] of Object.entries(frame.limits)) {
        out.message(3, () => {
          out.text(1, name)
          out.varint(2, limit)
        })
      }
      return
    case 'ack':
      out.text(1, frame.topic)
      out.varint(2, frame.partition)
      // acks 0 knows no offset: -1 is no uint64, and absent.
      if (frame.offset >= 0) out.varint(3, frame.offset)
      if (frame.timestamp >= 0) out.varint(4, frame.timestamp)
      return
    case 'subscribed':
      return writePositions(out, frame.topics)
    case 'gap':
      out.text(1, frame.topic)
      out.varint(2, frame.partition)
      out.varint(3, frame.from)
      out.varint(4, frame.to)
      out.varint(5, frame.reason === 'dropped' ? 0 : 1)
      return
    case 'error':
      out.text(1, frame.code)
      if (frame.reason !== undefined) out.text(2, frame.reason)
      out.text(3, frame.message)
      if (frame.topic !== undefined) out.text(4, frame.topic)
      if (frame.persistence !== undefined) out.varint(5, frame.persistence === 'not-persisted' ? 1 : 2)
      return
    case 'stats':
      return out.text(1, JSON.stringify(frame.stats))
    default:
      return
  }
}

function writePositions(out: ProtoWriter, topics: ReadonlyMap<string, ReadonlyMap<number, number>>): void {
  for (const [topic, offsets] of topics) {
    for (const [partition, offset] of offsets) {
      out.message(1, () => {
        out.text(1, topic)
        out.varint(2, partition)
        out.varint(3, offset)
      })
    }
  }
}

function writeHeaders(out: ProtoWriter, headers: HeaderList): void {
  for (const [name, value] of headers) {
    out.message(7, () => {
      out.text(1, name)
      if (value !== null) out.data(2, value)
    })
  }
}

function writeId(out: ProtoWriter, id: FrameId | undefined): void {
  if (typeof id === 'number') out.varint(14, id)
  else if (id !== undefined) out.text(15, id)
}
