/** A raw socket client: sends bytes, collects what the server says, knows when it ended. */
import { connect, type Socket } from 'node:net'
import { type Deferred, deferred } from '../../../lib/util/index.js'
import { DecoderProbe, type Told } from './support.js'

const REQUEST = [
  'GET / HTTP/1.1',
  'Host: localhost',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  '',
  '',
].join('\r\n')

export class Peer {
  /** Everything the server sent as an HTTP response. */
  head = ''
  /** Resolves with what was told, and how the server ended: true = in order, false = by a reset. */
  readonly ended: Deferred<{ told: Told[]; inOrder: boolean }> = deferred()
  readonly #socket: Socket
  readonly #probe = new DecoderProbe(64 * 1024 * 1024, 'server')
  readonly #waiting: { count: number; done: Deferred<void> }[] = []
  #bytes = Buffer.alloc(0)

  /** Connects and sends `request`. */
  constructor(port: number, request = REQUEST) {
    this.#socket = connect(port, '127.0.0.1')
    let inOrder = true
    this.#socket.setNoDelay(true)
    this.#socket.on('data', (bytes) => this.#receive(bytes))
    this.#socket.on('error', () => {
      inOrder = false
    })
    this.#socket.on('close', () => {
      this.ended.resolve({ told: this.told, inOrder })
      for (const { done } of this.#waiting) done.resolve()
    })
    this.#socket.write(request)
  }

  get told(): Told[] {
    return this.#probe.told
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.#socket.write(bytes, () => resolve()))
  }

  /** In pieces of `bytes` each, one write after the other. */
  async chop(bytes: Uint8Array, length: number): Promise<void> {
    for (let at = 0; at < bytes.length; at += length) await this.write(bytes.subarray(at, at + length))
  }

  /** Until the server has told `count` things or ended. */
  async hears(count: number): Promise<Told[]> {
    const done = deferred<void>()
    this.#waiting.push({ count, done })
    this.#wake()
    await done.promise
    return this.told
  }

  end(): void {
    this.#socket.end()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #receive(bytes: Buffer): void {
    if (this.head.startsWith('HTTP/1.1 101')) this.#probe.push(bytes)
    else this.#readHead(bytes)
    this.#wake()
  }

  #readHead(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    const end = this.#bytes.indexOf('\r\n\r\n')
    if (end === -1) return
    this.head = this.#bytes.toString('latin1', 0, end)
    if (this.head.startsWith('HTTP/1.1 101')) this.#probe.push(this.#bytes.subarray(end + 4))
  }

  #wake(): void {
    for (const { count, done } of this.#waiting) if (this.told.length >= count) done.resolve()
  }
}
