/** Servers and plain clients for the tests of the reactor; what is opened here is closed after each test. */
import { connect, type Socket } from 'node:net'
import type { MQError } from '../../../lib/errors/index.js'
import { type Handler, type Protocol, Server, type ServerOptions } from '../../../lib/net/index.js'
import { deferred } from '../../../lib/util/index.js'
import { atEnd } from '../support.js'

export { atEnd }

/** u32 BE length, then so many bytes: written here once more, so that the server is not judged by its own protocols. */
export const frames: Protocol<undefined, Buffer, Uint8Array> = {
  unpack(_, ring) {
    const size = ring.peekUint32()
    if (size === undefined || ring.length < 4 + size) return undefined
    ring.retrieve(4)
    return { ctx: undefined, data: ring.take(size) }
  },
  pack: (_, data) => [sizeOf(data), data],
}

function sizeOf(data: Uint8Array): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(data.length)
  return size
}

export function frame(data: Uint8Array | string): Buffer {
  const bytes = Buffer.from(data)
  return Buffer.concat([sizeOf(bytes), bytes])
}

export type Framed = Handler<undefined, Buffer, Uint8Array>

/** A started server that cuts frames; its errors are kept. */
export async function framed(handler: Framed, options: ServerOptions<undefined, Buffer, Uint8Array> = {}) {
  return started(new Server(handler, { address: '127.0.0.1:0', protocol: frames, ...options }))
}

/** A started server without a protocol. */
export async function raw(handler: Handler, options: ServerOptions = {}) {
  return started(new Server(handler, { address: '127.0.0.1:0', ...options }))
}

export async function started<C, I, O>(server: Server<C, I, O>) {
  const errors: MQError[] = []
  server.on('error', (error) => errors.push(error))
  await server.start()
  atEnd(() => server.stop({ timeoutMs: 1000 }))
  return { server, errors, port: server.address?.port as number }
}

/** A client that keeps what it gets. */
export class Client {
  readonly socket: Socket
  /** The server's end of the stream, or its reset: what the client saw first. */
  readonly ended: Promise<'end' | 'reset'>
  readonly closed: Promise<void>
  #chunks: Buffer[] = []
  #length = 0
  #wanted = Number.POSITIVE_INFINITY
  #onBytes = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    const ended = deferred<'end' | 'reset'>()
    const closed = deferred<void>()
    this.ended = ended.promise
    this.closed = closed.promise
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#length += chunk.length
      if (this.#length >= this.#wanted) this.#onBytes()
    })
    socket.on('end', () => ended.resolve('end'))
    socket.on('error', () => ended.resolve('reset'))
    socket.on('close', () => {
      ended.resolve('reset')
      closed.resolve()
    })
    atEnd(() => {
      socket.destroy()
    })
  }

  get received(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0] as Buffer
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(bytes)
  }

  /** The first `length` bytes that came, when they have. */
  async bytes(length: number): Promise<Buffer> {
    if (this.#length < length) {
      const { promise, resolve } = deferred<void>()
      this.#wanted = length
      this.#onBytes = resolve
      await promise
    }
    return this.received.subarray(0, length)
  }

  async text(length: number): Promise<string> {
    return (await this.bytes(length)).toString()
  }
}

export async function client(port: number, options: { allowHalfOpen?: boolean } = {}): Promise<Client> {
  const socket = connect({ port, host: '127.0.0.1', ...options })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return new Client(socket)
}

/** Calls of something, to be waited for. */
export class Calls<T> {
  readonly all: T[] = []
  #wanted = 0
  #onEnough = () => {}

  add(call: T): void {
    this.all.push(call)
    if (this.all.length >= this.#wanted) this.#onEnough()
  }

  async count(wanted: number): Promise<readonly T[]> {
    if (this.all.length < wanted) {
      this.#wanted = wanted
      const { promise, resolve } = deferred<void>()
      this.#onEnough = resolve
      await promise
    }
    return this.all
  }
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
