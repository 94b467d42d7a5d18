/** Requests that chance has damaged or made: answered with a status, upgraded, or waited for; nothing else happens. */
import { expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import { webSocketProtocol } from '../../../lib/net/websocket/websocket-protocol.js'
import { FakeClock, type RandomSource, randomInt, seededRandom } from '../../../lib/util/index.js'
import { FakeConnection } from './support.js'

const SEED = Number(process.env.SEED ?? 64_550)
const RUNS = 4000
const ANSWERS = [101, 400, 403, 405, 426, 431]
const MAX_HEADER_BYTES = 512

const REQUEST =
  'GET /a?b=c HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nOrigin: http://o\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a, b\r\n\r\n'

/** What breaks parsers. */
const PIECES = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  '\xff',
  'HTTP/1.1',
  'x'.repeat(600),
  '\r\n\r\n',
  'Host: two\r\n',
]

function damaged(random: RandomSource): string {
  let request = REQUEST
  for (let changes = randomInt(random, 4); changes >= 0; changes--) {
    const at = randomInt(random, request.length)
    const length = randomInt(random, 3) === 0 ? randomInt(random, 40) : randomInt(random, 2)
    const piece =
      randomInt(random, 2) === 0
        ? PIECES[randomInt(random, PIECES.length)]
        : String.fromCharCode(randomInt(random, 256))
    request = request.slice(0, at) + piece + request.slice(at + length)
  }
  return request
}

function made(random: RandomSource): string {
  return Array.from({ length: 1 + randomInt(random, 12) }, () => PIECES[randomInt(random, PIECES.length)]).join('')
}

/** Status of the answer, 0 when more bytes are waited for. */
function statusOf(request: string, pieceBytes: number, story: string): number {
  const protocol = webSocketProtocol({
    origins: ['http://o'],
    maxHeaderBytes: MAX_HEADER_BYTES,
    clock: new FakeClock(),
  })
  const c = new FakeConnection(protocol)
  const bytes = Buffer.from(request, 'latin1')
  for (let at = 0; at < bytes.length && c.state === 'open'; at += pieceBytes) {
    c.receive(bytes.subarray(at, at + pieceBytes))
    if (c.connected && c.readBufferLength > MAX_HEADER_BYTES)
      throw new Error(`${story}: ${c.userBuffer.length} bytes wait`)
  }
  if (c.endedWith !== undefined && !(c.endedWith instanceof MQError))
    throw new Error(`${story}: ended with ${c.endedWith}`)
  const [answer] = c.sent
  return answer === undefined ? 0 : Number(String(answer).split(' ')[1])
}

it('GW-2: any request is upgraded, refused with a status of the list, or waited for, in pieces as at once', () => {
  const random = seededRandom(SEED)
  const seen = new Set<number>()
  for (let run = 0; run < RUNS; run++) {
    const request = run % 4 === 0 ? made(random) : damaged(random)
    const story = `seed ${SEED}, run ${run}: ${JSON.stringify(request)}`
    const status = statusOf(request, 1 << 20, story)
    if (status !== 0 && !ANSWERS.includes(status)) throw new Error(`${story}: ${status}`)
    // Whoever reads slowly sees a fault of the first lines before the head is too large.
    const inPieces = statusOf(request, 1 + randomInt(random, 50), story)
    if (inPieces !== status && request.length <= MAX_HEADER_BYTES)
      throw new Error(`${story}: ${status}, in pieces ${inPieces}`)
    seen.add(status)
  }
  expect([...seen].sort((a, b) => a - b)).toEqual([0, ...ANSWERS])
})
