/**
 * One broker of the in-process cluster: its port, its connections, its fetch sessions.
 * The word: users create "a broker" (the whole cluster) and say `node` for one server of it, as kafka.md 6.2 does.
 * Invariant: the port stays the same over stop, kill and start, so that clients find a returning broker.
 */
import { type Listener, listen, type TlsServerOptions } from '../net/index.js'
import type { ClusterState } from './cluster-state.js'
import { Connection } from './connection.js'
import { FetchSessions } from './fetch-sessions.js'
import type { SaslSecurity } from './sasl/security.js'
import { SaslSession } from './sasl/session.js'

/** Kafka: socket.request.max.bytes. */
const MAX_FRAME_BYTES = 104_857_600
/** Kafka's name for who neither showed a certificate nor authenticated. */
const ANONYMOUS = 'ANONYMOUS'

export interface NodeParts {
  readonly cluster: ClusterState
  readonly brokerId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
  /** Null: plaintext. */
  readonly tls: TlsServerOptions | null
  /** Null: nobody has to authenticate. */
  readonly sasl: SaslSecurity | null
  /** Numbers connections over all brokers. */
  readonly nextConnection: () => number
}

export class BrokerNode {
  readonly brokerId: number
  readonly sessions: FetchSessions
  readonly #parts: NodeParts
  readonly #connections = new Set<Connection>()
  #listener: Listener | null = null
  #port: number
  #isPaused = false

  constructor(parts: NodeParts) {
    const { cluster } = parts
    this.#parts = parts
    this.brokerId = parts.brokerId
    this.#port = parts.port
    this.sessions = new FetchSessions(
      () => cluster.config.number('max.incremental.fetch.session.cache.slots'),
      () => cluster.clock.monotonicMs(),
      cluster.random,
    )
  }

  get address(): string {
    return `${this.#parts.host}:${this.#port}`
  }

  get connections(): number {
    return this.#connections.size
  }

  get isListening(): boolean {
    return this.#listener !== null
  }

  async start(): Promise<void> {
    const { cluster, host, rack, brokerId, tls, sasl } = this.#parts
    this.#isPaused = false
    const options = { host, port: this.#port, maxFrameBytes: MAX_FRAME_BYTES, tls: tls ?? undefined }
    this.#listener = await listen(options, (transport, peer) => {
      const connection: Connection = new Connection(
        {
          cluster,
          brokerId,
          sessions: this.sessions,
          transport,
          peerName: peer.subject ?? ANONYMOUS,
          sasl: sasl === null ? null : new SaslSession(sasl, cluster.clock),
          number: this.#parts.nextConnection(),
          onClosed: () => this.#connections.delete(connection),
        },
        this.#isPaused,
      )
      this.#connections.add(connection)
    })
    this.#port = this.#listener.port
    cluster.setBroker({ brokerId, host, port: this.#port, rack, isAlive: true })
  }

  /** Closes port and connections; what the broker knew about sessions is gone. */
  async stop(): Promise<void> {
    const { cluster, host, rack, brokerId } = this.#parts
    cluster.setBroker({ brokerId, host, port: this.#port, rack, isAlive: false })
    this.closeConnections('the broker stops')
    this.sessions.evictAll()
    const listener = this.#listener
    this.#listener = null
    await listener?.close()
  }

  closeConnections(why: string): void {
    for (const connection of [...this.#connections]) connection.close(why)
  }

  /** As SIGSTOP: the kernel still accepts connections and bytes, the process does nothing. */
  pause(): void {
    this.#isPaused = true
    for (const connection of this.#connections) connection.pause()
  }

  resume(): void {
    this.#isPaused = false
    for (const connection of [...this.#connections]) connection.resume()
  }
}
