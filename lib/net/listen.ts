/**
 * A listening port that hands out one Transport per connection.
 * Why it keeps them: `close()` must leave neither socket nor timer behind, whoever is still connected.
 * Invariant: after `close()` has resolved, every transport has told its owner `onClosed`.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { MQError } from '../errors/index.js'
import { type Clock, systemClock } from '../util/index.js'
import { addressText } from './dial.js'
import { SocketTransport } from './socket-transport.js'
import { type Transport, WRITE_BUFFER_BYTES } from './transport.js'

/** What a TLS listener shows and asks for. PEM texts. */
export interface TlsServerOptions {
  /** Certificate, with the chain behind it if there is one. */
  readonly cert: string
  readonly key: string
  /** Of an encrypted key. */
  readonly passphrase?: string | undefined
  /** Whose client certificates are accepted. */
  readonly ca?: string | undefined
  /** 'requested': a client may show none, but not a wrong one. Default 'none'. */
  readonly clientCertificate?: 'none' | 'requested' | 'required' | undefined
}

/** What the listener knows of who called. */
export interface Peer {
  /** Subject of the certificate shown, `CN=alice`; null without one. */
  readonly subject: string | null
}

export interface ListenOptions {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  readonly maxFrameBytes: number
  /** Milliseconds, 0 = never (default). */
  readonly writeTimeoutMs?: number | undefined
  /** Default WRITE_BUFFER_BYTES: from here on a transport says "full". */
  readonly writeBufferBytes?: number | undefined
  /** Present: TLS. A transport is handed out when its handshake is done. */
  readonly tls?: TlsServerOptions | undefined
  readonly clock?: Clock | undefined
}

export interface Listener {
  readonly host: string
  /** The real port. */
  readonly port: number
  /** Connections that are open now. */
  readonly connections: number
  /** Stops accepting, destroys every connection, resolves when the last one is gone. Idempotent. */
  close(): Promise<void>
}

/** A handshake that takes longer is given up. Milliseconds. */
const HANDSHAKE_MS = 10_000
const NOBODY: Peer = { subject: null }

/** Listens, or rejects with CONNECTION_FAILED (port in use, no such address), INVALID_CONFIG (certificate or key). */
export async function listen(
  options: ListenOptions,
  onTransport: (transport: Transport, peer: Peer) => void,
): Promise<Listener> {
  const server = makeServer(options)
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(cannotListen(options, cause)))
    server.listen(options.port, options.host, () => {
      server.removeAllListeners('error')
      const address = server.address()
      resolve(new TcpListener(server, options, portOf(address, options.port), onTransport))
    })
  })
}

function makeServer({ tls, writeBufferBytes }: ListenOptions): Server {
  const tcp = { noDelay: true, highWaterMark: writeBufferBytes ?? WRITE_BUFFER_BYTES }
  if (tls === undefined) return createServer(tcp)
  const { cert, key, passphrase, ca, clientCertificate = 'none' } = tls
  try {
    const rejectUnauthorized = clientCertificate === 'required'
    const requestCert = clientCertificate !== 'none'
    const secrets = { cert, key, passphrase, ...(ca === undefined ? {} : { ca }) }
    return createTlsServer({ ...tcp, ...secrets, requestCert, rejectUnauthorized, handshakeTimeout: HANDSHAKE_MS })
  } catch (error) {
    // Without the cause: what a PEM reader complains about may quote the text it read.
    const why = (error as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new MQError('INVALID_CONFIG', `certificate, key and ca of a TLS listener must be PEM texts that fit: ${why}`)
  }
}

class TcpListener implements Listener {
  readonly port: number
  readonly #server: Server
  readonly #options: ListenOptions
  readonly #onTransport: (transport: Transport, peer: Peer) => void
  readonly #transports = new Set<SocketTransport>()
  /** TCP connections whose TLS handshake is not done: nobody's transport yet, but `close` must end them. */
  readonly #handshakes = new Set<Socket>()
  #isServerClosed = false
  #onGone = () => {}
  #closing: Promise<void> | null = null

  constructor(
    server: Server,
    options: ListenOptions,
    port: number,
    onTransport: (transport: Transport, peer: Peer) => void,
  ) {
    this.port = port
    this.#server = server
    this.#options = options
    this.#onTransport = onTransport
    if (options.tls === undefined) server.on('connection', (socket) => this.#accept(socket, NOBODY))
    else this.#acceptTls()
  }

  get host(): string {
    return this.#options.host
  }

  get connections(): number {
    return this.#transports.size
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      const reason = closedHere(this.port)
      // The server may say 'close' before its last sockets do: both have to be waited for.
      this.#server.close(() => {
        this.#isServerClosed = true
        this.#resolveWhenGone(resolve)
      })
      this.#onGone = () => this.#resolveWhenGone(resolve)
      for (const transport of this.#transports) transport.destroy(reason)
      for (const socket of this.#handshakes) socket.destroy()
    })
    return this.#closing
  }

  #acceptTls(): void {
    const asksForCertificate = (this.#options.tls?.clientCertificate ?? 'none') !== 'none'
    this.#server.on('connection', (socket: Socket) => {
      this.#handshakes.add(socket)
      socket.on('close', () => this.#handshakes.delete(socket))
      if (this.#closing !== null) socket.destroy()
    })
    // A failed handshake is the caller's affair; without a listener it would be nobody's, as Node destroys the socket.
    this.#server.on('tlsClientError', () => {})
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      const subject = asksForCertificate ? subjectOf(socket) : null
      if (subject !== null && !socket.authorized) socket.destroy()
      else this.#accept(socket, { subject })
    })
  }

  #accept(socket: Socket, peer: Peer): void {
    const transport: SocketTransport = new SocketTransport(socket, {
      maxFrameBytes: this.#options.maxFrameBytes,
      writeTimeoutMs: this.#options.writeTimeoutMs ?? 0,
      clock: this.#options.clock ?? systemClock,
      remote: addressText(socket.remoteAddress ?? '?', socket.remotePort ?? 0),
      onGone: () => {
        this.#transports.delete(transport)
        this.#onGone()
      },
    })
    this.#transports.add(transport)
    this.#onTransport(transport, peer)
    if (this.#closing !== null) transport.destroy(closedHere(this.port))
  }

  #resolveWhenGone(resolve: () => void): void {
    if (this.#isServerClosed && this.#transports.size === 0) resolve()
  }
}

/** As Kafka names who showed a certificate; null: nobody did. */
function subjectOf(socket: TLSSocket): string | null {
  const { subject } = socket.getPeerCertificate()
  // Node gives an empty object, without a subject, when no certificate came.
  const parts = Object.entries((subject as typeof subject | undefined) ?? {})
  if (parts.length === 0) return socket.getPeerX509Certificate() === undefined ? null : ''
  return parts.map(([name, value]) => `${name}=${value}`).join(',')
}

function closedHere(port: number): MQError {
  return new MQError('CONNECTION_CLOSED', `the listener on port ${port} was closed`)
}

function portOf(address: AddressInfo | string | null, otherwise: number): number {
  return typeof address === 'object' && address !== null ? address.port : otherwise
}

function cannotListen({ host, port }: ListenOptions, cause: Error): MQError {
  const why = (cause as NodeJS.ErrnoException).code ?? cause.message
  return new MQError(
    'CONNECTION_FAILED',
    `cannot listen on ${addressText(host, port)}: ${why}`,
    { host, port },
    { cause },
  )
}
