/**
 * The other end: connections that each send one message, wait for all of its echo, and send the next.
 * Invariant: the same for every server. Every echo is counted by its bytes, and each connection's first one is compared.
 */
import { connect, type Socket } from 'node:net'
import type { ClientJob, FromClient } from './net-job.js'

/** Connections that are opened at a time: a full backlog would make them wait for seconds. */
const AT_ONCE = 100

process.once('message', (job: ClientJob) => {
  run(job).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    process.exit(1)
  })
})
process.on('disconnect', () => process.exit(0))

async function run({ port, connections, messageBytes, warmupMs, measureMs }: ClientJob): Promise<void> {
  const sockets: Socket[] = []
  while (sockets.length < connections) {
    const some = Math.min(AT_ONCE, connections - sockets.length)
    sockets.push(...(await Promise.all(Array.from({ length: some }, () => open(port)))))
  }
  if (messageBytes === 0) return tell({ kind: 'begin' })
  const counts = { messages: 0, wrong: 0 }
  const message = messageOf(messageBytes)
  for (const socket of sockets) pingPong(socket, message, counts)
  await pause(warmupMs)
  tell({ kind: 'begin' })
  const before = counts.messages
  const startedNs = process.hrtime.bigint()
  await pause(measureMs)
  const nanoseconds = Number(process.hrtime.bigint() - startedNs)
  tell({ kind: 'end', messages: counts.messages - before, nanoseconds, wrong: counts.wrong })
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket))
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server closed a connection')))
  })
}

function messageOf(bytes: number): Buffer {
  const message = Buffer.alloc(4 + bytes)
  message.writeUInt32BE(bytes)
  for (let index = 0; index < bytes; index++) message[4 + index] = index % 251
  return message
}

function pingPong(socket: Socket, message: Buffer, counts: { messages: number; wrong: number }): void {
  let came = 0
  let first: Buffer[] | null = []
  socket.on('data', (chunk: Buffer) => {
    came += chunk.length
    first?.push(chunk)
    if (came < message.length) return
    if (first !== null) {
      if (!Buffer.concat(first).equals(message)) counts.wrong++
      first = null
    }
    if (came > message.length) counts.wrong++
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
