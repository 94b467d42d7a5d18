/**
 * A WebSocket client small enough to read, for the examples: Node has one of its own only since version 22.
 * It sends text and binary messages in one frame each, reads whole frames (our server never fragments), and answers nothing.
 */
import { randomBytes } from 'node:crypto'
import { get } from 'node:http'
import type { Socket } from 'node:net'

export class WebSocketClient {
  /** Text as strings, binary as buffers, in order. */
  readonly messages: (string | Buffer)[] = []
  /** Of the server's close frame; 1006 when the connection ended without one; undefined while it is open. */
  closeCode: number | undefined
  closeReason = ''
  readonly #socket: Socket
  readonly #frames: Record<string, unknown>[] = []
  #rest: Buffer = Buffer.alloc(0)

  /** `url` with http: instead of ws:. Rejects with the status when the upgrade is refused. */
  static open(url: string, headers: Record<string, string> = {}): Promise<WebSocketClient> {
    return new Promise((resolve, reject) => {
      const key = randomBytes(16).toString('base64')
      const upgrade = {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': key,
      }
      const request = get(url, { headers: { ...upgrade, ...headers } })
      request.on('error', reject)
      request.on('response', (response) => {
        response.resume()
        reject(new Error(`refused with ${response.statusCode}`))
      })
      request.on('upgrade', (_response, socket, head) => resolve(new WebSocketClient(socket as Socket, head)))
    })
  }

  constructor(socket: Socket, head: Buffer) {
    this.#socket = socket
    socket.on('error', () => {}) // 'close' follows, and tells.
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      this.closeCode ??= 1006
    })
    if (head.length > 0) this.#read(head)
  }

  send(data: string | Uint8Array): void {
    this.#write(typeof data === 'string' ? 1 : 2, Buffer.from(data as string))
  }

  /** Messages in JSON, each as an object; each is parsed once. */
  get frames(): readonly Record<string, unknown>[] {
    for (const text of this.messages.slice(this.#frames.length)) {
      this.#frames.push(JSON.parse(String(text)) as Record<string, unknown>)
    }
    return this.#frames
  }

  /** Stops and goes on reading: a client that is slow. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(code = 1000): void {
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(code)
    this.#write(8, payload)
  }

  /** What a client sends is masked (RFC 6455, 5.3). */
  #write(opcode: number, data: Buffer): void {
    const header = headerOf(opcode, data.length)
    const mask = randomBytes(4)
    this.#socket.write(Buffer.concat([header, mask, data.map((byte, at) => byte ^ (mask[at % 4] as number))]))
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    for (let size = sizeOf(this.#rest); size !== undefined; size = sizeOf(this.#rest)) {
      const end = size.header + size.data
      if (this.#rest.length < end) return
      this.#take((this.#rest[0] as number) & 15, this.#rest.subarray(size.header, end))
      this.#rest = this.#rest.subarray(end)
    }
  }

  #take(opcode: number, data: Buffer): void {
    if (opcode === 1) this.messages.push(data.toString())
    if (opcode === 2) this.messages.push(data)
    if (opcode === 9) this.#write(10, data)
    if (opcode !== 8) return
    this.closeCode = data.length >= 2 ? data.readUInt16BE() : 1005
    this.closeReason = data.subarray(2).toString()
    this.#write(8, data)
  }
}

function headerOf(opcode: number, length: number): Buffer {
  if (length < 126) return Buffer.from([0x80 + opcode, 0x80 + length])
  const header = Buffer.alloc(length < 65_536 ? 4 : 10)
  header[0] = 0x80 + opcode
  header[1] = 0x80 + (length < 65_536 ? 126 : 127)
  if (length < 65_536) header.writeUInt16BE(length, 2)
  else header.writeBigUInt64BE(BigInt(length), 2)
  return header
}

/** Of the first frame; undefined: its header has not come. */
function sizeOf(bytes: Buffer): { header: number; data: number } | undefined {
  const short = (bytes[1] ?? 0) & 127
  const header = short < 126 ? 2 : short === 126 ? 4 : 10
  if (bytes.length < header) return undefined
  if (short < 126) return { header, data: short }
  return { header, data: short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2)) }
}
