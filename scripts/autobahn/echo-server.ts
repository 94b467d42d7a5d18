/** The server that Autobahn examines: answers every message with itself. Prints its port; ends when its input does. */
import { Server, webSocketProtocol } from 'tandem-mq/net'

/** Case 9.* sends messages of 16 MiB. */
const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
const WRITE_BUFFER_BYTES = 64 * 1024 * 1024

const server = new Server(
  { onMessage: (_c, { opcode }, data) => ({ opcode, data }) },
  {
    address: '127.0.0.1:0',
    protocol: webSocketProtocol({ maxPayloadBytes: MAX_PAYLOAD_BYTES }),
    writeBufferBytes: WRITE_BUFFER_BYTES,
  },
)
server.on('error', () => {}) // Its peer breaks rules on purpose: the report says how each breach was answered.
await server.start()
process.stdout.write(`${server.address?.port}\n`)
process.stdin.on('end', () => server.stop()).resume()
