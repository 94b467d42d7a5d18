/**
 * The upgrade of a request that node:http has parsed: for WebSockets beside other routes on one port.
 * Invariant: the socket is either upgraded and untouched but for the 101 response, or answered and ended.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { findMQError } from '../../errors/index.js'
import { judge } from './handshake.js'
import { HeaderFields } from './http-head.js'
import { type HandshakeOptions, handshakeSettings } from './options.js'
import { refusalBytes } from './refusal.js'
import type { Upgraded } from './types.js'

/**
 * Answers an `upgrade` event of node:http: 101 and what was agreed, or null when it was refused and the socket is ended.
 * What the client sent behind its request is in `head`: give it to `Server.adopt`. Throws INVALID_CONFIG on wrong options, and
 * what `onUpgrade` throws, with the socket destroyed.
 *
 * ```ts
 * http.on('upgrade', (request, socket, head) => {
 *   const upgraded = upgrade(request, socket)
 *   if (upgraded !== null) server.adopt(socket as Socket, head, { protocol: webSocketFrames({ upgraded }), handler })
 * })
 * ```
 */
export function upgrade(request: IncomingMessage, socket: Duplex, options: HandshakeOptions = {}): Upgraded | null {
  try {
    const { method = '', url = '', httpVersion, rawHeaders } = request
    const raw = { method, target: url, httpVersion, headers: new HeaderFields(rawHeaders) }
    const { request: accepted, subprotocol, response } = judge(raw, handshakeSettings(options))
    socket.write(response)
    return { request: accepted, subprotocol }
  } catch (error) {
    const response = refusalBytes(findMQError(error) ?? null)
    if (response !== undefined) return refuse(socket, response)
    socket.destroy()
    throw error
  }
}

/** Writes the response and ends. An error of a socket that is given up tells nobody anything. */
function refuse(socket: Duplex, response: Buffer): null {
  socket.on('error', () => socket.destroy())
  socket.end(response, () => socket.destroy())
  return null
}
