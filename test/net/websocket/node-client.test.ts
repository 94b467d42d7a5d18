/**
 * Against a client that others wrote: the WebSocket of Node (in a process of its own, because older versions need a flag).
 * It sends texts and bytes of all length forms and compares what comes back; then each side closes once.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Server, type WebSocketOut, webSocketOf, webSocketProtocol } from '../../../lib/net/index.js'

const LIMIT_MS = 15_000

const CLIENT = `
const [url] = process.argv.slice(1)
const texts = ['', 'a', '\\u20ac\\u{1f600}', 'x'.repeat(125), 'x'.repeat(126), '\\u00e9'.repeat(40000), 'y'.repeat(70000)]
const sizes = [0, 1, 125, 126, 65535, 65536, 300000]
const open = (protocols) => new Promise((resolve, reject) => {
  const ws = new WebSocket(url, protocols)
  ws.binaryType = 'arraybuffer'
  ws.onopen = () => resolve(ws)
  ws.onerror = () => reject(new Error('refused'))
})
const closed = (ws) => new Promise((resolve) => { ws.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean }) })
const echoed = (ws, data) => new Promise((resolve) => { ws.onmessage = (event) => resolve(event.data); ws.send(data) })
const ws = await open(['superchat', 'chat'])
let wrong = 0
for (const text of texts) if ((await echoed(ws, text)) !== text) wrong++
for (const size of sizes) {
  const bytes = Uint8Array.from({ length: size }, (_, at) => at * 7)
  const back = await echoed(ws, bytes)
  if (!(back instanceof ArrayBuffer) || Buffer.compare(Buffer.from(back), bytes) !== 0) wrong++
}
const { protocol, extensions } = ws
const byClient = closed(ws)
ws.close(3333, 'done')
const other = await open([])
const byServer = closed(other)
other.send('close me')
console.log(JSON.stringify({ wrong, protocol, extensions, byClient: await byClient, byServer: await byServer }))
process.exit(0)
`

const codes: number[] = []
const server = new Server(
  {
    onMessage: (_c, { opcode }, data): WebSocketOut => {
      if (data.toString() !== 'close me') return { opcode, data }
      return { opcode: 'close', code: 4001, reason: 'as asked' }
    },
    onClose: (c) => void codes.push(webSocketOf(c).closeCode),
  },
  { address: '127.0.0.1:0', protocol: webSocketProtocol({ subprotocols: ['chat', 'superchat'] }) },
)
beforeAll(() => server.start())
afterAll(() => server.stop())

it('GW-2: the WebSocket client of Node gets back what it sends, and both ways to close are clean', async () => {
  const url = `ws://127.0.0.1:${server.address?.port}/`
  const args = ['--experimental-websocket', '--no-warnings', '--input-type=module', '-e', CLIENT, url]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: LIMIT_MS })
  expect(JSON.parse(stdout)).toEqual({
    wrong: 0,
    protocol: 'superchat',
    extensions: '',
    byClient: { code: 3333, reason: expect.any(String), wasClean: true },
    byServer: { code: 4001, reason: 'as asked', wasClean: true },
  })
  await server.stop()
  expect(codes).toEqual([3333, 4001])
})
