/** Errors of the log: which code each of its reasons belongs to. Source: features.md 4. */
import { type ErrorCode, type ErrorContext, MQError, type MQErrorOptions } from '../errors/index.js'

const CODES = {
  WAL_LOCKED: 'INVALID_CONFIG',
  WAL_LOCK_METHOD: 'INVALID_CONFIG',
  WAL_PERMISSION: 'INVALID_CONFIG',
  WAL_NETWORK_FS: 'INVALID_CONFIG',
  WAL_VERSION: 'INVALID_CONFIG',
  WAL_CLUSTER_MISMATCH: 'INVALID_CONFIG',
  WAL_FAILED: 'PRODUCE_FAILED',
  WAL_FULL: 'POOL_EXHAUSTED',
  WAL_FRAME_TOO_LARGE: 'MESSAGE_TOO_LARGE',
  WAL_CORRUPT: 'DECOMPRESSION_FAILED',
  WAL_SEGMENT_MISSING: 'DECOMPRESSION_FAILED',
  WAL_MANIFEST_MISSING: 'DECOMPRESSION_FAILED',
} as const satisfies Record<string, ErrorCode>

export type WalReason = keyof typeof CODES

/** Damage of what was promised is fatal: nothing of this library may go on as if it were not there. */
const FATAL: readonly WalReason[] = ['WAL_CORRUPT', 'WAL_SEGMENT_MISSING', 'WAL_MANIFEST_MISSING']

export function walError(reason: WalReason, text: string, context: ErrorContext = {}, cause?: unknown): MQError {
  const options: MQErrorOptions = FATAL.includes(reason) ? { cause, fatal: true } : { cause }
  return new MQError(CODES[reason], text, { ...context, reason }, options)
}
