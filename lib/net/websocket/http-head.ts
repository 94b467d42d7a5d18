/**
 * The head of an HTTP/1.1 message: a first line and header fields, strictly (RFC 9112 sections 2 to 5).
 * Why our own: on the raw reactor no HTTP server stands in front. Why strict: whatever two parsers may read differently
 * (bare line feeds, folded lines, spaces before a colon, doubled fields) is how requests are smuggled past a proxy.
 * Invariant: every name is a lower-case token, no value has a control character but the tab.
 */
import type { RingBuffer } from '../server/ring-buffer.js'
import { refusal } from './refusal.js'
import { isFieldValue, isToken } from './tokens.js'

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const END_OF_HEAD = 0x0d0a0d0a
/** More than browsers send by far; each costs two strings. */
const MAX_FIELDS = 100

/** Header fields in their order, doubled ones included. */
export class HeaderFields {
  readonly #fields: readonly (readonly [name: string, value: string])[]

  /** `raw` as Node's `rawHeaders`: name, value, name, value. */
  constructor(raw: readonly string[]) {
    const fields: [string, string][] = []
    for (let at = 0; at + 1 < raw.length; at += 2) {
      fields.push([(raw[at] as string).toLowerCase(), raw[at + 1] as string])
    }
    this.#fields = fields
  }

  /** Every value of a field, `name` in lower case. */
  all(name: string): string[] {
    return this.#fields.filter(([key]) => key === name).map(([, value]) => value)
  }

  /** The only value of a field; undefined without one. Throws refusal 400 when there are two. */
  one(name: string): string | undefined {
    const values = this.all(name)
    if (values.length > 1) throw refusal(400, `the header ${name} must be given once, not ${values.length} times`)
    return values[0]
  }

  /** The members of a comma-separated field, over all its lines; empty members are left out (RFC 9110 section 5.6.1). */
  list(name: string): string[] {
    return this.all(name)
      .flatMap((value) => value.split(','))
      .map(trimBlanks)
      .filter((member) => member !== '')
  }
}

/** Bytes of the head with its empty line, or -1 when it has not come. Looks from `from` on. Throws refusal 400 on a bare line feed. */
export function endOfHead(ring: RingBuffer, from: number): number {
  for (let at = ring.indexOf(LINE_FEED, from); at !== -1; at = ring.indexOf(LINE_FEED, at + 1)) {
    if (at === 0 || ring.peekUint8(at - 1) !== CARRIAGE_RETURN) throw refusal(400, 'lines must end in CR LF')
    if (at >= 3 && ring.peekUint32(at - 3) === END_OF_HEAD) return at + 1
  }
  return -1
}

/** `head` with its empty line, cut into the first line and the fields. Throws refusals 400 and 431. */
export function parseHead(head: Buffer): { firstLine: string; headers: HeaderFields } {
  const lines = head.toString('latin1', 0, head.length - 4).split('\r\n')
  if (lines.length - 1 > MAX_FIELDS)
    throw refusal(431, `${lines.length - 1} header fields: at most ${MAX_FIELDS} are read`)
  const raw: string[] = []
  for (let at = 1; at < lines.length; at++) raw.push(...parseField(lines[at] as string))
  return { firstLine: lines[0] as string, headers: new HeaderFields(raw) }
}

function parseField(line: string): [string, string] {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(colon, 0))
  const value = trimBlanks(line.slice(colon + 1))
  if (!isToken(name)) throw refusal(400, 'a header line must be a name, a colon and a value')
  if (!isFieldValue(value)) throw refusal(400, `the header ${name} has a control character`)
  return [name, value]
}

/** Without the blanks around it: spaces and tabs only, which is less than `trim()` takes. */
function trimBlanks(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}
