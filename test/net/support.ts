/** Sockets for the tests of this room: what is opened here is closed after each test. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import {
  type DialOptions,
  dial,
  type Listener,
  type ListenOptions,
  listen,
  type Peer,
  type Transport,
} from '../../lib/net/index.js'
import { deferred } from '../../lib/util/index.js'

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
export function atEnd(cleanup: () => Promise<void> | void): void {
  cleanups.push(cleanup)
}

const LIMITS = { timeoutMs: 5000, keepAliveMs: 7000, maxFrameBytes: 64 * 1024 * 1024, writeTimeoutMs: 5000 }

export async function serve(
  onTransport: (transport: Transport, peer: Peer) => void,
  options: Partial<ListenOptions> = {},
): Promise<Listener> {
  const listener = await listen(
    { host: '127.0.0.1', port: 0, maxFrameBytes: LIMITS.maxFrameBytes, ...options },
    onTransport,
  )
  atEnd(() => listener.close())
  return listener
}

export async function open(port: number, options: Partial<DialOptions> = {}): Promise<Transport> {
  const transport = await dial({ host: '127.0.0.1', port, ...LIMITS, ...options })
  atEnd(() => transport.destroy(new MQError('CONNECTION_CLOSED', 'the test is over')))
  return transport
}

/** A server without our framing: the test says every byte. */
export async function rawServer(onSocket: (socket: Socket) => void, host = '127.0.0.1'): Promise<{ port: number }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  atEnd(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  })
  return { port: (server.address() as { port: number }).port }
}

/** A client without our framing. */
export function rawClient(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  atEnd(() => {
    socket.destroy()
  })
  return socket
}

export function nextFrame(transport: Transport): Promise<Uint8Array> {
  const { promise, resolve } = deferred<Uint8Array>()
  transport.onFrame = resolve
  return promise
}

export function whenClosed(transport: Transport): Promise<MQError> {
  const { promise, resolve } = deferred<MQError>()
  transport.onClosed = resolve
  return promise
}

/** `bytes` behind their size. */
export function framed(bytes: Uint8Array): Buffer {
  const size = Buffer.alloc(4)
  size.writeInt32BE(bytes.length)
  return Buffer.concat([size, bytes])
}
