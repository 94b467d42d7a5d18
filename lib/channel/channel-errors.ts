/**
 * What a byte or item channel says when it cannot: one place for code, reason and advice.
 */
import { MQError } from '../errors/index.js'
import type { SpillLog } from './spill/spill-log.js'

export type OnFull = 'block' | 'reject' | 'dropOldest' | 'spill'

/** How full a memory budget is. */
interface Full {
  readonly usedBytes: number
  readonly limitBytes: number
  readonly usedRecords: number
  /** Infinity: not bounded. */
  readonly limitRecords: number
}

export function writerClosed(): MQError {
  return new MQError('PRODUCER_CLOSED', 'the channel is closed: make a new one', { reason: 'CHANNEL_CLOSED' })
}

export function readerClosed(): MQError {
  return new MQError('CONSUMER_CLOSED', 'the channel is closed and drained: nothing more will come', {
    reason: 'CHANNEL_CLOSED',
  })
}

export function readTimedOut(timeoutMs: number | undefined): MQError {
  return new MQError('TIMEOUT', `nothing to read within ${timeoutMs} ms`, { timeoutMs })
}

export function badBatchSize(max: number): MQError {
  const text = `readBatch(${String(max)}): expected an integer of at least 1, or Infinity`
  return new MQError('INVALID_CONFIG', text, { field: 'max', value: max })
}

export function recordTooLarge(bytes: number, limitBytes: number): MQError {
  const text = `${bytes} B can never fit into bufferMemoryBytes ${limitBytes}: split the record or raise the limit`
  return new MQError('MESSAGE_TOO_LARGE', text, { bytes, limitBytes })
}

export function bufferFull(bytes: number, { usedBytes, limitBytes, usedRecords, limitRecords }: Full): MQError {
  const isByRecords = usedRecords / limitRecords > usedBytes / limitBytes
  const used = isByRecords ? `${usedRecords} of ${limitRecords} records` : `${usedBytes} of ${limitBytes} B`
  const field = isByRecords ? 'bufferMaxRecords' : 'bufferMemoryBytes'
  const text = `no room for a record of ${bytes} B (${used} are used): read faster, await ready() or writeAsync(), or raise ${field}`
  return new MQError('POOL_EXHAUSTED', text, { reason: 'BUFFER_FULL', bytes, usedBytes, limitBytes, usedRecords })
}

/** At the limit of both: memory is full, and the log took nothing. */
export function spillFull(bytes: number, inLogRecords: number): MQError {
  const text = `the spill log has no room for ${bytes} B now (${inLogRecords} records are in it): read faster, use writeAsync(), or raise its maxBytes`
  return new MQError('POOL_EXHAUSTED', text, { reason: 'WAL_FULL', bytes, inLogRecords })
}

export function spillWaitTimedOut(bytes: number, timeoutMs: number | undefined, inLogRecords: number): MQError {
  const text = `no room for ${bytes} B in the spill log within ${timeoutMs} ms (${inLogRecords} records are in it): read faster, or raise its maxBytes`
  return new MQError('TIMEOUT', text, { reason: 'BUFFER_FULL', bytes, timeoutMs, inLogRecords })
}

/** What `listenerThrew` has made. */
const listenerReports = new WeakSet<object>()

export function listenerThrew(cause: unknown): MQError {
  const text = 'a listener of the channel threw: catch inside the listener'
  const error = new MQError('PRODUCE_FAILED', text, { reason: 'CALLBACK' }, { cause })
  listenerReports.add(error)
  return error
}

/** True for the event that tells of a listener that threw. */
export function isListenerReport(event: unknown): boolean {
  return typeof event === 'object' && event !== null && listenerReports.has(event)
}

export function policyThrew(cause: unknown): MQError {
  const text = 'the evictPolicy threw, so the record was refused: return a boolean and a number of records'
  return new MQError('PRODUCE_FAILED', text, { reason: 'CALLBACK' }, { cause })
}

export function metricsFailed(cause: unknown): MQError {
  const text = 'the metrics of the channel failed when it was detached: its last totals may be missing'
  return new MQError('PRODUCE_FAILED', text, { reason: 'CALLBACK' }, { cause })
}

/** Callers without types: null is no object of options. Gives them back. */
export function optionsOf<T extends object>(options: T): T {
  if (typeof (options as unknown) === 'object' && (options as unknown) !== null) return options
  const got = (options as unknown) === null ? 'null' : typeof options
  throw new MQError('INVALID_CONFIG', `a channel takes an object of options, got ${got}`)
}

export function checkOnFull(onFull: OnFull, spillLog: SpillLog | undefined): void {
  if (onFull === 'spill') return checkSpillLog(spillLog)
  if (spillLog !== undefined) {
    const text = `a spillLog is given, and onFull is ${String(onFull)}: set onFull to 'spill', or leave the log out`
    throw new MQError('INVALID_CONFIG', text, { field: 'onFull', value: onFull })
  }
  if (onFull === 'block' || onFull === 'reject' || onFull === 'dropOldest') return
  const text = `onFull is ${String(onFull)}: expected 'block', 'reject', 'dropOldest' or 'spill'`
  throw new MQError('INVALID_CONFIG', text, { field: 'onFull', value: onFull })
}

function checkSpillLog(spillLog: SpillLog | undefined): void {
  if (spillLog === undefined) {
    const text = "onFull 'spill' needs a spillLog: make one with openSpillLog({ dir }) of tandem-mq/wal"
    throw new MQError('INVALID_CONFIG', text, { field: 'spillLog' })
  }
  if (spillLog.onRoom === null) return
  const text = 'this spillLog is in use by another channel: one log has one channel, open another directory'
  throw new MQError('INVALID_CONFIG', text, { field: 'spillLog' })
}
