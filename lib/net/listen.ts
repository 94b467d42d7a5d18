/**
 * A listening port that hands out one Transport per connection.
 * Why it keeps them: `close()` must leave neither socket nor timer behind, whoever is still connected.
 * Invariant: after `close()` has resolved, every transport has told its owner `onClosed`.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { MQError } from '../errors/index.js'
import { type Clock, systemClock } from '../util/index.js'
import { addressText } from './dial.js'
import { SocketTransport } from './socket-transport.js'
import { type Transport, WRITE_BUFFER_BYTES } from './transport.js'

export interface ListenOptions {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  readonly maxFrameBytes: number
  /** Milliseconds, 0 = never (default). */
  readonly writeTimeoutMs?: number | undefined
  /** Default WRITE_BUFFER_BYTES: from here on a transport says "full". */
  readonly writeBufferBytes?: number | undefined
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

/** Listens, or rejects with CONNECTION_FAILED (port in use, no such address). */
export function listen(options: ListenOptions, onTransport: (transport: Transport) => void): Promise<Listener> {
  const server = createServer({
    noDelay: true,
    highWaterMark: options.writeBufferBytes ?? WRITE_BUFFER_BYTES,
  })
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(cannotListen(options, cause)))
    server.listen(options.port, options.host, () => {
      server.removeAllListeners('error')
      const address = server.address()
      resolve(new TcpListener(server, options, portOf(address, options.port), onTransport))
    })
  })
}

class TcpListener implements Listener {
  readonly port: number
  readonly #server: Server
  readonly #options: ListenOptions
  readonly #onTransport: (transport: Transport) => void
  readonly #transports = new Set<SocketTransport>()
  #isServerClosed = false
  #onGone = () => {}
  #closing: Promise<void> | null = null

  constructor(server: Server, options: ListenOptions, port: number, onTransport: (transport: Transport) => void) {
    this.port = port
    this.#server = server
    this.#options = options
    this.#onTransport = onTransport
    server.on('connection', (socket) => this.#accept(socket))
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
    })
    return this.#closing
  }

  #accept(socket: Socket): void {
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
    this.#onTransport(transport)
    if (this.#closing !== null) transport.destroy(closedHere(this.port))
  }

  #resolveWhenGone(resolve: () => void): void {
    if (this.#isServerClosed && this.#transports.size === 0) resolve()
  }
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
