/** The forms in which callers give headers, brought into the one the wire has: pairs, in order, duplicates allowed. */
import { MQError } from '../errors/index.js'
import type { HeaderPairs, HeaderValue } from '../protocol/index.js'

/** A record of values (an array gives one header per element), or a list of pairs. */
export type HeadersInput = HeaderPairs | { readonly [name: string]: HeaderValue | readonly HeaderValue[] | undefined }

export function headerPairs(headers: HeadersInput | null | undefined): HeaderPairs | null {
  if (headers === null || headers === undefined) return null
  const pairs = Array.isArray(headers) ? pairsOfList(headers) : pairsOfRecord(headers as Record<string, unknown>)
  return pairs.length === 0 ? null : pairs
}

function pairsOfList(list: readonly unknown[]): [string, HeaderValue][] {
  return list.map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string') {
      throw new MQError('SERIALIZATION_FAILED', 'a header is a pair [name, value] with a string as its name')
    }
    return [pair[0], headerValue(pair[0], pair[1])]
  })
}

function pairsOfRecord(record: Record<string, unknown>): [string, HeaderValue][] {
  const pairs: [string, HeaderValue][] = []
  for (const [name, value] of Object.entries(record)) {
    if (value === undefined) continue
    for (const one of Array.isArray(value) ? value : [value]) pairs.push([name, headerValue(name, one)])
  }
  return pairs
}

function headerValue(name: string, value: unknown): HeaderValue {
  if (value === null || typeof value === 'string' || value instanceof Uint8Array) return value
  const text = `header ${name} is ${typeof value}: expected string, Buffer or null`
  throw new MQError('SERIALIZATION_FAILED', text, { header: name })
}
