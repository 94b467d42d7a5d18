/**
 * What callers hand in, in the forms the producer takes: bytes, text or null, and headers.
 * Why copies: a record that must wait before it is encoded outlives the call, and its caller may reuse his bytes then.
 */
import type { HeadersInput, RecordBytes } from '../protocol/index.js'

export function isPlain(data: unknown): data is RecordBytes {
  return data instanceof Uint8Array || typeof data === 'string' || data === null
}

export function copyOf(bytes: RecordBytes): RecordBytes {
  return bytes instanceof Uint8Array ? Buffer.from(bytes) : bytes
}

/** Headers of a send that waits for memory: their bytes may be reused by the caller before it is its turn. */
export function copiedHeaders(options: { readonly headers?: HeadersInput } | undefined): { headers?: HeadersInput } {
  return options?.headers === undefined ? {} : { headers: copyOfHeaders(options.headers) as HeadersInput }
}

/** Value by value: a clone would take the whole memory that each of them is a view of. */
export function copyOfHeaders(headers: HeadersInput | null): HeadersInput | null {
  if (headers === null || typeof headers !== 'object') return headers
  if (Array.isArray(headers)) return headers.map((pair) => (Array.isArray(pair) ? pair.map(copyOf) : pair))
  const copies: Record<string, RecordBytes | readonly RecordBytes[] | undefined> = {}
  for (const name in headers) {
    const value = (headers as Record<string, RecordBytes | readonly RecordBytes[] | undefined>)[name]
    Object.defineProperty(copies, name, {
      value: Array.isArray(value) ? value.map(copyOf) : copyOf(value as RecordBytes),
      enumerable: true,
    })
  }
  return copies
}

export function toBytes(bytes: RecordBytes): Uint8Array | null {
  return typeof bytes === 'string' ? Buffer.from(bytes) : bytes
}
