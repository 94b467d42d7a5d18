/**
 * WebSocket clients: a request for an upgrade is judged, then its socket becomes a connection of the reactor. GW-1, GW-2, GW-4.
 *
 *   request -> path, origin, room? -> authenticate -> upgrade (RFC 6455 is judged there) -> adopted, welcome
 *
 * Why authenticated before the upgrade: a refusal is an HTTP status, and what is refused never costs a connection.
 * Why the origin first: a page must not even make us look at its user's cookies.
 * Invariant: sockets that wait for `authenticate` count as clients, so that a flood of them is refused as well.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { findMQError, MQError } from '../errors/index.js'
import {
  addressText,
  type Handler,
  type HandshakeOptions,
  type Refusal,
  type Server,
  upgrade,
  type WebSocketConnection,
  type WebSocketContext,
  type WebSocketOut,
  type WebSocketProtocol,
  webSocketFrames,
  webSocketOf,
} from '../net/index.js'
import type { SessionHost } from './host.js'
import { Liveness } from './liveness.js'
import type { Permissions } from './permissions.js'
import { credentialsOf, pathOf, queryOf } from './requests.js'
import { Session } from './session.js'
import type { Credentials, Format } from './types.js'

type Handle = Handler<WebSocketContext, Buffer, WebSocketOut>
type AdoptedSocket = Parameters<Server['adopt']>[0]

export interface WebSocketClientsParts {
  readonly host: SessionHost
  /** Who holds the connections. */
  readonly server: Pick<Server, 'adopt' | 'connections'>
  readonly opened: (session: Session) => void
  readonly closed: (session: Session, error: Error | null) => void
}

const REFUSED: Readonly<Record<'unauthenticated' | 'refused' | 'late', Refusal>> = {
  unauthenticated: {
    status: 401,
    text: 'who are you? Send Authorization: Bearer or ?token=',
    headers: { 'WWW-Authenticate': 'Bearer' },
  },
  refused: { status: 403, text: 'the token was not accepted' },
  late: { status: 503, text: 'authentication took too long: try again later' },
}
const NOT_HERE: Refusal = { status: 404, text: 'no WebSocket here' }
const FOREIGN: Refusal = { status: 403, text: 'this origin may not connect: it is not among `origins`' }
const FULL: Refusal = {
  status: 503,
  text: 'maxClients are connected: try again later',
  headers: { 'Retry-After': '5' },
}
const STOPPING: Refusal = { status: 503, text: 'the gateway stops', headers: { 'Retry-After': '5' } }

export class WebSocketClients {
  readonly #parts: WebSocketClientsParts
  readonly #protocol: WebSocketProtocol
  /** Sockets whose fate `authenticate` decides. */
  readonly #waiting = new Set<Duplex>()
  #isStopping = false

  constructor(parts: WebSocketClientsParts) {
    this.#parts = parts
    const { maxFrameBytes, closeTimeoutMs } = parts.host.options
    this.#protocol = webSocketFrames({ maxPayloadBytes: maxFrameBytes, closeTimeoutMs, clock: parts.host.clock })
  }

  /** An `upgrade` event of node:http. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const refusal = this.#refusalOf(request)
    if (refusal !== null) this.#refuse(request, socket, refusal)
    else void this.#judge(request, socket, head)
  }

  /** Nobody more comes in. */
  stop(): void {
    this.#isStopping = true
    for (const socket of this.#waiting) socket.destroy()
  }

  /** What can be said before asking who it is. */
  #refusalOf(request: IncomingMessage): Refusal | null {
    const { path, origins } = this.#parts.host.options
    if (pathOf(request.url) !== path) return NOT_HERE
    if (!isOriginAllowed(request.headers.origin, origins)) return FOREIGN
    if (this.#isStopping) return STOPPING
    return this.#isFull() ? FULL : null
  }

  #isFull(): boolean {
    return this.#parts.server.connections + this.#waiting.size >= this.#parts.host.options.maxClients
  }

  /** Never rejects: what fails ends this socket only, and is told. */
  async #judge(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { host } = this.#parts
    // What a socket says that is nobody's connection yet changes nothing.
    const ignored = () => {}
    socket.on('error', ignored)
    this.#waiting.add(socket)
    const verdict = await host.admission.judge(credentialsOf(request, 'websocket'))
    this.#waiting.delete(socket)
    if (socket.destroyed) return
    try {
      if (typeof verdict === 'string') this.#refuse(request, socket, REFUSED[verdict])
      else if (this.#isStopping || this.#isFull()) this.#refuse(request, socket, this.#isStopping ? STOPPING : FULL)
      else {
        socket.off('error', ignored)
        this.#adopt(request, socket, head, verdict)
      }
    } catch (error) {
      socket.on('error', ignored)
      socket.destroy()
      host.warn(cannotAdopt(request, error))
    }
  }

  /** Also a refused request is judged by RFC 6455 first: it may be none at all. */
  #refuse(request: IncomingMessage, socket: Duplex, refusal: Refusal): void {
    upgrade(request, socket, { onUpgrade: () => refusal })
  }

  #adopt(request: IncomingMessage, socket: Duplex, head: Buffer, permissions: Permissions): void {
    const accepting: HandshakeOptions = {}
    if (upgrade(request, socket, accepting) === null) return
    const credentials = credentialsOf(request, 'websocket')
    const format: Format = queryOf(request.url).get('format') === 'protobuf' ? 'protobuf' : 'json'
    const handler = new ClientHandler(this.#parts, permissions, credentials, format)
    // Node gives the socket of a TCP or TLS connection; the type says what else `upgrade` might be used with.
    this.#parts.server.adopt(socket as AdoptedSocket, head, { protocol: this.#protocol, handler })
  }
}

/** One object per client: it knows who that is. */
class ClientHandler implements Handle {
  readonly #parts: WebSocketClientsParts
  readonly #permissions: Permissions
  readonly #credentials: Credentials
  readonly #format: Format
  #session: Session | null = null
  #liveness: Liveness | null = null

  constructor(parts: WebSocketClientsParts, permissions: Permissions, credentials: Credentials, format: Format) {
    this.#parts = parts
    this.#permissions = permissions
    this.#credentials = credentials
    this.#format = format
  }

  onConnect(c: WebSocketConnection): void {
    const { host, opened } = this.#parts
    const { headers, url } = this.#credentials
    const permissions = this.#permissions
    const session = new Session({
      link: c,
      transport: 'websocket',
      host,
      format: this.#format,
      permissions,
      request: { headers, url },
    })
    this.#session = session
    this.#liveness = new Liveness(session, host, {
      ping: () => {
        if (c.connected) c.send({ opcode: 'ping' })
      },
      pongs: () => webSocketOf(c).pongs,
    })
    opened(session)
    session.begin()
  }

  onMessage(_: WebSocketConnection, { opcode }: WebSocketContext, data: Buffer): Promise<void> | undefined {
    return this.#session?.received(data, opcode === 'text' ? 'json' : 'protobuf')
  }

  onDrain(): void {
    this.#session?.drained()
  }

  onClose(_: WebSocketConnection, error: Error | null): void {
    this.#liveness?.stop()
    if (this.#session !== null) this.#parts.closed(this.#session, error)
  }
}

/** RFC 6455 section 10.2. A request without an origin does not come from a page, so no page can abuse its user. */
function isOriginAllowed(origin: string | undefined, origins: readonly string[]): boolean {
  if (origin === undefined || origins.includes('*')) return true
  return origins.some((allowed) => allowed.toLowerCase() === origin.toLowerCase())
}

function cannotAdopt(request: IncomingMessage, cause: unknown): MQError {
  const peer = addressText(request.socket.remoteAddress ?? '?', request.socket.remotePort ?? 0)
  const known = findMQError(cause)
  if (known !== undefined) return known.with({ peer })
  const text = `the upgrade of ${peer} failed: ${cause instanceof Error ? cause.message : String(cause)}`
  return new MQError('CONNECTION_FAILED', text, { peer }, { cause })
}
