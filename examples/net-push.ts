/**
 * A server that speaks first: it pushes a tick to everybody each 20 ms, by its own timer, and some to one client alone.
 * Why a Map of its own: a server keeps no list of connections for you, since most need none.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Connection, lineProtocol, Server } from 'tandem-mq/net'
import { check, until } from './example.js'

type Client = Connection<undefined, string>

const clients = new Map<string, Client>()
const server = new Server(
  {
    // The first line is the client's name, whatever comes later is for somebody: `bob hello`.
    onMessage: (connection: Client, _ctx, line: string) => {
      const name = connection.get('name') as string | undefined
      if (name === undefined) {
        connection.set('name', line)
        clients.set(line, connection)
        return `welcome ${line}`
      }
      const [to = '', ...words] = line.split(' ')
      const isThere = clients.get(to)?.send(`${name}: ${words.join(' ')}`) !== undefined
      return isThere ? undefined : `${to} is not here`
    },
    onClose: (connection) => {
      clients.delete(String(connection.get('name')))
    },
  },
  { address: '127.0.0.1:0', protocol: lineProtocol() },
)
server.on('error', (error) => check(false, error.message))
await server.start()

let ticks = 0
const every = server.runEvery(20, () => {
  ticks++
  for (const connection of clients.values()) connection.send(`tick ${ticks}`)
})

const [ann, bob] = await Promise.all([join('ann'), join('bob')])
ann.socket.write('bob hello\ncarl hello\n')
await until(() => [ann, bob].every(({ lines }) => lines.filter((line) => line.startsWith('tick ')).length >= 5))
every.stop()

check(ann.lines[0] === 'welcome ann' && bob.lines[0] === 'welcome bob', 'both are welcome')
check(bob.lines.includes('ann: hello') && !ann.lines.includes('ann: hello'), 'a line for bob reached bob alone')
check(ann.lines.includes('carl is not here'), 'whoever writes to nobody is told')
const told = ann.lines.filter((line) => line.startsWith('tick ')).map((line) => Number(line.slice(5)))
check(
  told.every((tick, index) => index === 0 || tick === (told[index - 1] as number) + 1),
  `${told.length} ticks were pushed, in order and without a gap`,
)
ann.socket.end()
await until(() => !clients.has('ann'))
check(clients.size === 1, 'who has gone is not pushed to any more')
await server.stop()
check(clients.size === 0, 'on stop, every connection was told')

async function join(name: string): Promise<{ socket: Socket; lines: string[] }> {
  const { host, port } = server.address as { host: string; port: number }
  const socket = connect(port, host)
  const lines: string[] = []
  let rest = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() as string
    lines.push(...parts)
  })
  await once(socket, 'connect')
  socket.write(`${name}\n`)
  await until(() => lines.length > 0)
  return { socket, lines }
}
