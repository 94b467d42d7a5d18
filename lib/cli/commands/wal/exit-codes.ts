/**
 * How `tandem-mq wal` ends. A monitor asks by code, so each verdict has one of its own.
 * Source: wal.md 5, which names 0 to 5; 6 is for what those would misname: the log is as it should be, but records that
 * a command was to deliver are still in it, or it was stopped.
 */
import { MQError } from '../../../index.js'
import { WAL_USAGE } from '../../exit-codes.js'
import { UsageError } from '../../usage.js'

export const WalExit = {
  clean: 0,
  torn: 1,
  corrupt: 2,
  missing: 3,
  locked: 4,
  usage: WAL_USAGE,
  unfinished: 6,
} as const
export type WalExit = (typeof WalExit)[keyof typeof WalExit]

/** What an error means for the log. What says nothing about it leaves the command unfinished. */
export function walExitOf(error: unknown): WalExit {
  if (error instanceof UsageError) return WalExit.usage
  if (!(error instanceof MQError)) return WalExit.unfinished
  const { reason } = error.context
  if (reason === 'WAL_LOCKED') return WalExit.locked
  if (reason === 'WAL_CORRUPT') return WalExit.corrupt
  if (typeof reason === 'string' && reason.startsWith('WAL_')) return WalExit.missing
  return error.family === 'config' ? WalExit.usage : WalExit.unfinished
}
