/**
 * The other end: connections that each send one message, wait for all of its echo, and send the next.
 * Invariant: the same for every server. Every echo is counted by its bytes, and each connection's first one is compared, or
 * all of them.
 */
import { connect, type Socket } from 'node:net'
import { encodeFrame, encodeMasked } from '../../lib/net/websocket/frame-encoder.js'
import type { ClientJob, FromClient } from './net-job.js'

/** Connections that are opened at a time: a full backlog would make them wait for seconds. */
const AT_ONCE = 100
const LENGTH_BYTES = 4
const BINARY = 2
const UPGRADE = [
  'GET / HTTP/1.1',
  'Host: localhost',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  '\r\n',
].join('\r\n')

process.once('message', (job: ClientJob) => {
  run(job).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    process.exit(1)
  })
})
process.on('disconnect', () => process.exit(0))

async function run(job: ClientJob): Promise<void> {
  const { port, wire, connections, messageBytes, comparesAll, fallsSilent, warmupMs, measureMs } = job
  const sockets: Socket[] = []
  while (sockets.length < connections) {
    const some = Math.min(AT_ONCE, connections - sockets.length)
    sockets.push(...(await Promise.all(Array.from({ length: some }, () => open(port, wire)))))
  }
  if (fallsSilent) return fallSilent(sockets)
  if (messageBytes === 0) return tell({ kind: 'begin' })
  const counts = { messages: 0, wrong: 0 }
  const same = spoken(wire, messageBytes, 0)
  for (const [index, socket] of sockets.entries()) {
    if (comparesAll) pingPongCompared(socket, spoken(wire, messageBytes, index), counts)
    else pingPong(socket, same, counts)
  }
  await pause(warmupMs)
  tell({ kind: 'begin' })
  const before = counts.messages
  const startedNs = process.hrtime.bigint()
  await pause(measureMs)
  const nanoseconds = Number(process.hrtime.bigint() - startedNs)
  tell({ kind: 'end', messages: counts.messages - before, nanoseconds, wrong: counts.wrong })
}

async function fallSilent(sockets: readonly Socket[]): Promise<void> {
  const said = messageOf(1, 0)
  const ends = sockets.map((socket) => new Promise<void>((resolve) => socket.on('close', () => resolve())))
  tell({ kind: 'begin' })
  for (const socket of sockets) {
    socket.resume()
    socket.write(said)
  }
  await Promise.all(ends)
  tell({ kind: 'closed', closed: sockets.length })
}

async function open(port: number, wire: ClientJob['wire']): Promise<Socket> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const made = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(made))
    made.on('error', reject)
    made.on('close', () => reject(new Error('the server closed a connection')))
  })
  if (wire === 'websocket') await upgrade(socket)
  return socket
}

/** The server says nothing behind its response before it is asked. */
function upgrade(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let head = ''
    const onData = (chunk: Buffer) => {
      head += chunk.toString('latin1')
      if (!head.endsWith('\r\n\r\n')) return
      socket.off('data', onData)
      if (head.startsWith('HTTP/1.1 101')) resolve()
      else reject(new Error(head))
    }
    socket.on('data', onData)
    socket.on('close', () => reject(new Error('the server closed a connection during its upgrade')))
    socket.write(UPGRADE)
  })
}

/** What a connection says, and the bytes that its echo has. */
interface Spoken {
  readonly message: Buffer
  readonly echo: Buffer
}

function spoken(wire: ClientJob['wire'], bytes: number, seed: number): Spoken {
  const message = messageOf(bytes, seed)
  if (wire === 'length') return { message, echo: message }
  const payload = message.subarray(LENGTH_BYTES)
  const echo = encodeFrame(BINARY, payload)
  return { message: encodeMasked(BINARY, payload, 0x1234_5678 + seed), echo: Buffer.concat(echo as Uint8Array[]) }
}

function messageOf(bytes: number, seed: number): Buffer {
  const message = Buffer.alloc(LENGTH_BYTES + bytes)
  message.writeUInt32BE(bytes)
  for (let index = 0; index < bytes; index++) message[LENGTH_BYTES + index] = (seed + index) % 251
  return message
}

function pingPong(socket: Socket, { message, echo }: Spoken, counts: { messages: number; wrong: number }): void {
  let came = 0
  let first: Buffer[] | null = []
  socket.on('data', (chunk: Buffer) => {
    came += chunk.length
    first?.push(chunk)
    if (came < echo.length) return
    if (first !== null) {
      if (!Buffer.concat(first).equals(echo)) counts.wrong++
      first = null
    }
    if (came > echo.length) counts.wrong++
    came = 0
    counts.messages++
    socket.write(message)
  })
  socket.write(message)
}

function pingPongCompared(
  socket: Socket,
  { message, echo }: Spoken,
  counts: { messages: number; wrong: number },
): void {
  let came = 0
  socket.on('data', (chunk: Buffer) => {
    const end = came + chunk.length
    if (end > echo.length || chunk.compare(echo, came, end) !== 0) counts.wrong++
    came = end
    if (came < echo.length) return
    came = 0
    counts.messages++
    socket.write(message)
  })
  socket.write(message)
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

function tell(message: FromClient): void {
  process.send?.(message)
}
