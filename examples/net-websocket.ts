/**
 * WebSockets without anything around them: who may connect, messages of both kinds and any length, a broadcast, and an end
 * with a code. With other routes on the same port: `upgrade` behind node:http, see API.md.
 */
import { Server, type WebSocketConnection, webSocketOf, webSocketProtocol } from 'tandem-mq/net'
import { check, until } from './example.js'
import { WebSocketClient } from './web-socket-client.js'

const open = new Set<WebSocketConnection>()
const protocol = webSocketProtocol({
  origins: ['https://shop.example'], // of browsers; other programs send none
  onUpgrade: ({ target, headers }) => {
    if (target !== '/talk') return { status: 404 }
    if (headers.one('authorization') === 'Bearer secret') return undefined
    return { status: 401, text: 'say who you are', headers: { 'WWW-Authenticate': 'Bearer' } }
  },
  onOpen: (connection) => {
    open.add(connection) // `onConnect` of the handler is before the upgrade: nothing can be sent yet
    connection.send(`you are number ${connection.id} at ${webSocketOf(connection).request?.target}`)
  },
  maxPayloadBytes: 200_000,
})
const server = new Server(
  {
    onMessage: (_connection, { opcode }, data: Buffer) => {
      if (opcode === 'binary') return data // an answer
      if (String(data) === 'enough') return { opcode: 'close', code: 4000, reason: 'as you wish' } as const
      for (const other of open) other.send(String(data))
      return undefined
    },
    onClose: (connection) => {
      open.delete(connection)
    },
  },
  { address: '127.0.0.1:0', protocol },
)
await server.start()
const url = `http://127.0.0.1:${server.address?.port}/talk`
const secret = { Authorization: 'Bearer secret' }

const refusals = await Promise.all([
  refusalOf(url, {}),
  refusalOf(url, { ...secret, Origin: 'https://elsewhere.example' }),
  refusalOf(url.replace('/talk', '/'), secret),
])
check(
  refusals.join() === 'refused with 401,refused with 403,refused with 404',
  `not everybody may: ${refusals.join(', ')}`,
)

const [ann, bob] = await Promise.all([
  WebSocketClient.open(url, secret),
  WebSocketClient.open(url, { ...secret, Origin: 'https://shop.example' }),
])
await until(() => ann.messages.length === 1 && bob.messages.length === 1)
check(String(ann.messages[0]).endsWith(' at /talk'), `the server greets: ${String(ann.messages[0])}`)

ann.send('good morning, ☕?')
await until(() => bob.messages.length === 2)
check(bob.messages[1] === 'good morning, ☕?', 'text reaches everybody')

const picture = Buffer.alloc(150_000, 'picture')
bob.send(picture)
await until(() => bob.messages.length === 3)
check(picture.equals(bob.messages[2] as Buffer), `${picture.length} B came back as one binary message`)

bob.send('enough')
await until(() => bob.closeCode !== undefined)
check(bob.closeCode === 4000 && bob.closeReason === 'as you wish', 'an end with a code and a reason')

ann.send(Buffer.alloc(200_001))
await until(() => ann.closeCode !== undefined)
check(ann.closeCode === 1009, 'a message that is too long ends its connection: 1009')
await until(() => open.size === 0)
await server.stop()

function refusalOf(address: string, headers: Record<string, string>): Promise<string> {
  return WebSocketClient.open(address, headers).then(
    () => 'not refused',
    (error: Error) => error.message,
  )
}
