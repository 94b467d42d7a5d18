/**
 * What protocols of frames share: limits, sizes, and the words for frames that are none. NT-4, NT-5.
 * Why sizes are judged before anything else is read: a size is the one number of a stranger that we would allocate for.
 */
import { MQError } from '../../../errors/index.js'

/** Longest frame unless told otherwise: Kafka's socket.request.max.bytes. 100 MiB. */
export const MAX_FRAME_BYTES = 100 * 1024 * 1024

/** A whole number from `min` to `max`, or INVALID_CONFIG that names it. */
export function checkWhole(name: string, value: number, min: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value
  throw new MQError('INVALID_CONFIG', `${name} is a whole number from ${min} to ${max}, got ${value}`, { name, value })
}

/** Not one of the words that an option knows. */
export function unknownOption(name: string, value: unknown, known: readonly unknown[]): MQError {
  const text = `${name} is one of ${known.join(', ')}, got ${String(value)}`
  return new MQError('INVALID_CONFIG', text, { name, value: String(value) })
}

/** A peer's frame is above the limit. CONNECTION_FAILED / TOO_LARGE: the connection is closed with it. */
export function tooLargeFrame(bytes: number, maxFrameBytes: number): MQError {
  const text = `a frame of ${bytes} bytes came, maxFrameBytes is ${maxFrameBytes}: allow more, or does the peer speak this protocol?`
  return new MQError('CONNECTION_FAILED', text, { reason: 'TOO_LARGE', bytes, maxFrameBytes })
}

/** A peer's frame can never become a message. CONNECTION_FAILED / MALFORMED_FRAME: the connection is closed with it. */
export function malformedFrame(text: string, numbers: Readonly<Record<string, unknown>>): MQError {
  return new MQError('CONNECTION_FAILED', text, { ...numbers, reason: 'MALFORMED_FRAME' })
}

/** A message of ours is above the limit of its frame: MESSAGE_TOO_LARGE to whoever sends it. */
export function tooLargeMessage(bytes: number, limit: number, name = 'maxFrameBytes'): MQError {
  const text = `a message of ${bytes} bytes exceeds ${name} ${limit}: split it`
  return new MQError('MESSAGE_TOO_LARGE', text, { bytes, [name]: limit })
}
