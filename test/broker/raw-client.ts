/** A client that knows frames and nothing else: sends requests to one broker and waits for their answers in order. */
import type { MQError } from '../../lib/errors/index.js'
import { dial, type TlsOptions, type Transport } from '../../lib/net/index.js'
import {
  type Api,
  type DecodedResponseOf,
  decodeResponse,
  encodeRequest,
  type RequestOf,
} from '../../lib/protocol/index.js'
import { deferred } from '../../lib/util/index.js'

export class RawClient {
  readonly transport: Transport
  readonly #frames: Uint8Array[] = []
  readonly #waiters: ((frame: Uint8Array | null) => void)[] = []
  readonly #closed = deferred<MQError>()
  #isClosed = false
  #correlationId = 0

  private constructor(transport: Transport) {
    this.transport = transport
    transport.onFrame = (frame) => {
      const waiter = this.#waiters.shift()
      if (waiter === undefined) this.#frames.push(frame)
      else waiter(frame)
    }
    transport.onClosed = (reason) => {
      this.#isClosed = true
      this.#closed.resolve(reason)
      for (const waiter of this.#waiters.splice(0)) waiter(null)
    }
  }

  static async connect(address: string, tls?: TlsOptions): Promise<RawClient> {
    const [host = '', port = ''] = address.split(':')
    const limits = { timeoutMs: 5000, keepAliveMs: 0, maxFrameBytes: 100_000_000, writeTimeoutMs: 0 }
    return new RawClient(await dial({ host, port: Number(port), tls, ...limits }))
  }

  /** Settles when the other side has closed. */
  get closed(): Promise<MQError> {
    return this.#closed.promise
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** A whole request with its size in front; the answer with its size in front, null when the connection closed. */
  async exchange(request: Uint8Array): Promise<Buffer | null> {
    this.transport.write([request])
    return this.next()
  }

  /** The next frame that arrives, its size in front. */
  async next(): Promise<Buffer | null> {
    const frame = await this.#nextFrame()
    if (frame === null) return null
    const size = Buffer.alloc(4)
    size.writeInt32BE(frame.length)
    return Buffer.concat([size, frame])
  }

  send<A extends Api>(api: A, version: number, body: RequestOf<A>, clientId: string | null = 'raw'): number {
    const correlationId = this.#correlationId++
    this.transport.write(encodeRequest(api, version, correlationId, clientId, body))
    return correlationId
  }

  async receive<A extends Api>(api: A, version: number): Promise<DecodedResponseOf<A>> {
    const frame = await this.#nextFrame()
    if (frame === null) throw await this.closed
    return decodeResponse(api, version, frame, { trailing: 'error' }).body
  }

  async request<A extends Api>(api: A, version: number, body: RequestOf<A>): Promise<DecodedResponseOf<A>> {
    this.send(api, version, body)
    return this.receive(api, version)
  }

  close(): void {
    this.transport.destroy(new Error('test is over') as MQError)
  }

  async #nextFrame(): Promise<Uint8Array | null> {
    const ready = this.#frames.shift()
    if (ready !== undefined) return ready
    if (this.#isClosed) return null
    const { promise, resolve } = deferred<Uint8Array | null>()
    this.#waiters.push(resolve)
    return promise
  }
}
