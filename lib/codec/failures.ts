/**
 * The errors of this room, in one place, so that every codec says the same with the same numbers.
 */
import { findMQError, MQError } from '../errors/index.js'

export function broken(type: string, what: string, cause?: unknown): MQError {
  const text = `${type} data is broken: ${what}; the batch was damaged or its codec bits are wrong`
  return new MQError('DECOMPRESSION_FAILED', text, { codec: type }, { cause })
}

export function tooLarge(type: string, bytes: number, ceilingBytes: number): MQError {
  const text = `${type} data decompresses to ${bytes} B or more, the ceiling is ${ceilingBytes} B: raise it if you trust the writer`
  return new MQError('DECOMPRESSION_FAILED', text, { reason: 'TOO_LARGE', codec: type, bytes, ceilingBytes })
}

export function compressionFailed(type: string, cause: unknown): MQError {
  const known = findMQError(cause)
  if (known !== undefined) return known
  const text = `${type} could not compress the data: ${cause instanceof Error ? cause.message : String(cause)}`
  return new MQError('COMPRESSION_FAILED', text, { codec: type }, { cause })
}

export function checkLevel(type: string, level: number | undefined, fallback: number, max: number): number {
  if (level === undefined) return fallback
  if (Number.isInteger(level) && level >= 1 && level <= max) return level
  throw new MQError('INVALID_CONFIG', `compressionLevel of ${type} is an integer of 1..${max}, not ${level}`, { level })
}
