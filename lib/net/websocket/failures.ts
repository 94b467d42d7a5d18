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
  const told = toldBy(error)
  if (told !== undefined) return told.context.closeCode as number
  if (!(error instanceof MQError)) return CLOSE_CODES.internalError
  return CODES_OF_KINDS.get(error.code) ?? CLOSE_CODES.internalError
}

/** Ends that are nobody's fault (idle too long, server stopped), and the reactor's own limit. */
const CODES_OF_KINDS: ReadonlyMap<string, number> = new Map([
  ['TIMEOUT', CLOSE_CODES.goingAway],
  ['CONNECTION_CLOSED', CLOSE_CODES.goingAway],
  ['CONNECTION_TIMEOUT', CLOSE_CODES.goingAway],
  ['MESSAGE_TOO_LARGE', CLOSE_CODES.tooBig],
])

/** What the peer may read of an error: words meant for it, nothing about our insides. */
export function closeReasonOf(error: Error | null): string {
  const told = toldBy(error)
  if (told === undefined) return ''
  const { closeReason } = told.context
  return cutToReason(typeof closeReason === 'string' ? closeReason : told.message)
}

/** The error in the chain that names a close code: a handler's own lies inside ours. */
function toldBy(error: unknown): MQError | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < MOST_CAUSES; at = at.cause, depth++) {
    const code = at instanceof MQError ? at.context.closeCode : undefined
    if (typeof code === 'number' && isSendableCloseCode(code)) return at as MQError
  }
  return undefined
}

const MOST_CAUSES = 8

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
