/**
 * Connections that say nothing are closed after `idleMs`; reads and completed writes both count as life, so a client that
 * only listens stays as long as it is told something.
 */
import { connect, type Socket } from 'node:net'
import { type Connection, Server } from 'tandem-mq/net'
import { check, sleep, until } from './example.js'

const IDLE_MS = 500

let listener: Connection | undefined
const server = new Server(
  {
    onMessage: (connection, _ctx, data) => {
      if (String(data) === 'tell me') listener = connection
    },
  },
  { address: '127.0.0.1:0', idleMs: IDLE_MS },
)
server.on('error', (error) => check(false, error.message))
await server.start()
const { host, port } = server.address as { host: string; port: number }

const silent = await Promise.all(Array.from({ length: 20 }, () => open()))
const talking = await open()
const listening = await open()
listening.socket.write('tell me')
await until(() => server.connections === 22 && listener !== undefined)

const pushing = server.runEvery(IDLE_MS / 6, () => listener?.send('still here'))
const words = setInterval(() => talking.socket.write('me too'), IDLE_MS / 6)
await until(() => silent.every(({ endedMs }) => endedMs() > 0))
const ages = silent.map(({ endedMs, openedMs }) => endedMs() - openedMs)
check(Math.min(...ages) >= IDLE_MS, `twenty silent clients were closed, the first after ${Math.min(...ages)} ms`)
check(server.measures().idleClosed === 20, `and counted: ${server.measures().idleClosed}`)
await sleep(IDLE_MS)
check(talking.endedMs() === 0, 'a client that talks stays')
check(listening.endedMs() === 0, 'so does one that is only told something')

clearInterval(words)
pushing.stop()
await until(() => server.connections === 0)
check(server.measures().idleClosed === 22, 'when they fall silent, they are closed, too')
await server.stop()

async function open(): Promise<{ socket: Socket; openedMs: number; endedMs: () => number }> {
  const socket = connect(port, host)
  await new Promise((resolve) => socket.once('connect', resolve))
  const openedMs = Math.floor(performance.now())
  let endedMs = 0
  socket.resume()
  socket.on('end', () => {
    endedMs = Math.ceil(performance.now())
  })
  return { socket, openedMs, endedMs: () => endedMs }
}
