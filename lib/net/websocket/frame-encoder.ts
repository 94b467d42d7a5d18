/**
 * Messages and control frames into bytes (RFC 6455 section 5.2). Hot path.
 * Why header and payload are two pieces: a payload is written from where it lies. A short one is copied behind its header,
 * because two pieces cost the system call more than the copy; a masked one always, because its bytes change.
 * Invariant: a frame that leaves here is never fragmented, has the minimal length form and no reserved bit.
 */
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
  MAX_HEADER_BYTES,
  TEXT,
} from './opcodes.js'

/** Payloads below this are copied behind their header. Bytes. */
export const COPIED_BELOW = 1024

const MAX_UINT16 = 0xffff
const UINT32 = 0x1_0000_0000

/** One unmasked frame; the bytes of a long payload must stay as they are until they were sent. */
export function encodeFrame(opcode: number, payload: Uint8Array): Packed {
  const { length } = payload
  const isCopied = length < COPIED_BELOW
  const headerBytes = headerBytesOf(length)
  const bytes = Buffer.allocUnsafe(headerBytes + (isCopied ? length : 0))
  writeHeader(bytes, opcode, length, 0)
  if (!isCopied) return [bytes, payload]
  bytes.set(payload, headerBytes)
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

export function encodeClose(code: number, reason = ''): Packed {
  return encodeFrame(CLOSE, closePayload(code, reason))
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
