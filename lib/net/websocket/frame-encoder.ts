/**
 * Messages and control frames into bytes (RFC 6455 section 5.2). Hot path.
 * Why header and payload are two pieces: a payload is written from where it lies (the connection gathers what is short).
 * Control frames are copied, because their payload lies in memory that is used again; masked ones, because their bytes change.
 * Invariant: a frame that leaves here is never fragmented, has the minimal length form and no reserved bit.
 */
import { assert } from '../../util/index.js'
import type { Packed } from '../server/types.js'
import { xorMask } from './mask.js'
import {
  CLOSE,
  CLOSE_CODES,
  FIN_BIT,
  LENGTH_16,
  LENGTH_64,
  MASK_BIT,
  MASK_BYTES,
  MAX_CONTROL_BYTES,
  MAX_HEADER_BYTES,
  TEXT,
} from './opcodes.js'

const MAX_UINT16 = 0xffff
const UINT32 = 0x1_0000_0000

/** One unmasked frame of data. The payload is not copied: `Connection.send` says how long it must stay as it is. */
export function encodeFrame(opcode: number, payload: Uint8Array): Packed {
  const header = Buffer.allocUnsafe(headerBytesOf(payload.length))
  writeHeader(header, opcode, payload.length, 0)
  return [header, payload]
}

/** One unmasked control frame, with a copy of its payload of at most 125 bytes. */
export function encodeControl(opcode: number, payload: Uint8Array): Buffer {
  assert(payload.length <= MAX_CONTROL_BYTES, 'a control frame carries at most 125 bytes')
  const bytes = Buffer.allocUnsafe(2 + payload.length)
  writeHeader(bytes, opcode, payload.length, 0)
  bytes.set(payload, 2)
  return bytes
}

/** One unmasked text frame; lone surrogates become U+FFFD. */
export function encodeText(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const headerBytes = headerBytesOf(length)
  const bytes = Buffer.allocUnsafe(headerBytes + length)
  writeHeader(bytes, TEXT, length, 0)
  bytes.write(text, headerBytes)
  return bytes
}

/** One masked frame, as clients send them. */
export function encodeMasked(opcode: number, payload: Uint8Array, mask: number): Buffer {
  const { length } = payload
  const headerBytes = headerBytesOf(length)
  const bytes = Buffer.allocUnsafe(headerBytes + MASK_BYTES + length)
  writeHeader(bytes, opcode, length, MASK_BIT)
  bytes.writeUInt32BE(mask >>> 0, headerBytes)
  bytes.set(payload, headerBytes + MASK_BYTES)
  xorMask(bytes, headerBytes + MASK_BYTES, bytes.length, mask | 0, 0)
  return bytes
}

/** Payload of a close frame: nothing for 1005, else the code and its reason (at most 123 bytes of UTF-8). */
export function closePayload(code: number, reason = ''): Buffer {
  if (code === CLOSE_CODES.noStatus) return Buffer.alloc(0)
  const payload = Buffer.allocUnsafe(2 + Buffer.byteLength(reason))
  payload.writeUInt16BE(code, 0)
  payload.write(reason, 2)
  return payload
}

export function encodeClose(code: number, reason = ''): Buffer {
  return encodeControl(CLOSE, closePayload(code, reason))
}

function headerBytesOf(length: number): number {
  if (length < LENGTH_16) return 2
  return length <= MAX_UINT16 ? 4 : MAX_HEADER_BYTES - MASK_BYTES
}

function writeHeader(bytes: Buffer, opcode: number, length: number, maskBit: number): void {
  bytes[0] = FIN_BIT | opcode
  if (length < LENGTH_16) {
    bytes[1] = maskBit | length
  } else if (length <= MAX_UINT16) {
    bytes[1] = maskBit | LENGTH_16
    bytes.writeUInt16BE(length, 2)
  } else {
    bytes[1] = maskBit | LENGTH_64
    bytes.writeUInt32BE(Math.floor(length / UINT32), 2)
    bytes.writeUInt32BE(length % UINT32, 6)
  }
}
