/**
 * Records as `consume --json` writes them, read back by `produce --from-json`.
 * Invariant: what one prints the other sends: key, value, headers with their order, bytes that are no text as base64.
 */
import type { SendOptions } from '../../index.js'
import { UsageError } from '../usage.js'

/** A record before it is sent. */
export interface Draft {
  readonly value: Buffer | null
  readonly options: SendOptions & { readonly key?: Buffer | null }
}

const EXPECTED =
  '{"key": text, "value": text, "headers": [[name, value]], "partition": n, "timestamp": ms}, each of them optional'

/** Of the offset and topic nothing is taken: they belong to where the record was. Throws UsageError. */
export function fromJson(line: Buffer, base: SendOptions): Draft {
  const parsed = parse(line)
  const { partition, timestamp, headers } = parsed
  const options = {
    ...base,
    key: bytesOf('key', parsed.key),
    ...(base.partition === undefined && partition !== undefined ? { partition: numberOf('partition', partition) } : {}),
    ...(timestamp === undefined || timestamp === -1 ? {} : { timestamp: numberOf('timestamp', timestamp) }),
    ...(headers === undefined ? {} : { headers: headersOf(headers) }),
  }
  return { value: bytesOf('value', parsed.value), options }
}

function parse(line: Buffer): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(line.toString())
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>
  } catch {
    // Told below: the parser's own text would quote the record.
  }
  throw new UsageError(`--from-json: expected one object per line, ${EXPECTED}`)
}

/** Objects and numbers go as their JSON text, so that a log of objects needs no quoting twice. */
function bytesOf(what: string, value: unknown): Buffer | null {
  if (value === undefined || value === null) return null
  if (typeof value === 'string') return Buffer.from(value)
  const base64 = (value as { base64?: unknown }).base64
  if (typeof base64 === 'string' && Object.keys(value as object).length === 1) return Buffer.from(base64, 'base64')
  if (what === 'value' || what === 'key') return Buffer.from(JSON.stringify(value))
  throw new UsageError(`--from-json: ${what}: expected a text, null or { "base64": text }`)
}

function numberOf(what: string, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw new UsageError(`--from-json: ${what}: expected an integer from 0`)
}

function headersOf(headers: unknown): [string, Buffer | null][] {
  const pairs = Array.isArray(headers)
    ? headers
    : typeof headers === 'object' && headers !== null
      ? Object.entries(headers)
      : []
  return pairs.map((pair: unknown) => {
    if (Array.isArray(pair) && pair.length === 2 && typeof pair[0] === 'string') {
      return [pair[0], bytesOf('header', pair[1])]
    }
    throw new UsageError('--from-json: headers: expected [[name, value], ...] or { name: value }')
  })
}
