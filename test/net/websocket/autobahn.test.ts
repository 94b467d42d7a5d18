/**
 * Cases 1 to 7 and 10 of the Autobahn test suite (numbers and expectations are its own), against a real server on a socket.
 * Why again: the suite itself needs Python 2 (scripts/autobahn); this list runs wherever the tests do.
 * A case sends its frames, then a close frame; what the echo server told until the end is compared, `close` included.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Server, webSocketProtocol } from '../../../lib/net/index.js'
import { Peer } from './peer.js'
import { binary, close, frame, more, ping, pong, type Told, text } from './support.js'

const server = new Server(
  { onMessage: (_c, { opcode }, data) => ({ opcode, data }) },
  { address: '127.0.0.1:0', protocol: webSocketProtocol() },
)
const errors: string[] = []
server.on('error', (error) => errors.push(String(error.context.closeCode)))
beforeAll(() => server.start())
afterAll(() => server.stop())

const port = () => server.address?.port as number
const star = '*'
const xs = (length: number) => star.repeat(length)
const FE = Buffer.alloc(125, 0xfe)

interface Case {
  readonly id: string
  readonly sent: readonly Uint8Array[]
  readonly told: readonly Told[]
  /** The server closes by itself with this code; else the case ends with close 1000, answered in kind. */
  readonly fails?: number
  /** Bytes per write. */
  readonly chop?: number
}

const echo = (id: string, kind: 'text' | 'binary', payload: string, extra: Partial<Case> = {}): Case => ({
  id,
  sent: [(kind === 'text' ? text : binary)(kind === 'text' ? payload : Buffer.from(payload, 'latin1'))],
  told: [`${kind}:${payload}`],
  ...extra,
})
const fails = (id: string, fault: readonly Uint8Array[], code = 1002, told: readonly Told[] = []): Case => ({
  id,
  sent: fault,
  told,
  fails: code,
})

// 1: framing
const framing: Case[] = (['text', 'binary'] as const).flatMap((kind, at) => [
  ...[0, 125, 126, 127, 128, 65_535, 65_536].map((size, n) => echo(`1.${at + 1}.${n + 1}`, kind, xs(size))),
  echo(`1.${at + 1}.8`, kind, xs(65_536), { chop: 997 }),
])

// 2: pings and pongs
const ten = Array.from({ length: 10 }, (_, at) => `payload-${at}`)
const pings: Case[] = [
  { id: '2.1', sent: [ping()], told: ['pong:'] },
  { id: '2.2', sent: [ping('Hello, world!')], told: ['pong:Hello, world!'] },
  {
    id: '2.3',
    sent: [ping(Buffer.of(0, 255, 254, 253, 252, 251, 0, 255))],
    told: ['pong:\0\xff\xfe\xfd\xfc\xfb\0\xff'],
  },
  { id: '2.4', sent: [ping(FE)], told: [`pong:${'\xfe'.repeat(125)}`] },
  fails('2.5', [ping(Buffer.alloc(126, 0xfe))]),
  { id: '2.6', sent: [ping(FE)], told: [`pong:${'\xfe'.repeat(125)}`], chop: 1 },
  { id: '2.7', sent: [pong()], told: [] },
  { id: '2.8', sent: [pong('unsolicited pong payload')], told: [] },
  { id: '2.9', sent: [pong('unsolicited pong payload'), ping('ping payload')], told: ['pong:ping payload'] },
  { id: '2.10', sent: ten.map(ping), told: ten.map((payload) => `pong:${payload}`) },
  { id: '2.11', sent: ten.map(ping), told: ten.map((payload) => `pong:${payload}`), chop: 1 },
]

// 3: reserved bits
const hello = text('Hello, world!')
const said = 'text:Hello, world!'
const reserved: Case[] = [
  fails('3.1', [frame({ opcode: 1, rsv: 1, payload: 'a' })]),
  fails('3.2', [hello, frame({ opcode: 1, rsv: 2, payload: 'a' }), ping()], 1002, [said]),
  fails('3.3', [hello, frame({ opcode: 1, rsv: 3, payload: 'a' }), ping()], 1002, [said]),
  { ...fails('3.4', [hello, frame({ opcode: 1, rsv: 4, payload: 'a' }), ping()], 1002, [said]), chop: 1 },
  fails('3.5', [frame({ opcode: 2, rsv: 5, payload: FE })]),
  fails('3.6', [frame({ opcode: 9, rsv: 6, payload: 'a' })]),
  fails('3.7', [frame({ opcode: 8, rsv: 7 })]),
]

// 4: opcodes
const opcodes: Case[] = [3, 11].flatMap((first, at) => [
  fails(`4.${at + 1}.1`, [frame({ opcode: first })]),
  fails(`4.${at + 1}.2`, [frame({ opcode: first + 1, payload: 'reserved opcode payload' })]),
  fails(`4.${at + 1}.3`, [hello, frame({ opcode: first + 2 }), ping()], 1002, [said]),
  fails(`4.${at + 1}.4`, [hello, frame({ opcode: first + 3, payload: 'reserved' }), ping()], 1002, [said]),
  { ...fails(`4.${at + 1}.5`, [hello, frame({ opcode: first + (at === 0 ? 4 : 3) }), ping()], 1002, [said]), chop: 1 },
])

// 5: fragmentation
const two = [text('fragment1', false), more('fragment2', true)]
const both = 'text:fragment1fragment2'
const between = [text('fragment1', false), ping('ping payload'), more('fragment2', true)]
const many = [
  text('fragment1', false),
  more('fragment2'),
  ping('1'),
  more('fragment3'),
  more('fragment4'),
  ping('2'),
  more('fragment5', true),
]
const all = 'text:fragment1fragment2fragment3fragment4fragment5'
const chops = (base: number, sent: readonly Uint8Array[], told: readonly Told[]): Case[] =>
  [undefined, 997, 1].map((chop, at) => ({ id: `5.${base + at}`, sent, told, ...(chop === undefined ? {} : { chop }) }))
const fragments: Case[] = [
  fails('5.1', [frame({ opcode: 9, fin: false, payload: 'fragment1' }), more('fragment2', true)]),
  fails('5.2', [frame({ opcode: 10, fin: false, payload: 'fragment1' }), more('fragment2', true)]),
  ...chops(3, two, [both]),
  ...chops(6, between, ['pong:ping payload', both]),
  fails('5.9', [more('non-continuation payload', true), hello]),
  fails('5.10', [more('non-continuation payload', true), hello]),
  { ...fails('5.11', [more('non-continuation payload', true), hello]), chop: 1 },
  fails('5.12', [more('non-continuation payload', false), hello]),
  fails('5.13', [more('non-continuation payload', false), hello]),
  { ...fails('5.14', [more('non-continuation payload', false), hello]), chop: 1 },
  fails('5.15', [...two, more('fragment3', false), text('fragment4', true)], 1002, [both]),
  fails('5.16', [more('fragment1'), text('fragment2', false), more('fragment3', true)]),
  fails('5.17', [more('fragment1', true), text('fragment2', false), more('fragment3', true)]),
  fails('5.18', [text('fragment1', false), text('fragment2', true)]),
  { id: '5.19', sent: many, told: ['pong:1', 'pong:2', all] },
  { id: '5.20', sent: many, told: ['pong:1', 'pong:2', all], chop: 1 },
]

// 6: UTF-8
const hex = (digits: string) => Buffer.from(digits.replaceAll(' ', ''), 'hex')
const kosme = '\u03ba\u1f79\u03c3\u03bc\u03b5'
const utf8: Case[] = [
  echo('6.1.1', 'text', ''),
  { id: '6.1.2', sent: [text('', false), more(''), more('', true)], told: ['text:'] },
  {
    id: '6.1.3',
    sent: [text('', false), more('middle frame payload'), more('', true)],
    told: ['text:middle frame payload'],
  },
  echo('6.2.1', 'text', `Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!`),
  {
    id: '6.2.2',
    sent: [text('Hello-\u00b5@\u00df', false), more('\u00f6\u00e4', true)],
    told: ['text:Hello-\u00b5@\u00df\u00f6\u00e4'],
  },
  { id: '6.2.3', sent: eachByte(Buffer.from('\u00b5@\u00df\u00f6')), told: ['text:\u00b5@\u00df\u00f6'] },
  { id: '6.2.4', sent: eachByte(Buffer.from(kosme)), told: [`text:${kosme}`] },
  fails('6.3.1', [text(hex('cebae1bdb9cf83cebcceb5 eda080 656469746564'))], 1007),
  fails('6.3.2', eachByte(hex('cebae1bdb9cf83cebcceb5 eda080 656469746564')), 1007),
  fails('6.4.1', [text(kosme, false), more(hex('f4908080')), more('edited', true)], 1007),
  fails(
    '6.4.2',
    [text(Buffer.concat([Buffer.from(kosme), hex('f4')]), false), more(hex('90')), more(hex('8080'), true)],
    1007,
  ),
  fails(
    '6.4.3',
    [text(Buffer.concat([Buffer.from(kosme), hex('f4908080'), Buffer.from('edited')])).subarray(0, -6)],
    1007,
  ),
  fails(
    '6.4.4',
    [text(Buffer.concat([Buffer.from(kosme), hex('f4908080'), Buffer.from('edited')])).subarray(0, -8)],
    1007,
  ),
  ...[
    'ce',
    'ceba',
    'cebae1',
    'cebae1bd',
    'cebae1bdb9',
    'cebae1bdb9cf',
    'cebae1bdb9cf83',
    'cebae1bdb9cf83ce',
    'cebae1bdb9cf83cebc',
    'cebae1bdb9cf83cebcce',
    'cebae1bdb9cf83cebcceb5',
  ].map((digits, at) => judged(`6.5/6.6.${at + 1}`, digits)),
  // 6.7 to 6.9: the first and last of each length
  ...[
    '00',
    'c280',
    'e0a080',
    'f0908080',
    '7f',
    'dfbf',
    'efbfbf',
    'f48fbfbf',
    'ed9fbf',
    'ee8080',
    'efbfbd',
    'f48fbfbf',
  ].map((digits, at) => judged(`6.7-9.${at + 1}`, digits)),
  // 6.10 to 6.19: above U+10FFFF, lone continuations, lone starts, missing bytes, overlong forms
  ...[
    'f888808080',
    'fc8480808080',
    'f7bfbfbf',
    'fbbfbfbfbf',
    'fdbfbfbfbfbf',
    'f4908080',
    '80',
    'bf',
    '80bf',
    '80bf80',
    '80bf80bf',
    'c0',
    'c020c120',
    'e020ef20',
    'f020f720',
    'f8',
    'fc',
    'e080',
    'f08080',
    'df',
    'efbf',
    'f7bfbf',
    'fe',
    'ff',
    'fefeffff',
    'c0af',
    'e080af',
    'f08080af',
    'f8808080af',
    'fc80808080af',
    'c1bf',
    'e09fbf',
    'f08fbfbf',
    'c080',
    'e08080',
    'f0808080',
  ].map((digits, at) => judged(`6.10-19.${at + 1}`, digits)),
  // 6.20, 6.21: surrogates, alone and in pairs
  ...['eda080', 'edadbf', 'edae80', 'edafbf', 'edb080', 'edbe80', 'edbfbf', 'eda080edb080', 'edadbfedbfbf'].map(
    (digits, at) => judged(`6.20-21.${at + 1}`, digits),
  ),
  // 6.22, 6.23: noncharacters are characters
  ...['efbfbe', 'efbfbf', 'f09fbfbe', 'f0afbfbf', 'f48fbfbe', 'efbfb9', 'efbfba', 'efbfbb', 'efbfbc', 'efbfbd'].map(
    (digits, at) => judged(`6.22-23.${at + 1}`, digits),
  ),
]

function eachByte(bytes: Buffer): Buffer[] {
  return [text('', false), ...Array.from(bytes, (byte) => more(Buffer.of(byte))), more('', true)]
}

/** Valid or not is what the platform's own decoder says. */
function judged(id: string, digits: string): Case {
  const bytes = hex(digits)
  try {
    const value = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return { id, sent: [text(bytes)], told: [`text:${value}`] }
  } catch {
    return fails(id, [text(bytes)], 1007)
  }
}

// 7: the closing handshake; `sent` ends with the close frame itself
const answered = (id: string, sent: readonly Uint8Array[], told: readonly Told[]) => ({ id, sent, told })
const closing = [
  answered('7.1.1', [hello, close(1000)], [said, 'close:1000:']),
  answered('7.1.2', [close(1000), close(1000)], ['close:1000:']),
  answered('7.1.3', [close(1000), ping()], ['close:1000:']),
  answered('7.1.4', [close(1000), hello], ['close:1000:']),
  answered('7.1.5', [text('fragment1', false), close(1000), more('fragment2', true)], ['close:1000:']),
  answered(
    '7.1.6',
    [binary(xs(256 * 1024)), hello, close(1000), ping()],
    [`binary:${xs(256 * 1024)}`, said, 'close:1000:'],
  ),
  answered('7.3.1', [close()], ['close:1005:']),
  answered('7.3.2', [frame({ opcode: 8, payload: 'a' })], ['close:1002:']),
  answered('7.3.3', [close(1000)], ['close:1000:']),
  answered('7.3.4', [close(1000, 'Hello World!')], ['close:1000:']),
  answered('7.3.5', [close(1000, xs(123))], ['close:1000:']),
  answered('7.3.6', [close(1000, xs(124))], ['close:1002:']),
  answered('7.5.1', [close(1000, hex('cebae1bdb9cf83cebcceb5eda080656469746564'))], ['close:1007:']),
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].map((code, at) =>
    answered(`7.7.${at + 1}`, [close(code)], [`close:${code}:`]),
  ),
  ...[0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].map((code, at) =>
    answered(`7.9.${at + 1}`, [close(code)], ['close:1002:']),
  ),
  answered('7.13.1', [close(5000)], ['close:1002:']),
  answered('7.13.2', [frame({ opcode: 8, payload: hex('ffff') })], ['close:1002:']),
]

/** Reasons of faults are words for people. */
const withoutReasons = (told: readonly Told[]) => told.map((line) => line.replace(/^(close:\d+:).*/s, '$1'))

async function outcome(sent: readonly Uint8Array[], chop?: number): Promise<{ told: Told[]; inOrder: boolean }> {
  const peer = new Peer(port())
  const bytes = Buffer.concat(sent)
  if (chop === undefined) await peer.write(bytes)
  else await peer.chop(bytes, chop)
  const { told, inOrder } = await peer.ended.promise
  return { told: withoutReasons(told), inOrder }
}

describe('the Autobahn cases', () => {
  it.each([...framing, ...pings, ...reserved, ...opcodes, ...fragments, ...utf8])(
    'GW-2: Autobahn $id',
    async ({ sent, told, fails: code, chop }) => {
      const before = errors.length
      const end = code === undefined ? [close(1000)] : []
      expect(await outcome([...sent, ...end], chop)).toEqual({
        told: [...told, `close:${code ?? 1000}:`],
        inOrder: true,
      })
      expect(errors.slice(before)).toEqual(code === undefined ? [] : [String(code)])
    },
  )

  it.each(closing)('GW-2: Autobahn $id', async ({ sent, told }) => {
    expect(await outcome(sent)).toEqual({ told, inOrder: true })
  })

  it('GW-2: Autobahn 10.1.1: a text of 65536 bytes in fragments of 1300', async () => {
    const payload = xs(65_536)
    const pieces = Array.from({ length: 51 }, (_, at) => payload.slice(at * 1300, (at + 1) * 1300))
    const frames = pieces.map((piece, at) =>
      frame({ opcode: at === 0 ? 1 : 0, fin: at === pieces.length - 1, payload: piece }),
    )
    expect(await outcome([...frames, close(1000)])).toEqual({ told: [`text:${payload}`, 'close:1000:'], inOrder: true })
  })
})
