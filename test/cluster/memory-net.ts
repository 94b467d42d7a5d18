/**
 * A network in memory: pairs of transports instead of sockets, for tests on a fake clock.
 * Bytes really are framed and cut; delivery happens in microtasks, so `settle()` runs everything that can run.
 */
import { MQError } from '../../lib/errors/index.js'
import { type DialOptions, FrameSplitter, type Transport } from '../../lib/net/index.js'

const MAX_FRAME_BYTES = 1024 * 1024

export class MemoryTransport implements Transport {
  onFrame: (frame: Uint8Array) => void = () => {}
  onDrain: () => void = () => {}
  onClosed: (reason: MQError) => void = () => {}
  isOpen = true
  pendingBytes = 0
  bytesRead = 0
  writes = 0
  /** Bytes stay "in the socket" and `write` says full until `release`. */
  isStuck = false
  /** `onClosed` is held back, as by a write callback that has not fired. */
  holdsClosed = false
  readonly remote: string
  readonly #splitter = new FrameSplitter(MAX_FRAME_BYTES)
  #peer: MemoryTransport | null = null
  #stuck: (() => void)[] = []
  #tellClosed: (() => void) | null = null

  constructor(remote: string) {
    this.remote = remote
  }

  static pair(remote: string): [MemoryTransport, MemoryTransport] {
    const one = new MemoryTransport(remote)
    const other = new MemoryTransport('client')
    one.#peer = other
    other.#peer = one
    return [one, other]
  }

  write(chunks: readonly Uint8Array[], onFlushed?: () => void): boolean {
    if (!this.isOpen) return false
    this.writes++
    const bytes = Buffer.concat(chunks)
    const deliver = () => {
      this.pendingBytes -= bytes.length
      onFlushed?.()
      this.#peer?.receive(bytes)
    }
    this.pendingBytes += bytes.length
    if (this.isStuck) this.#stuck.push(deliver)
    else queueMicrotask(deliver)
    return !this.isStuck
  }

  receive(bytes: Uint8Array): void {
    if (!this.isOpen) return
    this.bytesRead += bytes.length
    try {
      this.#splitter.push(bytes, (frame) => this.onFrame(frame))
    } catch (error) {
      this.destroy(error as MQError)
    }
  }

  /** The socket takes what was stuck. */
  release(): void {
    this.isStuck = false
    for (const deliver of this.#stuck.splice(0)) deliver()
    this.onDrain()
  }

  pause(): void {}
  resume(): void {}

  destroy(reason: MQError): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#splitter.stop()
    this.#stuck = []
    this.#tellClosed = () => this.onClosed(reason)
    if (!this.holdsClosed) queueMicrotask(() => this.tellClosed())
    queueMicrotask(() => this.#peer?.destroy(new MQError('CONNECTION_CLOSED', 'the peer closed the connection')))
  }

  tellClosed(): void {
    this.#tellClosed?.()
    this.#tellClosed = null
  }
}

export type Accept = (transport: MemoryTransport) => void

/** Ports and who listens on them. */
export class MemoryNet {
  readonly #listeners = new Map<number, Accept>()
  /** Ports dialled, in order. */
  readonly dialled: number[] = []
  /** Every transport of the client side that was opened. */
  readonly opened: MemoryTransport[] = []
  #lastPort = 9000

  listen(accept: Accept): number {
    const port = ++this.#lastPort
    this.#listeners.set(port, accept)
    return port
  }

  listenAt(port: number, accept: Accept): void {
    this.#listeners.set(port, accept)
  }

  /** Connections to this port are refused from now on. */
  refuse(port: number): void {
    this.#listeners.delete(port)
  }

  get openConnections(): number {
    return this.opened.filter(({ isOpen }) => isOpen).length
  }

  readonly dial = async ({ host, port, signal }: DialOptions): Promise<Transport> => {
    this.dialled.push(port)
    await Promise.resolve()
    if (signal?.aborted === true) throw new MQError('CONNECTION_CLOSED', 'given up')
    const accept = this.#listeners.get(port)
    if (accept === undefined) throw new MQError('CONNECTION_FAILED', `${host}:${port} refused`, { host, port })
    const [client, server] = MemoryTransport.pair(`${host}:${port}`)
    this.opened.push(client)
    accept(server)
    return client
  }
}

/** Runs everything that can run without time moving on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}
