/** What ends a connection, in words. Every context names the connection and its peer. */
import { findMQError, MQError } from '../../errors/index.js'
import type { Connection } from './types.js'

/** Which connection it is about. */
export type Ended = Pick<Connection, 'id' | 'peerAddr' | 'readBufferLength'>

/** A callback of the user threw, or its promise rejected. */
export function handlerFailed(callback: string, c: Ended, cause: unknown): MQError {
  const text = `${callback} of connection ${c.id} (${c.peerAddr}) failed: ${textOf(cause)}; the connection is closed`
  return new MQError('CONSUME_FAILED', text, { ...contextOf(c), reason: 'CALLBACK', callback }, { cause })
}

/** A protocol refused the bytes, or threw. Its own verdict stays recognisable. */
export function protocolFailed(c: Ended, cause: unknown): MQError {
  const known = findMQError(cause)
  if (known !== undefined) return known.with(contextOf(c))
  const text = `the protocol of connection ${c.id} (${c.peerAddr}) failed: ${textOf(cause)}; the connection is closed`
  return new MQError('DESERIALIZATION_FAILED', text, contextOf(c), { cause })
}

/** A message, or the beginning of one. */
export function tooLong(c: Ended, bytes: number, cause?: unknown): MQError {
  const text = `a message of connection ${c.id} (${c.peerAddr}) is longer than maxFrameBytes allows: ${bytes} bytes of it came`
  return new MQError('MESSAGE_TOO_LARGE', text, { ...contextOf(c), reason: 'TOO_LARGE', bytes }, { cause })
}

export function closedByPeer(c: Ended, cause: Error): MQError {
  const why = (cause as NodeJS.ErrnoException).code ?? cause.message
  return closed(c, `was ended by ${c.peerAddr}: ${why}`, {}, cause)
}

export function truncated(c: Ended): MQError {
  const bytes = c.readBufferLength
  return closed(c, `was ended by ${c.peerAddr} inside a message, ${bytes} bytes of which had come`, { bytes })
}

export function notOpen(c: Ended): MQError {
  return closed(c, `to ${c.peerAddr} takes nothing more: it is closed, or our side of it was`)
}

export function closedHere(c: Ended): MQError {
  return closed(c, `to ${c.peerAddr} was closed before everything was sent`)
}

export function idleFor(c: Ended, idleMs: number): MQError {
  return closed(c, `to ${c.peerAddr} moved no byte for ${idleMs} ms (idleMs)`, { idleMs })
}

export function frameLate(c: Ended, frameTimeoutMs: number): MQError {
  const text = `from ${c.peerAddr} did not complete a message within ${frameTimeoutMs} ms (frameTimeoutMs)`
  return closed(c, text, { frameTimeoutMs, bytes: c.readBufferLength })
}

export function closeLate(c: Ended, closeTimeoutMs: number): MQError {
  return closed(c, `to ${c.peerAddr} did not end within ${closeTimeoutMs} ms (closeTimeoutMs)`, { closeTimeoutMs })
}

function closed(c: Ended, what: string, context: object = {}, cause?: Error): MQError {
  return new MQError('CONNECTION_CLOSED', `connection ${c.id} ${what}`, { ...contextOf(c), ...context }, { cause })
}

function contextOf(c: Ended): { readonly connection: number; readonly peer: string } {
  return { connection: c.id, peer: c.peerAddr }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
