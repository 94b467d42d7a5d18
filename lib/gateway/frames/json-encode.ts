/**
 * Frames of the gateway as JSON. Hot path: `jsonRecord`, once per record and format, shared by all clients.
 * Why text where it can be: bytes that are valid UTF-8 travel as text, the rest as base64 under a name of its own, so that
 * nothing changes on the way.
 */
import { isUtf8 } from 'node:buffer'
import type { FeedRecord, HeaderList, ServerFrame } from '../types.js'

/** The part of a record's frame that is the same for all records of a partition. */
export function jsonRecordPrefix(topic: string, partition: number): string {
  return `{"type":"record","topic":${JSON.stringify(topic)},"partition":${partition},"offset":`
}

/** One `record` frame; `headers` only when there are any. */
export function jsonRecord(prefix: string, { offset, timestamp, key, value, headers }: FeedRecord): string {
  const start = `${prefix}${offset},"timestamp":${timestamp},${jsonBytes('key', key)},${jsonBytes('value', value)}`
  return headers.length === 0 ? `${start}}` : `${start},"headers":${jsonHeaders(headers)}}`
}

export function jsonServerFrame(frame: ServerFrame): string {
  if (frame.type !== 'subscribed') return JSON.stringify(frame)
  const topics = Object.fromEntries([...frame.topics].map(([topic, offsets]) => [topic, Object.fromEntries(offsets)]))
  return JSON.stringify({ ...frame, topics })
}

function jsonBytes(name: string, bytes: Uint8Array | null): string {
  if (bytes === null) return `"${name}":null`
  if (isUtf8(bytes)) return `"${name}":${JSON.stringify(textOf(bytes))}`
  return `"${name}64":"${base64(bytes)}"`
}

function jsonHeaders(headers: HeaderList): string {
  const pairs = headers.map(([name, value]) => [name, headerValue(value)])
  return JSON.stringify(pairs)
}

function headerValue(value: Uint8Array | null): unknown {
  if (value === null) return null
  return isUtf8(value) ? textOf(value) : { base64: base64(value) }
}

function textOf(bytes: Uint8Array): string {
  return viewOf(bytes).toString('utf8')
}

function base64(bytes: Uint8Array): string {
  return viewOf(bytes).toString('base64')
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
