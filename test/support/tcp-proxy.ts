/**
 * A TCP proxy between one of our clients and its brokers that loses, cuts and delays whole requests and answers.
 * Why between real sockets: whether a request was appended before its connection broke is decided by the broker alone.
 *
 *   client --dial()--> proxy port of (host, port) --> broker          one port per broker, opened when first dialled
 *
 * Invariant: no byte is changed, and nothing is known of a frame but its size and api key; a broker answers one
 * connection in the order of its requests (W-9). Requests without an answer (acks 0) do not belong here.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dial } from '../../lib/cluster/index.js'
import { dial } from '../../lib/net/index.js'

const SIZE_BYTES = 4

/** What happens to one request. Every `cut` breaks the connection, by turns with a FIN and with a reset. */
export type Trouble =
  /** Nothing of it reaches the broker. */
  | { readonly kind: 'cutRequest' }
  /** A part of it reaches the broker, which therefore does nothing. `part` is 0..1. */
  | { readonly kind: 'cutInsideRequest'; readonly part: number }
  /** The broker does it; its answer is lost. */
  | { readonly kind: 'cutAnswer' }
  /** The broker does it; the client gets the first `part` of the answer. */
  | { readonly kind: 'cutInsideAnswer'; readonly part: number }
  /** The broker does it, and whatever follows on this connection; the client hears nothing any more. */
  | { readonly kind: 'silence' }
  | { readonly kind: 'delayRequest'; readonly ms: number }
  | { readonly kind: 'delayAnswer'; readonly ms: number }

export interface SeenRequest {
  /** Of the broker. */
  readonly port: number
  readonly apiKey: number
  readonly bytes: number
  /** Number of its connection, from 1 on. */
  readonly connection: number
}

/** Decides about each request; null lets it pass. */
export type Plan = (request: SeenRequest) => Trouble | null

export class TcpProxy {
  plan: Plan = () => null
  /** Requests by api key, as they arrived here. */
  readonly requests = new Map<number, number>()
  /** Troubles that happened, by kind. */
  readonly troubles = new Map<Trouble['kind'], number>()
  readonly #ports = new Map<string, Promise<number>>()
  readonly #servers: Server[] = []
  readonly #wires = new Set<Wire>()
  #connections = 0

  /** To be given to a client as its `dial`: the same as without a proxy, through it. */
  readonly dial: Dial = async (options) =>
    dial({ ...options, host: '127.0.0.1', port: await this.#portFor(options.host, options.port) })

  get openConnections(): number {
    return this.#wires.size
  }

  seen(apiKey: number): number {
    return this.requests.get(apiKey) ?? 0
  }

  async close(): Promise<void> {
    for (const wire of this.#wires) wire.end()
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))))
  }

  decide(request: SeenRequest): Trouble | null {
    this.requests.set(request.apiKey, this.seen(request.apiKey) + 1)
    const trouble = this.plan(request)
    if (trouble !== null) this.troubles.set(trouble.kind, (this.troubles.get(trouble.kind) ?? 0) + 1)
    return trouble
  }

  #portFor(host: string, port: number): Promise<number> {
    const address = `${host}:${port}`
    const known = this.#ports.get(address)
    if (known !== undefined) return known
    const opened = this.#listen((client) => this.#accept(client, connect({ host, port, noDelay: true }), port))
    this.#ports.set(address, opened)
    return opened
  }

  #listen(onClient: (client: Socket) => void): Promise<number> {
    const server = createServer({ noDelay: true }, onClient)
    this.#servers.push(server)
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port: 0, host: '127.0.0.1' }, () => {
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
  }

  #accept(client: Socket, broker: Socket, port: number): void {
    const wire = new Wire(this, ++this.#connections, port, client, broker, () => this.#wires.delete(wire))
    this.#wires.add(wire)
  }
}

/** One connection of a client and its continuation to the broker. */
class Wire {
  readonly #proxy: TcpProxy
  readonly #number: number
  readonly #port: number
  readonly #client: Socket
  readonly #broker: Socket
  readonly #closed: () => void
  /** What the answers that are awaited will meet, oldest first. */
  readonly #fates: (Trouble | null)[] = []
  // Frames of one direction are dealt with one after the other, also while one of them is delayed.
  #requests: Promise<void> = Promise.resolve()
  #answers: Promise<void> = Promise.resolve()
  #isSilent = false
  #isEnded = false

  constructor(proxy: TcpProxy, number: number, port: number, client: Socket, broker: Socket, closed: () => void) {
    this.#proxy = proxy
    this.#number = number
    this.#port = port
    this.#client = client
    this.#broker = broker
    this.#closed = closed
    const requests = new Frames()
    const answers = new Frames()
    client.on('data', (chunk: Buffer) => {
      for (const frame of requests.push(chunk)) this.#requests = this.#requests.then(() => this.#request(frame))
    })
    broker.on('data', (chunk: Buffer) => {
      for (const frame of answers.push(chunk)) this.#answers = this.#answers.then(() => this.#answer(frame))
    })
    for (const socket of [client, broker]) {
      socket.on('error', () => {}) // 'close' follows
      socket.on('close', () => this.end())
    }
  }

  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    if (this.#number % 2 === 0) this.#client.resetAndDestroy()
    else this.#client.destroy()
    this.#broker.destroy()
    this.#closed()
  }

  async #request(frame: Buffer): Promise<void> {
    if (this.#isEnded) return
    const apiKey = frame.readInt16BE(SIZE_BYTES)
    const seen = { port: this.#port, apiKey, bytes: frame.length, connection: this.#number }
    const trouble = this.#proxy.decide(seen)
    if (trouble?.kind === 'cutRequest') return this.end()
    if (trouble?.kind === 'cutInsideRequest') {
      this.#isEnded = true
      this.#client.destroy()
      this.#broker.end(piece(frame, trouble.part), () => this.#closed())
      return
    }
    if (trouble?.kind === 'delayRequest') await sleep(trouble.ms)
    if (this.#isEnded) return
    this.#fates.push(trouble)
    this.#broker.write(frame)
  }

  async #answer(frame: Buffer): Promise<void> {
    const trouble = this.#fates.shift()
    if (trouble?.kind === 'silence') this.#isSilent = true
    if (this.#isEnded || this.#isSilent) return
    if (trouble?.kind === 'cutAnswer') return this.end()
    if (trouble?.kind === 'cutInsideAnswer') {
      this.#isEnded = true
      this.#broker.destroy()
      this.#client.end(piece(frame, trouble.part), () => this.#closed())
      return
    }
    if (trouble?.kind === 'delayAnswer') await sleep(trouble.ms)
    if (!this.#isEnded) this.#client.write(frame)
  }
}

/** At least one byte, never the whole. */
function piece(frame: Buffer, part: number): Buffer {
  return frame.subarray(0, Math.min(frame.length - 1, Math.max(1, Math.floor(frame.length * part))))
}

/** Whole frames, with their size, out of whatever pieces arrive. */
class Frames {
  #rest = Buffer.alloc(0)

  push(chunk: Buffer): Buffer[] {
    const frames: Buffer[] = []
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    while (bytes.length >= SIZE_BYTES) {
      const end = SIZE_BYTES + bytes.readInt32BE(0)
      if (bytes.length < end) break
      frames.push(bytes.subarray(0, end))
      bytes = bytes.subarray(end)
    }
    this.#rest = Buffer.from(bytes)
    return frames
  }
}
