/**
 * The HTTP port of a gateway: requests to the routes, upgrades to the WebSocket clients. NT-6, GW-4.
 * Why node:http and not the reactor alone: pages, a health check and WebSockets share one port, and browsers speak HTTP/1.1
 * in all its forms.
 * Invariant: heads are bounded in size and time; after `close` has resolved no socket that came here is open.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { type GatewayTlsSettings, parseListenAddress } from '../config/index.js'
import { MQError } from '../errors/index.js'
import type { ResolvedGatewayOptions } from './options.js'

export interface HttpPortParts {
  readonly options: ResolvedGatewayOptions
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
  readonly raise: (error: MQError) => void
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** What a socket reads ahead while its client is not read: as on the reactor. */
const READ_AHEAD_BYTES = 64 * 1024
/** Beside clients: pages, checks, refusals. */
const OTHER_CONNECTIONS = 1_000
/** A connection that asks nothing more. Milliseconds. */
const KEEP_ALIVE_MS = 5_000
/** A page of which nothing moves. Milliseconds. */
const STUCK_MS = 60_000
const HANDSHAKE_MS = 10_000
/** Real browsers send some thirty. */
const MAX_FIELDS = 200

export class HttpPort {
  readonly #server: Server
  readonly #parts: HttpPortParts

  /** Throws INVALID_CONFIG for a certificate or key that cannot be used. */
  constructor(parts: HttpPortParts) {
    this.#parts = parts
    this.#server = makeServer(parts.options)
    this.#server.maxConnections = parts.options.maxClients + OTHER_CONNECTIONS
    this.#server.maxHeadersCount = MAX_FIELDS
    this.#server.setTimeout(STUCK_MS)
    this.#server.on('request', parts.onRequest)
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      // From here on other limits count.
      request.socket.setTimeout(0)
      parts.onUpgrade(request, socket, head)
    })
  }

  /** Gives the real address. Rejects with CONNECTION_FAILED: port in use, no such address. */
  listen(address: string): Promise<Address> {
    const { host, port } = parseListenAddress(address) as { host: string | undefined; port: number }
    const server = this.#server
    return new Promise((resolve, reject) => {
      const fail = (cause: Error) => reject(cannotListen(address, cause))
      server.once('error', fail)
      server.listen(port, host, () => {
        server.off('error', fail)
        server.on('error', (cause) => this.#parts.raise(portFailed(cause)))
        const at = server.address() as { address: string; port: number }
        resolve({ host: at.address, port: at.port })
      })
    })
  }

  /** Accepts nobody more. Resolves when every socket is gone, those of WebSocket clients included. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      // An error says that it did not listen: closed all the same.
      this.#server.close(() => setImmediate(resolve))
    })
  }

  /** Ends what is no WebSocket client. */
  endRequests(): void {
    this.#server.closeAllConnections()
  }
}

function makeServer({ maxHeaderBytes, authTimeoutMs, tls }: ResolvedGatewayOptions): Server {
  const http = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: authTimeoutMs,
    requestTimeout: authTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, authTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
    highWaterMark: READ_AHEAD_BYTES,
    noDelay: true,
  }
  if (tls === undefined) return createServer(http)
  try {
    return secured(createTlsServer({ ...http, ...tlsOptions(tls) }), tls)
  } catch (error) {
    // Without the cause: what a PEM reader complains about may quote the text it read.
    const why = (error as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new MQError('INVALID_CONFIG', `tls: cert, key and ca must be PEM texts that fit: ${why}`, { path: 'tls' })
  }
}

function tlsOptions({ cert, key, passphrase, ca, clientCertificate = 'none' }: GatewayTlsSettings) {
  return {
    cert,
    key,
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(ca === undefined ? {} : { ca }),
    requestCert: clientCertificate !== 'none',
    rejectUnauthorized: clientCertificate === 'required',
    handshakeTimeout: HANDSHAKE_MS,
  }
}

/** 'requested': a client may show no certificate, but not a wrong one. */
function secured(server: Server, { clientCertificate }: GatewayTlsSettings): Server {
  if (clientCertificate !== 'requested') return server
  return server.prependListener('secureConnection', (socket) => {
    if (!socket.authorized && socket.getPeerX509Certificate() !== undefined) socket.destroy()
  })
}

function cannotListen(address: string, cause: Error): MQError {
  const why = (cause as NodeJS.ErrnoException).code ?? cause.message
  return new MQError('CONNECTION_FAILED', `cannot listen on ${address}: ${why}`, { address }, { cause })
}

function portFailed(cause: Error): MQError {
  return new MQError('CONNECTION_FAILED', `the websocket port failed: ${cause.message}`, {}, { cause })
}
