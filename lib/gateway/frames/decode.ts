/**
 * The bytes of a client's message become a frame: JSON when it says so or begins like it, else protobuf. GW-1.
 * Invariant: text is valid UTF-8 (WebSocket text is checked by its protocol; TCP is checked here).
 */
import { isUtf8 } from 'node:buffer'
import type { ClientFrame, Format } from '../types.js'
import { malformed } from './fields.js'
import { decodeJsonFrame } from './json-decode.js'
import { decodeProtoFrame } from './proto-decode.js'

const BRACE = 0x7b

/** What the first byte of a TCP payload says: a protobuf field 15 with wire type 3 begins with `{`, and there is none. */
export function formatOf(payload: Uint8Array): Format {
  return payload[0] === BRACE ? 'json' : 'protobuf'
}

/** Throws an MQError that names the field; its context has the `id` of the frame if that could be read. */
export function decodeFrame(payload: Buffer, format: Format): ClientFrame {
  if (format === 'protobuf') return decodeProtoFrame(payload)
  if (!isUtf8(payload)) throw malformed('a JSON frame must be UTF-8')
  return decodeJsonFrame(payload.toString('utf8'))
}
