/**
 * A plain socket that sends Kafka frames and gives back the answers, for tests that must control every byte.
 * Invariant: one question at a time; a closed socket is an answer of its own (null), never a hanging test.
 */
import { connect, type Socket } from 'node:net'

const ANSWER_LIMIT_MS = 15_000

export class FrameSocket {
  readonly #host: string
  readonly #port: number
  #socket: Socket | null = null
  #received = Buffer.alloc(0)
  #wake: () => void = () => {}

  constructor(address: string) {
    const [host = '', port = ''] = address.split(':')
    this.#host = host
    this.#port = Number(port)
  }

  get isOpen(): boolean {
    return this.#socket !== null
  }

  /** Sends a whole frame and waits for one answer, without its size; null when the broker closed instead. */
  async ask(frame: Uint8Array): Promise<Buffer | null> {
    await this.tell(frame)
    const deadlineMs = Date.now() + ANSWER_LIMIT_MS
    while (true) {
      const answer = this.#takeFrame()
      if (answer !== null || this.#socket === null) return answer
      await this.#changed(deadlineMs - Date.now())
    }
  }

  /** Sends a frame that has no answer. */
  async tell(frame: Uint8Array): Promise<void> {
    const socket = this.#socket ?? (await this.#open())
    socket.write(frame)
  }

  /** True if the broker closes the socket within the limit. */
  async closes(limitMs: number): Promise<boolean> {
    const deadlineMs = Date.now() + limitMs
    while (this.#socket !== null && Date.now() < deadlineMs)
      await this.#changed(deadlineMs - Date.now()).catch(() => {})
    return this.#socket === null
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = null
  }

  async #open(): Promise<Socket> {
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true })
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    this.#socket = socket
    this.#received = Buffer.alloc(0)
    socket.on('error', () => {}) // 'close' follows
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = null
      this.#wake()
    })
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    return socket
  }

  #takeFrame(): Buffer | null {
    if (this.#received.length < 4) return null
    const end = 4 + this.#received.readInt32BE(0)
    if (this.#received.length < end) return null
    const frame = this.#received.subarray(4, end)
    this.#received = this.#received.subarray(end)
    return frame
  }

  #changed(limitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_LIMIT_MS} ms`)), Math.max(0, limitMs))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
