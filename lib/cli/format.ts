/**
 * The `-f` format of kcat: %t %p %o %k %K %s %S %R %T %h %%, with escapes around them.
 * Why compiled: a million records go through it; the text is taken apart once, into functions that give bytes.
 * Source: kcat(1), compared with kcat 1.7.1 on a real Kafka (test/integration/cli.test.ts).
 */
import { unescaped } from './escapes.js'
import { UsageError } from './usage.js'

/** What a format reads of a record. */
export interface PrintedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970, -1 when the record has none. */
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly (readonly [name: string, value: Uint8Array | null])[]
}

export type Format = (record: PrintedRecord) => Uint8Array

type Part = (record: PrintedRecord) => Uint8Array

export interface FormatOptions {
  /** Written where key or value is null; kcat `-Z`: 'NULL', else nothing. */
  readonly nullText: string
}

/** Throws UsageError for a token that does not exist. */
export function compileFormat(text: string, { nullText }: FormatOptions): Format {
  const missing = Buffer.from(nullText)
  const parts: Part[] = []
  let at = 0
  for (const match of text.matchAll(/%(.?)/gs)) {
    literal(parts, text.slice(at, match.index))
    parts.push(tokenOf(match[1] ?? '', missing))
    at = match.index + match[0].length
  }
  literal(parts, text.slice(at))
  return (record) => Buffer.concat(parts.map((part) => part(record)))
}

function literal(parts: Part[], text: string): void {
  if (text === '') return
  const bytes = unescaped(text)
  parts.push(() => bytes)
}

function tokenOf(letter: string, missing: Uint8Array): Part {
  switch (letter) {
    case 't':
      return ({ topic }) => Buffer.from(topic)
    case 'p':
      return ({ partition }) => Buffer.from(String(partition))
    case 'o':
      return ({ offset }) => Buffer.from(String(offset))
    case 'T':
      return ({ timestamp }) => Buffer.from(String(timestamp))
    case 'k':
      return ({ key }) => key ?? missing
    case 'K':
      return ({ key }) => Buffer.from(String(key?.length ?? -1))
    case 's':
      return ({ value }) => value ?? missing
    case 'S':
      return ({ value }) => Buffer.from(String(value?.length ?? -1))
    case 'R':
      return ({ value }) => int32(value?.length ?? -1)
    case 'h':
      return ({ headers }) => headerList(headers)
    case '%':
      return () => Buffer.from('%')
    default:
      throw new UsageError(`-f: '%${letter}' is no token: use %t %p %o %k %K %s %S %R %T %h %%`)
  }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** `n=v,n=v`; a null value is NULL. */
function headerList(headers: PrintedRecord['headers']): Buffer {
  const parts = headers.flatMap(([name, value], at) => [
    Buffer.from(`${at === 0 ? '' : ','}${name}=`),
    value ?? Buffer.from('NULL'),
  ])
  return Buffer.concat(parts)
}

/** Without `-f`: the value, with the key before it where a key delimiter is given. */
export function plainFormat(delimiter: Uint8Array, keyDelimiter: Uint8Array | null, nullText: string): Format {
  const missing = Buffer.from(nullText)
  return ({ key, value }) => {
    const before = keyDelimiter === null ? [] : [key ?? missing, keyDelimiter]
    return Buffer.concat([...before, value ?? missing, delimiter])
  }
}

/** One JSON object per line; bytes that are no UTF-8 text are `{ "base64": "..." }`, so nothing is lost. */
export function jsonFormat(): Format {
  return ({ topic, partition, offset, timestamp, key, value, headers }) => {
    const told = {
      topic,
      partition,
      offset,
      timestamp,
      key: shown(key),
      headers: headers.map(headerShown),
      value: shown(value),
    }
    return Buffer.from(`${JSON.stringify(told)}\n`)
  }
}

function headerShown([name, value]: PrintedRecord['headers'][number]) {
  return [name, shown(value)]
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Text, or base64 where the bytes are no UTF-8, so that nothing is lost. */
export function shown(bytes: Uint8Array | null): string | null | { base64: string } {
  if (bytes === null) return null
  try {
    return utf8.decode(bytes)
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') }
  }
}
