/**
 * An echo: what comes goes back, whatever it is. A hundred clients each send frames of 0 bytes to 256 KiB, many of them
 * before the first answer, and get theirs back in order.
 */
import { connect, type Socket } from 'node:net'
import { lengthPrefixedProtocol, Server } from 'tandem-mq/net'
import { check } from './example.js'

const CLIENTS = 100
const SIZES = [0, 1, 17, 1000, 65_536, 262_144]

// What `onMessage` returns is sent. Without `protocol` the bytes would come as the network cuts them: frames keep their ends.
const server = new Server(
  { onMessage: (_connection, _ctx, frame) => frame },
  { address: '127.0.0.1:0', protocol: lengthPrefixedProtocol() },
)
server.on('error', (error) => check(false, error.message))
await server.start()
const { host, port } = server.address as { host: string; port: number }
console.log(`echo at ${host}:${port}`)

const echoes = await Promise.all(Array.from({ length: CLIENTS }, (_none, n) => echo(n)))
check(
  echoes.every((isEqual) => isEqual),
  `${CLIENTS} clients got ${SIZES.length} frames each back, in order and byte for byte`,
)
const { accepted, bytesIn, bytesOut } = server.measures()
check(accepted === CLIENTS && bytesIn === bytesOut, `${accepted} accepted, ${bytesIn} B in, ${bytesOut} B out`)
await server.stop()
check(server.state === 'stopped' && server.connections === 0, 'stopped, and nobody is left')

/** One client: everything at once, then as many bytes back. */
async function echo(n: number): Promise<boolean> {
  const sent = Buffer.concat(SIZES.map((size) => frameOf(Buffer.alloc(size, n))))
  const socket = connect(port, host)
  socket.write(sent)
  const got = await receive(socket, sent.length)
  socket.end()
  return got.equals(sent)
}

function frameOf(data: Buffer): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(data.length)
  return Buffer.concat([size, data])
}

function receive(socket: Socket, bytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let received = 0
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      received += chunk.length
      if (received >= bytes) resolve(Buffer.concat(chunks))
    })
  })
}
