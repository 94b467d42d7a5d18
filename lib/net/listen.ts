/**
 * A listening port that hands out one Transport per connection.
 * Why it keeps them: `close()` must leave neither socket nor timer behind, whoever is still connected.
 * Invariant: after `close()` has resolved, every transport has told its owner `onClosed`.
 */
import type { Socket } from 'node:net'
import { MQError } from '../errors/index.js'
import { type Clock, systemClock } from '../util/index.js'
import { Acceptor, type Peer, type TlsServerOptions } from './acceptor.js'
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

/** Listens, or rejects with CONNECTION_FAILED (port in use, no such address), INVALID_CONFIG (certificate or key). */
export async function listen(
  options: ListenOptions,
  onTransport: (transport: Transport, peer: Peer) => void,
): Promise<Listener> {
  const listener = new TcpListener(options, onTransport)
  await listener.listen()
  return listener
}

class TcpListener implements Listener {
  #port: number
  readonly #options: ListenOptions
  readonly #acceptor: Acceptor
  readonly #onTransport: (transport: Transport, peer: Peer) => void
  readonly #transports = new Set<SocketTransport>()
  #onGone = () => {}
  #closing: Promise<void> | null = null

  constructor(options: ListenOptions, onTransport: (transport: Transport, peer: Peer) => void) {
    this.#port = options.port
    this.#options = options
    this.#onTransport = onTransport
    const { writeBufferBytes: highWaterMark = WRITE_BUFFER_BYTES, tls } = options
    this.#acceptor = new Acceptor({ highWaterMark, tls }, (socket, peer) => this.#accept(socket, peer))
  }

  async listen(): Promise<void> {
    this.#port = (await this.#acceptor.listen(this.#options)).port
  }

  get host(): string {
    return this.#options.host
  }

  get port(): number {
    return this.#port
  }

  get connections(): number {
    return this.#transports.size
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      this.#onGone = () => {
        if (this.#transports.size === 0) resolve()
      }
    })
    // The acceptor may be done before its last transports have told their owners: both have to be waited for.
    const closed = this.#acceptor.close()
    for (const transport of this.#transports) transport.destroy(closedHere(this.#port))
    this.#onGone()
    await Promise.all([closed, gone])
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
    if (this.#closing !== null) transport.destroy(closedHere(this.#port))
  }
}

function closedHere(port: number): MQError {
  return new MQError('CONNECTION_CLOSED', `the listener on port ${port} was closed`)
}
