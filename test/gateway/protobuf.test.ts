/** GW-1: the same session in protobuf, judged by protobufjs and docs/gateway.proto (which shows no zeros). */
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { recordFrame } from './records.js'
import { stage, TcpClient, WebSocketClient } from './support.js'

const root = protobuf.loadSync(fileURLToPath(new URL('../../docs/gateway.proto', import.meta.url)))
const ClientFrame = root.lookupType('tandemmq.gateway.v1.ClientFrame')
const ServerFrame = root.lookupType('tandemmq.gateway.v1.ServerFrame')

const encode = (frame: object): Uint8Array => ClientFrame.encode(ClientFrame.fromObject(frame)).finish()
const decode = (bytes: Uint8Array) =>
  ServerFrame.toObject(ServerFrame.decode(bytes), { longs: Number, enums: String }) as Record<string, unknown>

async function heard(client: TcpClient | WebSocketClient, count: number) {
  await client.until(() => client.binary.length >= count)
  return client.binary.map(decode)
}

describe('a client that speaks protobuf', () => {
  it('GW-1: over TCP is answered in protobuf from the welcome on', async () => {
    const at = await stage()
    const client = new TcpClient(at.tcpPort, null)
    client.sendBytes(encode({ auth: { token: 'ann' } }))
    client.sendBytes(encode({ publish: { topic: 'chat-x', value: Buffer.from([0, 255]), partition: 3 }, number: 9 }))
    client.sendBytes(encode({ publish: { topic: 'orders' }, text: 'no' }))
    client.sendBytes(encode({ subscribe: { topics: ['chat-x'] }, number: 10 }))
    const said = await heard(client, 4)
    expect(client.said).toEqual([])
    expect(said[0]).toMatchObject({ welcome: { name: 'ann', version: 1, limits: { maxInFlight: 100 } } })
    const answers = said.slice(1).sort((a, b) => String(a.number ?? a.text).localeCompare(String(b.number ?? b.text)))
    expect(answers).toEqual([
      { subscribed: { positions: [{ topic: 'chat-x', offset: 7 }] }, number: 10 },
      { ack: { topic: 'chat-x', partition: 3, timestamp: 1_700_000_000_000 }, number: 9 },
      {
        error: {
          code: 'AUTHORIZATION_FAILED',
          message: 'publish is not allowed for topic orders',
          topic: 'orders',
          persistence: 'NOT_PERSISTED',
        },
        text: 'no',
      },
    ])
    expect(at.backend.published.map(({ options, value }) => [options.partition, value])).toEqual([[3, '\0\ufffd']])
  })

  it('GW-1: over WebSocket its first binary message decides, or format=protobuf in the address', async () => {
    const at = await stage()
    const later = new WebSocketClient(at.httpPort)
    await later.hears(1)
    later.sendBytes(encode({ ping: {}, number: 1 }))
    expect(await heard(later, 1)).toEqual([{ pong: {}, number: 1 }])
    const early = new WebSocketClient(at.httpPort, { path: '/mq?format=protobuf' })
    expect((await heard(early, 1))[0]).toMatchObject({ welcome: { name: 'ann' } })
    early.sendBytes(encode({ subscribe: { topics: ['chat-x'] }, number: 2 }))
    await heard(early, 2)
    const [reader] = at.feeds.clients
    reader?.sendFrames(recordFrame(reader.wire, 'chat-x', 0, 7, 'seven'), 1)
    expect((await heard(early, 3))[2]).toMatchObject({ record: { topic: 'chat-x', offset: 7 } })
    expect(early.said).toEqual([])
  })

  it('GW-1: broken protobuf is an error with its id, in protobuf, and ends nothing', async () => {
    const at = await stage()
    const client = new WebSocketClient(at.httpPort)
    await client.hears(1)
    client.sendBytes(encode({ publish: { topic: 'no such topic' }, number: 5 }))
    client.sendBytes(Buffer.from([0x0a, 0xff]))
    client.sendBytes(encode({ ping: {}, number: 6 }))
    const said = await heard(client, 3)
    expect(said[0]).toMatchObject({ error: { code: 'INVALID_TOPIC' }, number: 5 })
    expect(said[1]).toMatchObject({ error: { code: 'DESERIALIZATION_FAILED', reason: 'MALFORMED_FRAME' } })
    expect(said[2]).toEqual({ pong: {}, number: 6 })
  })
})
