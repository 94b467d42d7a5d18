/**
 * Subscribers: many sockets of one process, each with a check of its own. One buffer is read into for all of them, because
 * a check keeps nothing of it. Invariant: a socket that ends, an error frame and a gap are troubles, never silence.
 */
import { connect, type Socket } from 'node:net'
import { encodeMasked } from '../../lib/net/websocket/frame-encoder.js'
import { FrameCutter, NumberCheck } from './gateway-check.js'
import { type GatewayCase, type Heard, nowUs, type ToClients } from './gateway-job.js'

const AT_ONCE = 50
const READ_BYTES = 256 * 1024
const MOST_TROUBLES = 20
const MOST_SAMPLES = 100_000
const TEXT = 1
const BINARY = 2
const PING = 9
const PONG = 10
const LOOK_MS = 20

const buffer = Buffer.allocUnsafe(READ_BYTES)
const subscribers: Subscriber[] = []
const troubles: string[] = []
let samples: number[] = []
let sampleEvery = 1
let untilSample = 1
let chunkUs = 0
let heardUs = 0
let cpuBefore = process.cpuUsage()

process.on('message', (message: ToClients) => {
  answer(message).then(
    (said) => process.send?.(said),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit(0))

async function answer(message: ToClients): Promise<object> {
  switch (message.kind) {
    case 'connect':
      return open(message)
    case 'begin':
      return begin(message.sampleEvery)
    case 'read':
      for (const one of subscribers) one.read()
      return {}
    case 'until':
      return until(message.ends, message.silentMs)
  }
}

async function open({ port, clients, silent, what }: ToClients & { kind: 'connect' }): Promise<object> {
  while (subscribers.length < clients) {
    const some = Array.from(
      { length: Math.min(AT_ONCE, clients - subscribers.length) },
      () => new Subscriber(port, what),
    )
    subscribers.push(...some)
    await Promise.all(some.map(({ subscribed }) => subscribed))
  }
  for (const one of subscribers.slice(0, silent)) one.pause()
  return {}
}

function begin(every: number): object {
  sampleEvery = every
  untilSample = every
  samples = []
  cpuBefore = process.cpuUsage()
  for (const { check } of subscribers) check.delivered = 0
  return {}
}

async function until(ends: readonly number[], silentMs: number): Promise<Heard> {
  heardUs = Math.max(heardUs, nowUs())
  let lastUs = heardUs
  const isDone = () => subscribers.every((one) => one.isPaused || one.check.missing(ends) === 0)
  while (!isDone() && nowUs() - lastUs < silentMs * 1000) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    lastUs = Math.max(lastUs, heardUs)
  }
  const reading = subscribers.filter(({ isPaused }) => !isPaused)
  const { user, system } = process.cpuUsage(cpuBefore)
  const sum = (of: (check: NumberCheck) => number) => reading.reduce((total, { check }) => total + of(check), 0)
  return {
    delivered: sum(({ delivered }) => delivered),
    lost: sum((check) => check.lost + check.missing(ends)),
    again: sum(({ again }) => again),
    troubles,
    samples,
    lastUs: heardUs,
    cpuMicroseconds: user + system,
  }
}

class Subscriber {
  readonly check: NumberCheck
  readonly subscribed: Promise<void>
  isPaused = false
  readonly #what: GatewayCase
  readonly #socket: Socket
  readonly #cutter: FrameCutter
  #head: string | null
  #isSubscribed = () => {}

  constructor(port: number, what: GatewayCase) {
    this.#what = what
    this.check = new NumberCheck(what.partitions, what.valueBytes)
    this.#cutter = new FrameCutter(what.wire, (bytes, from, to, opcode) => this.#frame(bytes, from, to, opcode))
    this.#head = what.wire === 'websocket' ? '' : null
    this.subscribed = new Promise((resolve) => {
      this.#isSubscribed = resolve
    })
    const callback = (length: number) => {
      this.#heard(buffer.subarray(0, length))
      return true
    }
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer, callback } })
    this.#socket.on('error', (error) => note(error.message))
    this.#socket.on('close', () => note('the gateway ended a connection'))
    if (this.#head === null) this.#subscribe()
    else this.#socket.write(upgradeOf(what))
  }

  pause(): void {
    this.isPaused = true
    this.#socket.pause()
  }

  read(): void {
    if (this.isPaused) this.#socket.resume()
    this.isPaused = false
  }

  #heard(chunk: Buffer): void {
    chunkUs = nowUs()
    if (this.#head === null) return this.#cutter.push(chunk)
    this.#head += chunk.toString('latin1')
    const end = this.#head.indexOf('\r\n\r\n')
    if (end === -1) return
    if (!this.#head.startsWith('HTTP/1.1 101')) return note(this.#head.slice(0, end))
    const rest = Buffer.from(this.#head.slice(end + 4), 'latin1')
    this.#head = null
    this.#subscribe()
    this.#cutter.push(rest)
  }

  #subscribe(): void {
    const { topic, wire, format } = this.#what
    const isJson = format === 'json'
    const payload = isJson
      ? Buffer.from(JSON.stringify({ type: 'subscribe', id: 1, topics: [topic] }))
      : protobufOf(topic)
    if (wire === 'websocket') this.#socket.write(encodeMasked(isJson ? TEXT : BINARY, payload, 0x1234_5678))
    else this.#socket.write(Buffer.concat([uint32(payload.length), payload]))
  }

  #frame(bytes: Buffer, from: number, to: number, opcode: number): void {
    if (opcode === PING) {
      this.#socket.write(encodeMasked(PONG, bytes.subarray(from, to), 0x1234_5678))
      return
    }
    if (!this.check.take(bytes, from, to)) return this.#other(bytes.subarray(from, to))
    heardUs = chunkUs
    untilSample--
    if (untilSample > 0) return
    untilSample = sampleEvery
    if (samples.length < MOST_SAMPLES) samples.push((chunkUs - this.check.publishedUs) / 1000)
  }

  /** Of protobuf, the field's number says what it is: 1 welcome, 3 subscribed. */
  #other(payload: Buffer): void {
    const said = this.#what.format === 'json' ? String(JSON.parse(payload.toString()).type) : payload[0]
    if (said === 'welcome' || said === 0x0a) return
    if (said === 'subscribed' || said === 0x1a) return this.#isSubscribed()
    note(`told: ${payload.toString('latin1').slice(0, 200)}`)
  }
}

function note(text: string): void {
  if (troubles.length < MOST_TROUBLES) troubles.push(text)
}

function upgradeOf({ format }: GatewayCase): string {
  return [
    `GET /mq${format === 'json' ? '' : '?format=protobuf'} HTTP/1.1`,
    'Host: localhost',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
    '\r\n',
  ].join('\r\n')
}

/** subscribe { topics: topic } number: 1, of docs/gateway.proto; names are shorter than 100 bytes. */
function protobufOf(topic: string): Buffer {
  const name = Buffer.from(topic)
  const subscribe = Buffer.concat([Buffer.from([0x0a, name.length]), name])
  return Buffer.concat([Buffer.from([0x1a, subscribe.length]), subscribe, Buffer.from([0x70, 1])])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
