/**
 * What a peer did wrong, as the error that ends its connection and the close frame it is told with.
 * Invariant: `context.closeCode` is what our close frame carries (RFC 6455 section 7.4.1).
 */
import { MQError } from '../../errors/index.js'
import { CLOSE_CODES, isSendableCloseCode, MAX_REASON_BYTES } from './opcodes.js'

/** Bytes that are no frame of this protocol: CONNECTION_FAILED / MALFORMED_FRAME, closed with 1002. Not worth a retry. */
export function protocolError(text: string): MQError {
  return malformed(CLOSE_CODES.protocolError, text)
}

/** Text that is none: CONNECTION_FAILED / MALFORMED_FRAME, closed with 1007. */
export function invalidUtf8(what: string): MQError {
  return malformed(
    CLOSE_CODES.invalidPayload,
    `${what} is not UTF-8 (RFC 6455 section 8.1): send it as a binary message`,
  )
}

/** A message above the limit: CONNECTION_FAILED / TOO_LARGE, closed with 1009. `bytes` is what its frames announced so far. */
export function tooBig(bytes: number, maxPayloadBytes: number): MQError {
  const context = { reason: 'TOO_LARGE', closeCode: CLOSE_CODES.tooBig, bytes, maxPayloadBytes } as const
  const text = `a message of ${bytes} bytes exceeds maxPayloadBytes ${maxPayloadBytes}: split it, or raise the limit`
  return new MQError('CONNECTION_FAILED', text, context, { retryable: false })
}

/** The close code that tells a peer why its connection ends; an error without one tells its kind. */
export function closeCodeOf(error: Error | null): number {
  if (error === null) return CLOSE_CODES.normal
  if (!(error instanceof MQError)) return CLOSE_CODES.internalError
  const { closeCode } = error.context
  if (typeof closeCode === 'number' && isSendableCloseCode(closeCode)) return closeCode
  return GOING_AWAY.has(error.code) ? CLOSE_CODES.goingAway : CLOSE_CODES.internalError
}

/** Ends that are nobody's fault: idle too long, server stopped. */
const GOING_AWAY: ReadonlySet<string> = new Set(['TIMEOUT', 'CONNECTION_CLOSED', 'CONNECTION_TIMEOUT'])

/** What the peer may read of an error: our words about its bytes, nothing about our insides. */
export function closeReasonOf(error: Error | null): string {
  if (!(error instanceof MQError) || typeof error.context.closeCode !== 'number') return ''
  return cutToReason(typeof error.context.closeReason === 'string' ? error.context.closeReason : error.message)
}

/** At most 123 bytes of UTF-8, cut between characters. */
export function cutToReason(text: string): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= MAX_REASON_BYTES) return text
  let end = MAX_REASON_BYTES
  while (((bytes[end] as number) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

function malformed(closeCode: number, text: string): MQError {
  return new MQError('CONNECTION_FAILED', text, { reason: 'MALFORMED_FRAME', closeCode }, { retryable: false })
}
