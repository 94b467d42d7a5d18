/**
 * What a byte or item channel says when it cannot: one place for code, reason and advice.
 */
import { MQError } from '../errors/index.js'

export type OnFull = 'block' | 'reject' | 'dropOldest'

interface Use {
  readonly usedBytes: number
  readonly limitBytes: number
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
  const text = `readBatch(${max}): expected an integer of at least 1, or Infinity`
  return new MQError('INVALID_CONFIG', text, { field: 'max', value: max })
}

export function recordTooLarge(bytes: number, limitBytes: number): MQError {
  const text = `${bytes} B can never fit into bufferMemoryBytes ${limitBytes}: split the record or raise the limit`
  return new MQError('MESSAGE_TOO_LARGE', text, { bytes, limitBytes })
}

export function bufferFull(bytes: number, use: Use): MQError {
  const text = `no room for ${bytes} B (${use.usedBytes} of ${use.limitBytes} B are used): read faster, await ready() or writeAsync(), or raise bufferMemoryBytes`
  return new MQError('POOL_EXHAUSTED', text, { reason: 'BUFFER_FULL', bytes, ...use })
}

export function listenerThrew(cause: unknown): MQError {
  const text = 'a listener of the channel threw: catch inside the listener'
  return new MQError('PRODUCE_FAILED', text, { reason: 'CALLBACK' }, { cause })
}

/** Callers without types: null is no object of options. Gives them back. */
export function optionsOf<T extends object>(options: T): T {
  if (typeof (options as unknown) === 'object' && (options as unknown) !== null) return options
  const got = (options as unknown) === null ? 'null' : typeof options
  throw new MQError('INVALID_CONFIG', `a channel takes an object of options, got ${got}`)
}

export function checkOnFull(onFull: OnFull): void {
  if (onFull === 'block' || onFull === 'reject' || onFull === 'dropOldest') return
  const text = `onFull is ${String(onFull)}: expected 'block', 'reject' or 'dropOldest'`
  throw new MQError('INVALID_CONFIG', text, { field: 'onFull', value: onFull })
}
