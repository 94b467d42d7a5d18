/**
 * The measured process of the network benchmark: an echo server, ours or one written by hand on node:net.
 * Why two by hand: an answer is usually not the bytes that came, so a frame is built for it (`plain`); an echo alone may write
 * back a view of the chunk (`plain-view`), the least that node:net can do.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type Connection, lengthPrefixedProtocol, Server, webSocketProtocol } from '../../lib/net/index.js'
import type { Echo, Reaped, ServerFigures, ServerJob, ToServer } from './net-job.js'

const LENGTH_BYTES = 4
const NONE_REAPED: Reaped = { count: 0, others: 0, soonestMs: Number.POSITIVE_INFINITY, latestMs: 0 }
let connections = () => 0
let reaped: Reaped = NONE_REAPED

process.on('message', async (message: ToServer) => {
  if (message.kind === 'start') process.send?.(await start(message.job))
  else process.send?.(figures())
})
process.on('disconnect', () => process.exit(0))

async function start({ echo, idleMs }: ServerJob): Promise<{ port: number }> {
  if (echo === 'websocket') return startWebSocket(idleMs)
  return echo === 'tandem' ? startOurs(idleMs) : startPlain(echo)
}

async function startOurs(idleMs: number): Promise<{ port: number }> {
  return listening(
    new Server(
      { onMessage: (_connection, _ctx, data) => data, ...(idleMs > 0 ? reaping(idleMs) : {}) },
      { address: '127.0.0.1:0', protocol: lengthPrefixedProtocol(), idleMs },
    ),
  )
}

function startWebSocket(idleMs: number): Promise<{ port: number }> {
  return listening(
    new Server(
      { onMessage: (_connection, { opcode }, data) => ({ opcode, data }) },
      { address: '127.0.0.1:0', protocol: webSocketProtocol(), idleMs },
    ),
  )
}

async function listening<Ctx, In, Out>(server: Server<Ctx, In, Out>): Promise<{ port: number }> {
  server.on('error', (error) => {
    throw error
  })
  await server.start()
  connections = () => server.connections
  return { port: server.address?.port ?? 0 }
}

/** Notes when each connection spoke last, and how long after that it was closed. */
function reaping(idleMs: number) {
  const spokeMs = new Map<Connection<undefined, Buffer, Uint8Array | string>, number>()
  return {
    onMessage: (c: Connection<undefined, Buffer, Uint8Array | string>, _ctx: undefined, data: Buffer) => {
      spokeMs.set(c, performance.now())
      return data
    },
    onClose: (c: Connection<undefined, Buffer, Uint8Array | string>) => {
      const ms = performance.now() - (spokeMs.get(c) ?? Number.NaN)
      spokeMs.delete(c)
      const { count, others, soonestMs, latestMs } = reaped
      if (!(ms >= idleMs / 2)) reaped = { ...reaped, others: others + 1 }
      else reaped = { count: count + 1, others, soonestMs: Math.min(soonestMs, ms), latestMs: Math.max(latestMs, ms) }
    },
  }
}

function startPlain(echo: Echo): Promise<{ port: number }> {
  let open = 0
  connections = () => open
  const reply = echo === 'plain' ? writeFrame : writeView
  const server = createServer({ noDelay: true }, (socket) => {
    open++
    socket.on('close', () => open--)
    cutFrames(socket, reply)
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve({ port: (server.address() as AddressInfo).port }))
  })
}

type Reply = (socket: Socket, bytes: Buffer, at: number, end: number) => void

/** As one writes it without a library: a rest, `Buffer.concat`, a loop. */
function cutFrames(socket: Socket, reply: Reply): void {
  let rest: Buffer | null = null
  socket.on('data', (chunk: Buffer) => {
    const bytes: Buffer = rest === null ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    while (bytes.length - at >= LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + bytes.readUInt32BE(at)
      if (end > bytes.length) break
      reply(socket, bytes, at, end)
      at = end
    }
    rest = at === bytes.length ? null : bytes.subarray(at)
  })
}

function writeFrame(socket: Socket, bytes: Buffer, at: number, end: number): void {
  const data = bytes.subarray(at + LENGTH_BYTES, end)
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + data.length)
  frame.writeUInt32BE(data.length, 0)
  frame.set(data, LENGTH_BYTES)
  socket.write(frame)
}

function writeView(socket: Socket, bytes: Buffer, at: number, end: number): void {
  socket.write(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end))
}

function figures(): ServerFigures {
  const { user, system } = process.cpuUsage()
  return { connections: connections(), cpuMicroseconds: user + system, rssBytes: process.memoryUsage.rss(), reaped }
}
