/**
 * The numbers of RFC 6455: opcodes (section 5.2, 11.8), bits of the first two bytes, close codes (section 7.4).
 */

export const CONTINUATION = 0x0
export const TEXT = 0x1
export const BINARY = 0x2
export const CLOSE = 0x8
export const PING = 0x9
export const PONG = 0xa

export const FIN_BIT = 0x80
export const RSV_BITS = 0x70
export const OPCODE_BITS = 0x0f
export const MASK_BIT = 0x80
export const LENGTH_BITS = 0x7f
/** Opcodes from here on are control frames. */
export const FIRST_CONTROL = 0x8
/** Values of the 7-bit length that announce a length of 16 or 64 bits. */
export const LENGTH_16 = 126
export const LENGTH_64 = 127
export const MASK_BYTES = 4
/** Two bytes, a 64-bit length, a mask. */
export const MAX_HEADER_BYTES = 14
/** Most a control frame may carry (section 5.5). */
export const MAX_CONTROL_BYTES = 125
/** Most a close reason may have: the code takes two. */
export const MAX_REASON_BYTES = MAX_CONTROL_BYTES - 2

/** Codes of section 7.4.1 that we send ourselves. */
export const CLOSE_CODES = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  /** Never on the wire: the peer's close frame had no code. */
  noStatus: 1005,
  /** Never on the wire: the connection ended without a close frame. */
  abnormal: 1006,
  invalidPayload: 1007,
  tooBig: 1009,
  internalError: 1011,
} as const

/**
 * May a close frame carry this code? 1000-1003 and 1007-1014 are registered (IANA), 3000-4999 belong to libraries and
 * applications; 1004 is reserved, 1005, 1006, 1015 are words of local interfaces, the rest is nobody's. Section 7.4.
 */
export function isSendableCloseCode(code: number): boolean {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999)
}
