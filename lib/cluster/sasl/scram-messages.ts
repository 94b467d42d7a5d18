/**
 * The messages of SCRAM as texts: `letter=value` joined by commas.
 * Why so strict: everything here comes from a peer that has not proved anything yet. What is not exactly as written
 * down is refused with words that name the part. Source: RFC 5802 section 7, RFC 7677 section 4.
 *
 *   server first   r=<our nonce><its nonce>,s=<salt>,i=<iterations>[,extensions]
 *   server final   v=<signature>[,extensions]   or   e=<error>
 */

/** Less is too cheap to guess (RFC 7677). */
export const MIN_ITERATIONS = 4096
/** About half a second of a processor; a broker that asks for more wants our time, not our proof. */
export const MAX_ITERATIONS = 1_000_000
const MAX_MESSAGE_BYTES = 4096
const PRINTABLE = /^[\x21-\x2b\x2d-\x7e]+$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$/

export interface ServerFirst {
  /** Ours and the broker's, in one. */
  readonly nonce: string
  readonly salt: Buffer
  readonly iterations: number
  /** As it came, for the signatures. */
  readonly text: string
}

/** The message, or what the broker did wrong: words that follow 'the broker'. */
export type Parsed<T> = T | string

type Attribute = readonly [letter: string, value: string]

export function parseServerFirst(bytes: Uint8Array, clientNonce: string): Parsed<ServerFirst> {
  const text = textOf(bytes)
  const attributes = text === null ? null : attributesOf(text)
  if (text === null || attributes === null) return 'sent no SCRAM message first'
  const [nonce, salt, iterations, ...extensions] = attributes
  if (attributes.some(([letter]) => letter === 'm')) return 'demands an extension (m=) that this client does not know'
  if (nonce?.[0] === 'e') return 'answered the name with an error'
  if (nonce?.[0] !== 'r' || salt?.[0] !== 's' || iterations?.[0] !== 'i')
    return 'sent a first message that is not r=,s=,i='
  if (extensions.some(([letter]) => 'rsi'.includes(letter))) return 'named a part of its first message twice'
  if (!isLonger(nonce[1], clientNonce))
    return 'sent a nonce that does not continue ours: the answer belongs to another exchange'
  if (!BASE64.test(salt[1])) return 'sent a salt that is not base64'
  if (!/^[1-9][0-9]{0,9}$/.test(iterations[1])) return 'sent an iteration count that is not a number'
  const count = Number(iterations[1])
  if (count < MIN_ITERATIONS || count > MAX_ITERATIONS) {
    return `asks for ${count} iterations, expected ${MIN_ITERATIONS}..${MAX_ITERATIONS}`
  }
  return { nonce: nonce[1], salt: Buffer.from(salt[1], 'base64'), iterations: count, text }
}

/** The server's signature, or why it is none. */
export function parseServerFinal(bytes: Uint8Array): Parsed<Buffer> {
  const text = textOf(bytes)
  const attributes = text === null ? null : attributesOf(text)
  const first = attributes?.[0]
  if (first === undefined) return 'sent no SCRAM message last'
  if (first[0] === 'e') return `refused: ${first[1]}`
  if (attributes?.some(([letter]) => letter === 'm')) return 'demands an extension (m=) that this client does not know'
  if (first[0] !== 'v' || !BASE64.test(first[1])) return 'sent a last message without a signature (v=)'
  return Buffer.from(first[1], 'base64')
}

/** ',' and '=' have a meaning in a message, so a name spells them out. */
export function escapedName(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C')
}

function isLonger(nonce: string, clientNonce: string): boolean {
  return PRINTABLE.test(nonce) && nonce.length > clientNonce.length && nonce.startsWith(clientNonce)
}

function textOf(bytes: Uint8Array): string | null {
  if (bytes.length === 0 || bytes.length > MAX_MESSAGE_BYTES) return null
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null // Not UTF-8: the caller says so.
  }
}

function attributesOf(text: string): Attribute[] | null {
  const parts = text.split(',')
  if (!parts.every((part) => /^[A-Za-z]=[^\0]+$/.test(part))) return null
  return parts.map((part): Attribute => [part[0] as string, part.slice(2)])
}
