/** `tandem-mq gateway`: deny by default, its addresses, clients over both transports, and its end. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type GatewayFlags, gatewayOptions } from '../../lib/cli/commands/gateway.js'
import { makeAuthority } from '../support/certificates.js'
import { cliStage, jsonLines, type Running } from './stage.js'

const PROGRAM = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url))

const stage = cliStage()
const sockets: Socket[] = []
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-gateway-'))
})
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})
afterAll(() => rmSync(folder, { recursive: true }))

function fileOf(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

/** Addresses, once it listens. */
async function ready(running: Running): Promise<Record<string, string>> {
  await Promise.race([running.stdout.until((text) => text.endsWith('\n')), running.done])
  expect(running.stdout.text, running.stderr.text).not.toBe('')
  return jsonLines(running.stdout.text)[0] as Record<string, string>
}

/** A client over TCP: frames as objects, in order. */
class TcpClient {
  readonly #socket: Socket
  readonly #frames: Record<string, unknown>[] = []
  #rest: Buffer = Buffer.alloc(0)
  #wake = () => {}
  #isEnded = false

  constructor(address: string) {
    const [host = '', port = ''] = address.split(':')
    this.#socket = connect(Number(port), host)
    sockets.push(this.#socket)
    this.#socket.on('error', () => {})
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#socket.on('close', () => {
      this.#isEnded = true
      this.#wake()
    })
  }

  say(frame: object): void {
    const payload = Buffer.from(JSON.stringify(frame))
    const size = Buffer.alloc(4)
    size.writeUInt32BE(payload.length)
    this.#socket.write(Buffer.concat([size, payload]))
  }

  /** The next frame; undefined: the connection has ended. */
  async next(): Promise<Record<string, unknown> | undefined> {
    while (this.#frames.length === 0 && !this.#isEnded) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#frames.shift()
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readUInt32BE()) {
      const end = 4 + this.#rest.readUInt32BE()
      this.#frames.push(JSON.parse(this.#rest.subarray(4, end).toString()) as Record<string, unknown>)
      this.#rest = this.#rest.subarray(end)
    }
    this.#wake()
  }
}

/** The status of an upgrade. */
function upgradeStatus(url: string, headers: Record<string, string> = {}): Promise<number | undefined> {
  const upgrade = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  }
  return new Promise((resolve, reject) => {
    const asking = request(url.replace(/^ws/, 'http'), { headers: { ...upgrade, ...headers } })
    asking.on('error', reject)
    asking.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve(response.statusCode)
    })
    asking.on('response', (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    asking.end()
  })
}

function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', reject)
  })
}

describe('what the words of gateway ask for', () => {
  const options = (flags: Partial<GatewayFlags>, env = {}) =>
    gatewayOptions(flags as GatewayFlags, env, (text) => expect.fail(text))
  const tokens = () => fileOf('named', 't0ken-ann ann publish=a\n')

  it('GW-4: pages of its own may connect where browsers call it by a known name, others only when they are named', () => {
    const subscribe = ['a']
    expect(options({ subscribe }).origins).toEqual([])
    expect(options({ subscribe, dashboard: true }).origins).toEqual([
      'http://127.0.0.1:8080',
      'http://localhost:8080',
      'http://[::1]:8080',
    ])
    const tls = { tlsCert: fileOf('any.pem', 'x'), tlsKey: fileOf('any.key', 'y') }
    expect(options({ subscribe, pages: '.', listen: 'localhost:8443', ...tls }).origins).toContain(
      'https://localhost:8443',
    )
    expect(options({ subscribe, pages: '.', listen: ':8080' }).origins).toEqual([])
    expect(options({ subscribe, pages: '.', origin: ['https://chat.example'] }).origins).toEqual([
      'https://chat.example',
    ])
  })

  it('GW-4: figures are for whoever is named; for everybody only where nobody is', () => {
    expect(options({ publish: ['a'], dashboard: true }).anonymous).toMatchObject({ stats: true })
    expect(options({ publish: ['a'] }).anonymous).toMatchObject({ stats: false })
    expect(options({ publish: ['a'], dashboard: true, tokenFile: tokens() }).anonymous).toMatchObject({ stats: false })
    expect(options({ dashboard: true, tokenFile: tokens() }).anonymous).toBeUndefined()
  })

  it('CM-1: WebSockets on loopback unless TCP was asked for alone; a password opens the key', () => {
    expect(options({ publish: ['a'] })).toMatchObject({ websocket: '127.0.0.1:8080' })
    expect(options({ publish: ['a'], tcp: ':1' })).not.toHaveProperty('websocket')
    const tls = { tlsCert: fileOf('any.pem', 'x'), tlsKey: fileOf('any.key', 'y') }
    const env = { TANDEM_GATEWAY_KEY_PASSWORD: 'open sesame' }
    expect(options({ publish: ['a'], ...tls }, env).tls).toEqual({ cert: 'x', key: 'y', passphrase: 'open sesame' })
  })
})

describe('gateway', () => {
  it('CM-1, GW-4: without a rule it does not start, and says what to give', async () => {
    const ran = await stage.run(null, ['gateway', '--listen', '127.0.0.1:0'])
    expect([ran.code, ran.stdout]).toEqual([2, ''])
    for (const word of ['nobody may do anything', '--publish', '--subscribe', '--token-file'])
      expect(ran.stderr).toContain(word)
  })

  it.each([
    [['--publish', 'a b'], "--publish: expected a topic, or the beginning of topics and *, got 'a b'"],
    [['--subscribe', 'a*b'], '--subscribe: expected a topic'],
    [['--publish', 'a', '--slow-client', 'kill'], "--slow-client: expected pause, drop, disconnect, got 'kill'"],
    [['--publish', 'a', '--max-clients', '0'], '--max-clients: expected an integer 1..10000000'],
    [['--publish', 'a', '--tls-key', 'x'], '--tls-cert: a certificate belongs to --tls-key'],
    [['--publish', 'a', '--tls-cert', 'x'], '--tls-key: a key belongs to --tls-cert'],
    [['--publish', 'a', '--tls-cert', '/none', '--tls-key', '/none'], '--tls-cert: /none cannot be read (ENOENT)'],
    [['--token-file', '/none'], '--token-file: /none cannot be read (ENOENT)'],
    [['--publish', 'a', '--listen', 'somewhere'], 'websocket: expected an address'],
    [['--publish', 'a', '--listen', '127.0.0.1:0', '--path', 'mq'], 'path: expected a path'],
    [['--publish', 'a', '--listen', '127.0.0.1:0', '--origin', 'chat.example'], 'origins: expected a list of origins'],
    [['--publish', 'a', '--tcp', '127.0.0.1:0', '--dashboard'], 'websocket: expected an address, because dashboard'],
    [['--publish', 'a', '--listen', '127.0.0.1:0', '--pages', '/none'], 'pages: /none cannot be read'],
  ])('CM-1: gateway %j is exit 2', async (words, text) => {
    const broker = await stage.broker()
    const ran = await stage.run(broker, ['gateway', ...words])
    expect([ran.code, ran.stdout, ran.stderr]).toEqual([2, '', expect.stringContaining(text)])
  })

  it('CM-1, GW-1: tells its addresses, publishes and delivers for everybody within the rules, and ends well', async () => {
    const broker = await stage.broker()
    broker.createTopic('chat-a', { partitions: 1 })
    const words = ['--listen', '127.0.0.1:0', '--tcp', '127.0.0.1:0', '--publish', 'chat-*', '--subscribe', 'chat-*']
    const running = stage.start(broker, ['gateway', '--json', ...words])
    const { websocket = '', tcp = '' } = await ready(running)
    expect(websocket).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/mq$/)
    expect(tcp).toMatch(/^127\.0\.0\.1:\d+$/)
    const client = new TcpClient(tcp)
    client.say({ type: 'subscribe', id: 1, topics: ['chat-a'] })
    expect(await client.next()).toMatchObject({ type: 'welcome', name: '' })
    expect(await client.next()).toMatchObject({ type: 'subscribed', id: 1, topics: { 'chat-a': { 0: 0 } } })
    client.say({ type: 'publish', id: 2, topic: 'chat-a', key: 'bob', value: 'hello' })
    const told = [await client.next(), await client.next()]
    expect(told).toContainEqual(expect.objectContaining({ type: 'ack', id: 2, topic: 'chat-a', offset: 0 }))
    expect(told).toContainEqual(expect.objectContaining({ type: 'record', offset: 0, key: 'bob', value: 'hello' }))
    client.say({ type: 'publish', id: 3, topic: 'orders', value: 'no' })
    expect(await client.next()).toMatchObject({ type: 'error', id: 3, code: 'AUTHORIZATION_FAILED' })
    expect(await upgradeStatus(websocket)).toBe(101)
    expect(await upgradeStatus(websocket, { Origin: 'https://elsewhere.example' })).toBe(403)
    running.stop('SIGTERM')
    expect(await client.next()).toMatchObject({ type: 'error', code: 'CONNECTION_CLOSED' })
    expect(await client.next()).toBeUndefined()
    expect(await running.done).toMatchObject({ code: 0, stderr: expect.stringContaining('no page of a browser') })
    expect(broker.connections).toBe(0)
  })

  it('CM-1, GW-4: --token-file names who may what; a token that is taken out lets nobody in any more', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 1 })
    const tokens = fileOf('tokens', 't0ken-ann ann publish=orders\n')
    const running = stage.start(broker, ['gateway', '--json', '--listen', '127.0.0.1:0', '--token-file', tokens, '-q'])
    const { websocket = '' } = await ready(running)
    expect(await upgradeStatus(websocket)).toBe(401)
    expect(await upgradeStatus(`${websocket}?token=wrong`)).toBe(403)
    expect(await upgradeStatus(websocket, { Authorization: 'Bearer t0ken-ann' })).toBe(101)
    fileOf('tokens', 't0ken-robert bob publish=orders\n')
    expect(await upgradeStatus(`${websocket}?token=t0ken-ann`)).toBe(403)
    expect(await upgradeStatus(`${websocket}?token=t0ken-robert`)).toBe(101)
    running.stop()
    const ran = await running.done
    expect([ran.code, ran.stderr]).toEqual([0, ''])
    expect(ran.stdout).not.toContain('t0ken')
  })

  it('CM-1: without --json the addresses are lines; --pages and --dashboard are served to pages of their own', async () => {
    const broker = await stage.broker()
    fileOf('index.html', '<title>hello</title>')
    const words = ['--listen', '127.0.0.1:0', '--subscribe', '*', '--pages', folder, '--dashboard']
    const running = stage.start(broker, ['gateway', ...words])
    await running.stdout.until((text) => text.includes('/dashboard\n'))
    const [, port = ''] = /^websocket ws:\/\/127\.0\.0\.1:(\d+)\/mq\ndashboard http:/.exec(running.stdout.text) ?? []
    const statuses = ['/', '/healthz', '/dashboard', '/none'].map((path) => statusOf(`http://127.0.0.1:${port}${path}`))
    expect(await Promise.all(statuses)).toEqual([200, 200, 200, 404])
    running.stop()
    expect((await running.done).code).toBe(0)
  })

  it('CM-1: TLS on both transports, and a caution where tokens would travel in the clear', async () => {
    const broker = await stage.broker()
    const { cert, key } = await (await makeAuthority()).issue({ hosts: ['127.0.0.1'] })
    const pem = ['--tls-cert', fileOf('cert.pem', cert), '--tls-key', fileOf('key.pem', key)]
    const tokens = fileOf('more-tokens', 't0ken-ann ann publish=orders\n')
    const words = ['gateway', '--json', '--token-file', tokens, '--origin', 'https://chat.example']
    const secure = stage.start(broker, [...words, '--listen', '127.0.0.1:0', ...pem])
    expect((await ready(secure)).websocket).toMatch(/^wss:/)
    secure.stop()
    expect(await secure.done).toMatchObject({ code: 0, stderr: '' })
    const open = stage.start(broker, [...words, '--listen', ':0'])
    await ready(open)
    open.stop()
    expect(await open.done).toMatchObject({ code: 0, stderr: expect.stringContaining('tokens travel in the clear') })
  })

  it('CM-1: without a broker it serves, and says so', async () => {
    const running = stage.start(null, ['gateway', '-b', '127.0.0.1:1', '--tcp', '127.0.0.1:0', '--publish', 'a'])
    await running.stderr.until((text) => text.includes('no broker answers yet: '))
    running.stop()
    expect(await running.done).toMatchObject({ code: 0, stdout: expect.stringMatching(/^tcp 127\.0\.0\.1:\d+\n$/) })
  })

  it('CM-1: a port that is taken is exit 1', async () => {
    const broker = await stage.broker()
    const words = ['gateway', '--json', '--publish', 'a', '-q']
    const first = stage.start(broker, [...words, '--tcp', '127.0.0.1:0'])
    const { tcp = '' } = await ready(first)
    const second = await stage.run(broker, [...words, '--tcp', tcp])
    expect([second.code, second.stderr]).toEqual([1, expect.stringContaining('CONNECTION_FAILED')])
  })

  it('CM-1: SIGINT ends the process with 0', async () => {
    const broker = await stage.broker()
    const words = ['--import', 'tsx', PROGRAM, 'gateway', '--listen', '127.0.0.1:0', '--subscribe', '*', '-q']
    const child = spawn(process.execPath, words, { env: { ...process.env, TANDEM_BROKERS: broker.bootstrap } })
    const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)))
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve))
      child.kill('SIGINT')
      expect(await ended).toBe(0)
    } finally {
      child.kill('SIGKILL')
    }
  }, 60_000)
})
