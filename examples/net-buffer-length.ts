/**
 * A client that reads slowly, and three ways to live with it: look at `writeBufferLength` and skip what is not worth waiting
 * for, heed the `false` of `send` and go on in `onDrain`, and let the server pause what it reads from a client that does not
 * read its answers.
 */
import { connect, type Socket } from 'node:net'
import { type Connection, type Handler, Server } from 'tandem-mq/net'
import { check, until } from './example.js'

const PIECE = Buffer.alloc(64 * 1024, 'x')
const WRITE_BUFFER_BYTES = 256 * 1024
const WANTED = 400 // pieces: 25 MiB, far more than the kernels of both sides hold

// 1. Skip: a figure that is old when it arrives need not be sent.
let watcher: Connection | undefined
const skipping = await serve({
  onConnect: (connection) => {
    watcher = connection
  },
})
const slow = await open(skipping)
slow.pause()
await until(() => watcher !== undefined)
let sent = 0
let skipped = 0
let highest = 0
for (let n = 0; n < WANTED; n++) {
  if ((watcher?.writeBufferLength ?? 0) > WRITE_BUFFER_BYTES) skipped++
  else {
    watcher?.send(PIECE)
    sent++
  }
  highest = Math.max(highest, watcher?.writeBufferLength ?? 0)
  await new Promise((resolve) => setImmediate(resolve))
}
check(skipped > 0 && sent + skipped === WANTED, `a client that does not read: ${sent} pieces sent, ${skipped} skipped`)
check(highest <= WRITE_BUFFER_BYTES + PIECE.length, `never more than ${highest} B waited for it`)
await skipping.stop({ timeoutMs: 0 })

// 2. Wait: everything is wanted, so the sender goes on when there is room.
let drains = 0
let toSend = WANTED
const fill = (connection: Connection) => {
  while (toSend > 0) {
    toSend--
    if (!connection.send(PIECE)) return // queued all the same; onDrain follows
  }
}
const waiting = await serve({
  onConnect: fill,
  onDrain: (connection) => {
    drains++
    fill(connection)
  },
})
const reader = await open(waiting)
let received = 0
reader.on('data', (chunk) => {
  received += chunk.length
})
await until(() => received === WANTED * PIECE.length)
check(drains > 0, `${WANTED} pieces arrived, the sender waited ${drains} times`)
await waiting.stop()

// 3. Nothing to do: a client that asks and does not read its answers is not read from any more.
const echoing = await serve({ onMessage: (_connection, _ctx, data) => data })
const greedy = await open(echoing)
greedy.pause()
let isFull = false
for (let n = 0; n < WANTED && !isFull; n++) {
  isFull = !greedy.write(PIECE)
  await new Promise((resolve) => setImmediate(resolve))
}
await until(() => greedy.writableLength > 0)
const asked = echoing.measures().bytesIn
check(asked < WANTED * PIECE.length, `the server took ${asked} B of its questions, and then paused`)
let answered = 0
greedy.on('data', (chunk) => {
  answered += chunk.length
})
greedy.resume()
await until(() => answered === greedy.bytesWritten && greedy.writableLength === 0)
check(true, `when it read, it got all ${answered} B`)
greedy.end()
await echoing.stop()

async function serve(handler: Partial<Handler>): Promise<Server> {
  const options = { address: '127.0.0.1:0', writeBufferBytes: WRITE_BUFFER_BYTES }
  const server = new Server({ onMessage: () => {}, ...handler }, options)
  server.on('error', (error) => check(false, error.message))
  await server.start()
  return server
}

async function open(server: Server): Promise<Socket> {
  const { host, port } = server.address as { host: string; port: number }
  const socket = connect(port, host)
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}
