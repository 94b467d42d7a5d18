/** What an HTTP request says of who sends it. Nothing here throws, whatever came. */
import type { IncomingMessage } from 'node:http'
import { addressText } from '../net/index.js'
import type { Credentials, Transport } from './types.js'

const BEARER = /^Bearer +([^ ]+) *$/i

/** As sent, without the query. */
export function pathOf(url = '/'): string {
  const end = url.search(/[?#]/)
  return end === -1 ? url : url.slice(0, end)
}

export function queryOf(url = '/'): URLSearchParams {
  const start = url.indexOf('?')
  return new URLSearchParams(start === -1 ? '' : url.slice(start + 1))
}

export function credentialsOf(request: IncomingMessage, transport: Transport): Credentials {
  const { headers, url = '/', socket } = request
  const bearer = BEARER.exec(headers.authorization ?? '')?.[1]
  return {
    transport,
    peer: addressText(socket.remoteAddress ?? '?', socket.remotePort ?? 0),
    token: bearer ?? queryOf(url).get('token') ?? undefined,
    headers,
    url,
  }
}
