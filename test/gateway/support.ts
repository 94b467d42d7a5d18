/** A gateway on loopback with a backend and feeds that the test plays, and clients that say every byte. */
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { MQError } from '../../lib/errors/index.js'
import type { FeedClient, FeedReader, FeedSource } from '../../lib/gateway/feed/types.js'
import { Gateway, type GatewayDeps, type GatewayOptions } from '../../lib/gateway/index.js'
import type { Feed, GatewayBackend, Published, PublishOptions, StartAt } from '../../lib/gateway/types.js'
import { type Deferred, deferred } from '../../lib/util/index.js'
import { binary, frame, text } from '../net/websocket/support.js'

export interface AskedPublish {
  readonly topic: string
  readonly value: string | null
  readonly key: string | null
  readonly options: PublishOptions
  readonly answer: Deferred<Published>
}

/** Answers at once with ascending offsets, unless `isHeld`. */
export class FakeBackend implements GatewayBackend {
  readonly published: AskedPublish[] = []
  isHeld = false
  isClosed = false
  /** What the next publishes are answered with. */
  fails: Error | null = null
  readonly #waiting: { count: number; done: Deferred<void> }[] = []

  publish(topic: string, value: Uint8Array | null, options: PublishOptions): Promise<Published> {
    const answer = deferred<Published>()
    const asText = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('utf8'))
    this.published.push({ topic, value: asText(value), key: asText(options.key), options, answer })
    if (this.fails !== null) answer.reject(this.fails)
    else if (!this.isHeld) this.acknowledge(this.published.length - 1)
    for (const { count, done } of this.#waiting) if (this.published.length >= count) done.resolve()
    return answer.promise
  }

  acknowledge(index: number): void {
    const { answer, options } = this.published[index] as AskedPublish
    answer.resolve({
      partition: options.partition ?? 0,
      offset: index,
      timestamp: options.timestamp ?? 1_700_000_000_000,
    })
  }

  async saw(count: number): Promise<void> {
    const done = deferred<void>()
    this.#waiting.push({ count, done })
    if (this.published.length >= count) done.resolve()
    await done.promise
  }

  async partitionsOf(): Promise<readonly number[]> {
    return [0]
  }

  async positions(): Promise<{ earliest: number; next: number }> {
    return { earliest: 0, next: 0 }
  }

  open(): Feed {
    throw new Error('these tests play the feeds')
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

export interface AskedSubscribe {
  readonly topics: readonly string[]
  readonly key: string | undefined
  readonly from: StartAt
}

/** Readers that do what the test says. */
export class FakeFeeds implements FeedSource {
  readonly clients: FeedClient[] = []
  readonly asked: AskedSubscribe[] = []
  readonly left: (readonly string[])[] = []
  /** Resolves when a client can be sent to again. */
  drained = deferred<void>()
  closedReaders = 0
  isClosed = false
  droppedRecords = 0
  /** Subscribing waits for it. */
  gate: Promise<void> = Promise.resolve()
  fails: Error | null = null

  reader(client: FeedClient): FeedReader {
    this.clients.push(client)
    return {
      topics: 0,
      subscribe: async (topics, key, from) => {
        this.asked.push({ topics, key: key === undefined ? undefined : Buffer.from(key).toString(), from })
        await this.gate
        if (this.fails !== null) throw this.fails
        return new Map(topics.map((topic) => [topic, new Map([[0, 7]])]))
      },
      unsubscribe: (topics) => {
        this.left.push(topics)
        return 0
      },
      drained: () => {
        this.drained.resolve()
      },
      close: () => {
        this.closedReaders++
      },
    }
  }

  measures() {
    return { feeds: 1, cachedBytes: 2, catchUps: 3, sentRecords: 4, droppedRecords: this.droppedRecords }
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

export interface Stage {
  readonly gateway: Gateway
  readonly backend: FakeBackend
  readonly feeds: FakeFeeds
  readonly errors: MQError[]
  readonly warnings: MQError[]
  readonly closed: (Error | null)[]
  readonly tcpPort: number
  readonly httpPort: number
}

/** Everybody with a token is called by it, and may use topics that begin with `chat-`. */
export const OPEN_DOOR: GatewayOptions = {
  websocket: '127.0.0.1:0',
  tcp: '127.0.0.1:0',
  authenticate: ({ token }) =>
    token === undefined || token === 'wrong' ? null : { name: token, publish: ['chat-*'], subscribe: ['chat-*'] },
}

export async function stage(options: Partial<GatewayOptions> = {}, deps: GatewayDeps = {}): Promise<Stage> {
  const backend = new FakeBackend()
  const feeds = new FakeFeeds()
  const gateway = new Gateway(backend, { ...OPEN_DOOR, ...options }, { feeds, ...deps })
  onTestFinished(() => gateway.stop({ timeoutMs: 0 }))
  const errors: MQError[] = []
  const warnings: MQError[] = []
  const closed: (Error | null)[] = []
  gateway.on('error', (error) => errors.push(error))
  gateway.on('warning', (error) => warnings.push(error))
  gateway.on('clientClosed', ({ error }) => closed.push(error))
  await gateway.start()
  const { tcp, websocket } = gateway.addresses
  return { gateway, backend, feeds, errors, warnings, closed, tcpPort: tcp?.port ?? 0, httpPort: websocket?.port ?? 0 }
}

export type Said = Record<string, unknown>

/** What both kinds of clients can: bytes in, frames out, waiting for a number of them or for the end. */
abstract class Client {
  readonly said: Said[] = []
  isEnded = false
  protected readonly socket: Socket
  readonly #waiting: { isDone: () => boolean; done: Deferred<void> }[] = []
  protected bytes = Buffer.alloc(0)

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.setNoDelay(true)
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.isEnded = true
      this.#wake()
    })
    this.socket.on('data', (bytes: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, bytes])
      this.read()
      this.#wake()
    })
    onTestFinished(() => {
      this.socket.destroy()
    })
  }

  protected abstract read(): void
  abstract send(said: Said): void
  abstract sendBytes(payload: Uint8Array): void

  raw(bytes: Uint8Array | string): void {
    this.socket.write(bytes)
  }

  /** The first `count` frames, or all when it ended before. */
  async hears(count: number): Promise<Said[]> {
    await this.until(() => this.said.length >= count)
    return this.said
  }

  /** The frame with this id; undefined when the connection ended before it came. */
  async answer(id: number | string): Promise<Said | undefined> {
    const find = () => this.said.find((said) => said.id === id)
    await this.until(() => find() !== undefined)
    return find()
  }

  async ended(): Promise<void> {
    await this.until(() => false)
  }

  async until(fact: () => boolean): Promise<void> {
    const done = deferred<void>()
    this.#waiting.push({ isDone: () => this.isEnded || fact(), done })
    this.#wake()
    await done.promise
  }

  /** Hears every byte as it comes. */
  onRaw(hear: (bytes: Buffer) => void): void {
    this.socket.on('data', hear)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  #wake(): void {
    for (const { isDone, done } of this.#waiting) if (isDone()) done.resolve()
  }
}

export class TcpClient extends Client {
  /** Frames that are not JSON, as they came. */
  readonly binary: Buffer[] = []

  /** Authenticates unless `token` is null. */
  constructor(port: number, token: string | null = 'ann') {
    super(port)
    if (token !== null) this.send({ type: 'auth', token })
  }

  send(said: Said): void {
    this.sendBytes(Buffer.from(JSON.stringify(said)))
  }

  sendBytes(payload: Uint8Array): void {
    this.raw(prefixed(payload))
  }

  protected read(): void {
    while (this.bytes.length >= 4) {
      const length = this.bytes.readUInt32BE(0)
      if (this.bytes.length < 4 + length) return
      const payload = this.bytes.subarray(4, 4 + length)
      this.bytes = this.bytes.subarray(4 + length)
      if (payload[0] === 0x7b) this.said.push(JSON.parse(payload.toString('utf8')))
      else this.binary.push(Buffer.from(payload))
    }
  }
}

export function prefixed(payload: Uint8Array): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(payload.length)
  return Buffer.concat([size, payload])
}

export interface UpgradeParts {
  readonly token?: string | null
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
}

export class WebSocketClient extends Client {
  /** Of the HTTP response. */
  status = 0
  head = ''
  body = ''
  closeCode = 0
  closeReason = ''
  pings = 0
  pongs = 0
  readonly binary: Buffer[] = []
  #isUpgraded = false
  #isMute = false

  constructor(port: number, { token = 'ann', path = '/mq', headers = {} }: UpgradeParts = {}) {
    super(port)
    const query = token === null ? '' : `${path.includes('?') ? '&' : '?'}token=${token}`
    const lines = [
      `GET ${path}${query} HTTP/1.1`,
      'Host: localhost',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version: 13',
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ]
    this.raw(`${lines.join('\r\n')}\r\n\r\n`)
  }

  send(said: Said): void {
    this.raw(text(JSON.stringify(said)))
  }

  sendBytes(payload: Uint8Array): void {
    this.raw(binary(payload))
  }

  /** Answers no pings any more. */
  mute(): void {
    this.#isMute = true
  }

  protected read(): void {
    if (!this.#isUpgraded && !this.#readHead()) return
    for (let length = this.#frame(); length > 0; length = this.#frame()) this.bytes = this.bytes.subarray(length)
  }

  #readHead(): boolean {
    const end = this.bytes.indexOf('\r\n\r\n')
    if (end === -1) return false
    this.head = this.bytes.toString('latin1', 0, end)
    this.status = Number(this.head.split(' ')[1])
    this.body = this.bytes.toString('utf8', end + 4)
    this.#isUpgraded = this.status === 101
    if (this.#isUpgraded) this.bytes = this.bytes.subarray(end + 4)
    return this.#isUpgraded
  }

  /** Bytes of the first frame; 0: it has not come. */
  #frame(): number {
    if (this.bytes.length < 2) return 0
    const opcode = (this.bytes[0] as number) & 0x0f
    const short = (this.bytes[1] as number) & 0x7f
    const header = short < 126 ? 2 : short === 126 ? 4 : 10
    if (this.bytes.length < header) return 0
    const length =
      short < 126 ? short : short === 126 ? this.bytes.readUInt16BE(2) : Number(this.bytes.readBigUInt64BE(2))
    if (this.bytes.length < header + length) return 0
    this.#take(opcode, this.bytes.subarray(header, header + length))
    return header + length
  }

  #take(opcode: number, payload: Buffer): void {
    if (opcode === 1) this.said.push(JSON.parse(payload.toString('utf8')))
    else if (opcode === 2) this.binary.push(Buffer.from(payload))
    else if (opcode === 9) {
      this.pings++
      if (!this.#isMute) this.raw(frame({ opcode: 10, payload }))
    } else if (opcode === 10) this.pongs++
    else if (opcode === 8) {
      this.closeCode = payload.length >= 2 ? payload.readUInt16BE(0) : 1005
      this.closeReason = payload.toString('utf8', 2)
      if (!this.#isMute) this.raw(frame({ opcode: 8, payload: payload.subarray(0, 2) }))
      this.end()
    }
  }
}
