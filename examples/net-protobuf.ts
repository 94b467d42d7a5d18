/**
 * Typed messages in Protocol Buffers: a schema, a codec per type, requests and answers over one connection. The frame names
 * the type, so the handler gets objects; bytes that do not fit end the connection that sent them, and no other.
 */
import { connect, type Socket } from 'node:net'
import protobuf from 'protobufjs'
import { protobufProtocol, RingBuffer, Server, type TypedMessage } from 'tandem-mq/net'
import { check, until } from './example.js'

const schema = protobuf.parse(`
  syntax = "proto3";
  message Order { string id = 1; uint32 cents = 2; repeated string items = 3; }
  message Receipt { string order = 1; uint32 cents = 2; }
`).root
const Order = schema.lookupType('Order')
const Receipt = schema.lookupType('Receipt')

const server = new Server(
  {
    // `ctx` is the type that the frame named, `data` what the codec of that type made of its bytes.
    onMessage: (_connection, ctx, data) => {
      check(ctx === 'Order', `the server got an ${ctx}: ${JSON.stringify(data)}`)
      const { id, cents } = data as unknown as { id: string; cents: number }
      return { type: 'Receipt', data: Receipt.create({ order: id, cents }) }
    },
  },
  { address: '127.0.0.1:0', protocol: protobufProtocol({ codecs: { Order, Receipt } }) },
)
await server.start()

const client = await open()
client.socket.write(frameOf('Order', Order.encode({ id: 'A-1', cents: 1250, items: ['tea', 'cake'] }).finish()))
client.socket.write(frameOf('Order', Order.encode({ id: 'A-2' }).finish()))
await until(() => client.messages.length === 2)
const receipts = client.messages.map(({ type, data }) => `${type} ${JSON.stringify(Receipt.decode(data))}`)
check(
  receipts.join() === 'Receipt {"order":"A-1","cents":1250},Receipt {"order":"A-2"}',
  `the client got ${receipts.join(' and ')}`,
)

const stranger = await open()
stranger.socket.write(frameOf('Invoice', Buffer.alloc(3)))
await until(() => stranger.isEnded())
const liar = await open()
liar.socket.write(Buffer.from([0, 0, 0, 4, 0, 9, 0, 0])) // a type of nine bytes in a frame of four
await until(() => liar.isEnded())
check(server.connections === 1, 'an unknown type and lengths that contradict each other ended their connections only')
client.socket.end()
await server.stop()

/** u32 length of what follows, u16 length of the type, type, data. */
function frameOf(type: string, data: Uint8Array): Buffer {
  const header = Buffer.alloc(6)
  header.writeUInt32BE(2 + type.length + data.length)
  header.writeUInt16BE(type.length, 4)
  return Buffer.concat([header, Buffer.from(type), data])
}

async function open(): Promise<{ socket: Socket; messages: TypedMessage[]; isEnded: () => boolean }> {
  const socket = connect(server.address?.port ?? 0, '127.0.0.1')
  const ring = new RingBuffer()
  const messages: TypedMessage[] = []
  let isEnded = false
  socket.on('error', () => {})
  socket.on('close', () => {
    isEnded = true
  })
  socket.on('data', (chunk) => {
    ring.write(chunk)
    for (
      let length = ring.peekUint32();
      length !== undefined && ring.length >= 4 + length;
      length = ring.peekUint32()
    ) {
      const typeLength = ring.peekUint16(4) as number
      ring.retrieve(6)
      messages.push({ type: ring.takeString(typeLength), data: ring.take(length - 2 - typeLength) })
    }
  })
  await new Promise((resolve) => socket.once('connect', resolve))
  return { socket, messages, isEnded: () => isEnded }
}
