/**
 * What accepts: a TCP port, with TLS in front of it if asked for. Used by `listen` (frames for the cluster) and by `Server`.
 * Why one class: certificates, handshakes that hang and the order of closing are the same for both.
 * Invariant: a socket is handed out once, when it can carry bytes; until then the acceptor answers for it.
 */
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { MQError } from '../errors/index.js'
import { addressText } from './dial.js'

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

export interface AcceptorOptions {
  /** Bytes pending in user space from which a socket says "full"; as many are read ahead while reading pauses. */
  readonly highWaterMark: number
  readonly tls?: TlsServerOptions | undefined
  /** False: the peer's end ends our side too. Default false. */
  readonly allowHalfOpen?: boolean | undefined
  /** Default true. */
  readonly noDelay?: boolean | undefined
  /** True: nothing is read here, the socket is for another process. Default false. */
  readonly pauseOnConnect?: boolean | undefined
  /** Asked for every TCP connection before anything is done with it. False: it is closed. Default: everybody may. */
  readonly admits?: (() => boolean) | undefined
}

/** Where to listen. */
export interface ListenAt {
  /** Null = every interface. */
  readonly host: string | null
  /** 0 = any free port. */
  readonly port: number
  readonly reusePort?: boolean | undefined
}

/** A handshake that takes longer is given up. Milliseconds. */
const HANDSHAKE_MS = 10_000
const NOBODY: Peer = { subject: null }

export class Acceptor {
  readonly #server: Server
  readonly #onSocket: (socket: Socket, peer: Peer) => void
  readonly #admits: () => boolean
  /** TCP connections whose TLS handshake is not done, by peer: nobody's yet, but `close` must end them. */
  readonly #handshakes = new Map<string, Socket>()
  #closing: Promise<void> | null = null

  /** Throws INVALID_CONFIG for a certificate or key that cannot be used. */
  constructor(options: AcceptorOptions, onSocket: (socket: Socket, peer: Peer) => void) {
    this.#onSocket = onSocket
    this.#admits = options.admits ?? (() => true)
    this.#server = makeServer(options)
    if (options.tls === undefined) this.#acceptTcp()
    else this.#acceptTls((options.tls.clientCertificate ?? 'none') !== 'none')
  }

  /** Connections whose TLS handshake is not done. */
  get handshakes(): number {
    return this.#handshakes.size
  }

  /** Listens; gives the real address. Rejects with CONNECTION_FAILED: port in use, no such address. */
  listen({ host, port, reusePort = false }: ListenAt): Promise<{ host: string; port: number }> {
    const server = this.#server
    return new Promise((resolve, reject) => {
      const fail = (cause: Error) => reject(cannotListen(host, port, cause))
      server.once('error', fail)
      const at: ListenOptions & { reusePort?: boolean } = { port }
      if (host !== null) at.host = host
      if (reusePort) at.reusePort = true
      server.listen(at, () => {
        server.off('error', fail)
        const address = server.address()
        const isTcp = typeof address === 'object' && address !== null
        resolve({ host: isTcp ? address.address : (host ?? ''), port: isTcp ? address.port : port })
      })
    })
  }

  /** A connection that another process accepted, or that came some other way. */
  inject(socket: Socket): void {
    this.#server.emit('connection', socket)
  }

  /** After `listen`: what becomes of the listening socket itself (out of file descriptors). */
  onError(listener: (error: Error) => void): void {
    this.#server.on('error', listener)
  }

  /** Stops accepting and ends handshakes; resolves when the last socket that was accepted here is gone. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      // An error says that it did not listen: closed all the same. The handle is gone one turn after its 'close'.
      this.#server.close(() => setImmediate(resolve))
      for (const socket of this.#handshakes.values()) socket.destroy()
    })
    return this.#closing
  }

  #acceptTcp(): void {
    this.#server.on('connection', (socket: Socket) => {
      if (this.#mayEnter(socket)) this.#onSocket(socket, NOBODY)
    })
  }

  #acceptTls(asksForCertificate: boolean): void {
    // Before Node's own listener, which wraps the socket.
    this.#server.prependListener('connection', (socket: Socket) => {
      if (!this.#mayEnter(socket)) return
      const peer = peerOf(socket)
      this.#handshakes.set(peer, socket)
      socket.on('close', () => {
        if (this.#handshakes.get(peer) === socket) this.#handshakes.delete(peer)
      })
    })
    // A failed handshake is the caller's affair; without a listener it would be nobody's, as Node destroys the socket.
    this.#server.on('tlsClientError', () => {})
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      this.#handshakes.delete(peerOf(socket))
      const subject = asksForCertificate ? subjectOf(socket) : null
      if (subject !== null && !socket.authorized) socket.destroy()
      else this.#onSocket(socket, { subject })
    })
  }

  /** False: it was ended. */
  #mayEnter(socket: Socket): boolean {
    if (this.#closing === null && this.#admits()) return true
    // What a socket says that nobody wanted changes nothing; unheard it would end the process.
    socket.on('error', () => {})
    socket.destroy()
    return false
  }
}

/** Tells connections of one listener apart, and is the same for a socket and the TLS socket around it. */
function peerOf(socket: Socket): string {
  return addressText(socket.remoteAddress ?? '?', socket.remotePort ?? 0)
}

function makeServer(options: AcceptorOptions): Server {
  const { highWaterMark, tls, noDelay = true, allowHalfOpen = false, pauseOnConnect = false } = options
  const tcp = { noDelay, highWaterMark, allowHalfOpen, pauseOnConnect }
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

/** As Kafka names who showed a certificate; null: nobody did. */
function subjectOf(socket: TLSSocket): string | null {
  const { subject } = socket.getPeerCertificate()
  // Node gives an empty object, without a subject, when no certificate came.
  const parts = Object.entries((subject as typeof subject | undefined) ?? {})
  if (parts.length === 0) return socket.getPeerX509Certificate() === undefined ? null : ''
  return parts.map(([name, value]) => `${name}=${value}`).join(',')
}

function cannotListen(host: string | null, port: number, cause: Error): MQError {
  const why = (cause as NodeJS.ErrnoException).code ?? cause.message
  const text = `cannot listen on ${addressText(host ?? '*', port)}: ${why}`
  return new MQError('CONNECTION_FAILED', text, { host, port }, { cause })
}
