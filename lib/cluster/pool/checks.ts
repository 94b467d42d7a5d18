/**
 * What callers of a pool may pass.
 * Why checked: a limit that is no number would ring at once, or never. Source: features.md CL-2.
 */
import { MQError } from '../../errors/index.js'

const MAX_TIMEOUT_MS = 0x7fff_ffff

export function noConnection(value: unknown): MQError {
  const text = `releaseConnection takes a connection of getConnection, got ${value === null ? 'null' : typeof value}`
  return new MQError('INVALID_CONFIG', text, {})
}

export function checkTimeout(timeoutMs: number): number {
  if (timeoutMs >= 0) return Math.min(timeoutMs, MAX_TIMEOUT_MS)
  const text = `timeoutMs: expected at least 0 milliseconds, got ${String(timeoutMs)}`
  throw new MQError('INVALID_CONFIG', text, { path: 'timeoutMs', value: timeoutMs })
}
