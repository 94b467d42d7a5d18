/**
 * No more than so many at a time, in two ways: `maxConnections` closes the excess before anything is done for it, a handler
 * that counts for itself says why it refuses, and `shutdownWrite` ends that connection behind its last word.
 */
import { connect, type Socket } from 'node:net'
import { lineProtocol, Server } from 'tandem-mq/net'
import { check, until } from './example.js'

const MOST = 3

const strict = new Server({ onMessage: (_connection, _ctx, line) => line }, { ...common(), maxConnections: MOST })
await strict.start()
const first = await several(strict, 5)
await until(() => strict.measures().accepted + strict.measures().rejected === 5)
await until(() => first.filter(({ isEnded }) => isEnded()).length === 2)
check(strict.connections === MOST && strict.measures().rejected === 2, `of five, ${MOST} are open and two were closed`)
first.find(({ isEnded }) => !isEnded())?.socket.end()
await until(() => strict.connections === MOST - 1)
const [next] = await several(strict, 1)
next?.socket.write('is there room?\n')
await until(() => next?.text() === 'is there room?\n')
check(strict.connections === MOST, 'when one has gone, the next is served')
await strict.stop()

const polite = new Server(
  {
    onConnect: (connection) => {
      if (connection.server.connections <= MOST) return
      connection.send('sorry, we are full')
      connection.shutdownWrite() // after what was sent
    },
    onMessage: (_connection, _ctx, line: string) => line,
  },
  common(),
)
await polite.start()
const guests = await several(polite, MOST + 1)
await until(() => guests.filter(({ isEnded }) => isEnded()).length === 1)
const refused = guests.filter(({ isEnded }) => isEnded()).map(({ text }) => text())
check(refused[0] === 'sorry, we are full\n', 'the fourth was told why, and then its connection was ended')
await polite.stop()

function common() {
  return { address: '127.0.0.1:0', protocol: lineProtocol() }
}

interface Client {
  readonly socket: Socket
  readonly text: () => string
  readonly isEnded: () => boolean
}

function several(server: { readonly address: { host: string; port: number } | null }, count: number) {
  return Promise.all(Array.from({ length: count }, () => open(server.address as { host: string; port: number })))
}

async function open({ host, port }: { host: string; port: number }): Promise<Client> {
  const socket = connect(port, host)
  let text = ''
  let isEnded = false
  socket.on('error', () => {}) // A connection that is closed at once may be reset.
  socket.on('data', (chunk) => {
    text += String(chunk)
  })
  socket.on('close', () => {
    isEnded = true
  })
  await new Promise((resolve) => socket.once('connect', resolve))
  return { socket, text: () => text, isEnded: () => isEnded }
}
