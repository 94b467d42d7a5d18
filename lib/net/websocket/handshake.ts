/**
 * The opening handshake: what a client must ask, what it is answered (RFC 6455 sections 4.1, 4.2 and 11.3).
 * One judge for both ways in: bytes on the raw reactor, and requests that node:http has parsed.
 * Invariant: a request that is accepted names every field of section 4.2.1 exactly once; all others get a status.
 * permessage-deflate (RFC 7692) is never negotiated: our messages are small, a deflate window costs some 300 KiB per connection,
 * a compressed length says nothing about the memory it becomes, and clients must accept the refusal (section 9.1).
 */
import { createHash } from 'node:crypto'
import { type HeaderFields, parseHead } from './http-head.js'
import type { HandshakeSettings } from './options.js'
import { chosenRefusal, refusal } from './refusal.js'
import { isToken } from './tokens.js'
import type { Upgraded, UpgradeRequest } from './types.js'

/** What both ways in know of a request. */
export interface RawRequest {
  readonly method: string
  readonly target: string
  readonly httpVersion: string
  readonly headers: HeaderFields
}

export interface Accepted extends Upgraded {
  /** The 101 response. */
  readonly response: Buffer
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
export const WEBSOCKET_VERSION = '13'
/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/
const REQUEST_LINE = /^([^ ]+) ([\x21-\x7e\x80-\xff]+) HTTP\/(\d\.\d)$/
/** Origin form, or absolute form (RFC 9112 section 3.2). */
const TARGET = /^(?:\/|(?:http|ws)s?:\/\/[^/])/i

/** The request in `head`, its empty line included. Throws refusals 400 and 431. */
export function parseRequest(head: Buffer): RawRequest {
  const { firstLine, headers } = parseHead(head)
  const match = REQUEST_LINE.exec(firstLine)
  if (match === null || !isToken(match[1] as string)) throw refusal(400, 'the first line is no HTTP request line')
  return { method: match[1] as string, target: match[2] as string, httpVersion: match[3] as string, headers }
}

/** Accepts a request, or throws its refusal: 400, 403, 405, 426, or what `onUpgrade` says. */
export function judge(raw: RawRequest, settings: HandshakeSettings): Accepted {
  checkRequest(raw)
  checkUpgrade(raw.headers)
  const key = keyOf(raw.headers)
  const request = requestOf(raw)
  checkOrigin(request.origin, settings.origins)
  const refused = settings.onUpgrade?.(request)
  if (refused !== undefined) throw chosenRefusal(refused)
  const subprotocol = request.subprotocols.find((name) => settings.subprotocols.includes(name))
  return { request, subprotocol, response: acceptance(key, subprotocol) }
}

/** Sec-WebSocket-Accept of a key (section 4.2.2). */
export function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + GUID)
    .digest('base64')
}

function checkRequest({ method, target, httpVersion, headers }: RawRequest): void {
  if (httpVersion !== '1.1') throw refusal(400, `an upgrade needs HTTP/1.1, not HTTP/${httpVersion}`)
  if (method !== 'GET') throw refusal(405, `an upgrade is a GET request, not ${method}`)
  if (!TARGET.test(target)) throw refusal(400, 'the request target must be a path or a URL')
  if ((headers.one('host') ?? '') === '') throw refusal(400, 'the header host is missing')
  const hasBody = (headers.one('content-length') ?? '0') !== '0' || headers.all('transfer-encoding').length > 0
  if (hasBody) throw refusal(400, 'an upgrade has no body')
}

function checkUpgrade(headers: HeaderFields): void {
  if (!hasMember(headers, 'upgrade', 'websocket')) {
    throw refusal(426, 'this is a WebSocket server: the request must have Upgrade: websocket')
  }
  if (!hasMember(headers, 'connection', 'upgrade')) throw refusal(400, 'the header connection must name upgrade')
  const version = headers.one('sec-websocket-version')
  if (version !== WEBSOCKET_VERSION) throw refusal(426, `WebSocket version ${WEBSOCKET_VERSION} is spoken here`)
}

function hasMember(headers: HeaderFields, name: string, member: string): boolean {
  return headers.list(name).some((present) => present.toLowerCase() === member)
}

function keyOf(headers: HeaderFields): string {
  const key = headers.one('sec-websocket-key')
  if (key === undefined || !KEY.test(key)) throw refusal(400, 'sec-websocket-key must be 16 bytes in base64')
  return key
}

function requestOf({ target, headers }: RawRequest): UpgradeRequest {
  const subprotocols = headers.list('sec-websocket-protocol')
  const isRight = subprotocols.every(isToken) && new Set(subprotocols).size === subprotocols.length
  if (!isRight) throw refusal(400, 'sec-websocket-protocol must be a list of different tokens')
  return { target, headers, subprotocols, origin: headers.one('origin') }
}

/** Section 10.2. A request without an origin does not come from a page, so no page can abuse its user. */
function checkOrigin(origin: string | undefined, origins: readonly string[] | null): void {
  if (origins === null || origin === undefined || origins.includes(origin.toLowerCase())) return
  throw refusal(403, 'this origin may not connect: it is not among `origins`')
}

function acceptance(key: string, subprotocol: string | undefined): Buffer {
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
  lines.push(`Sec-WebSocket-Accept: ${acceptOf(key)}`)
  if (subprotocol !== undefined) lines.push(`Sec-WebSocket-Protocol: ${subprotocol}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}
