/**
 * The four ways in which a frame reaches a client: JSON or protobuf, as a WebSocket message or behind a length.
 * Why headers are written here and not by the connection: a record's frame is made once and sent to all clients as it is;
 * a server's WebSocket frames are not masked, so they are the same for everybody (RFC 6455, 5.1).
 */
import type { Format, ServerFrame, Transport } from '../types.js'
import { jsonServerFrame } from './json-encode.js'
import { protoServerFrame } from './proto-encode.js'
import { ProtoWriter } from './proto-wire.js'

export interface Wire {
  /** 0..3, the place in lists with one entry per wire. */
  readonly index: number
  readonly transport: Transport
  readonly format: Format
}

const WIRES: readonly Wire[] = [
  { index: 0, transport: 'websocket', format: 'json' },
  { index: 1, transport: 'websocket', format: 'protobuf' },
  { index: 2, transport: 'tcp', format: 'json' },
  { index: 3, transport: 'tcp', format: 'protobuf' },
]

export const WIRE_COUNT = WIRES.length

export function wireOf(transport: Transport, format: Format): Wire {
  return WIRES[(transport === 'websocket' ? 0 : 2) + (format === 'json' ? 0 : 1)] as Wire
}

/** Bytes in front of a payload of this length. */
export function headerBytes(wire: Wire, length: number): number {
  if (wire.transport === 'tcp') return 4
  return length < 126 ? 2 : length < 65_536 ? 4 : 10
}

/** Writes the header at `at` and gives the place behind it. */
export function writeHeader(wire: Wire, into: Buffer, at: number, length: number): number {
  if (wire.transport === 'tcp') return into.writeUInt32BE(length, at)
  into[at] = wire.format === 'json' ? 0x81 : 0x82 // final text or binary frame
  if (length < 126) return into.writeUInt8(length, at + 1)
  if (length < 65_536) return into.writeUInt16BE(length, into.writeUInt8(126, at + 1))
  return into.writeBigUInt64BE(BigInt(length), into.writeUInt8(127, at + 1))
}

const writer = new ProtoWriter()

/** A whole frame, header included. */
export function frameBytes(wire: Wire, frame: ServerFrame): Buffer {
  if (wire.format === 'json') {
    const text = jsonServerFrame(frame)
    const length = Buffer.byteLength(text)
    const bytes = Buffer.allocUnsafe(headerBytes(wire, length) + length)
    bytes.write(text, writeHeader(wire, bytes, 0, length))
    return bytes
  }
  writer.reset()
  protoServerFrame(writer, frame)
  const payload = writer.bytes()
  const bytes = Buffer.allocUnsafe(headerBytes(wire, payload.length) + payload.length)
  bytes.set(payload, writeHeader(wire, bytes, 0, payload.length))
  return bytes
}
