/**
 * A network in memory for a `World`: real frames over pretended sockets, each way in order, with a latency drawn anew.
 * Why not loopback: the kernel decides when its bytes come, so no seed would play the same twice; and here a process can
 * be cut off from everybody (its bytes wait, as in a kernel that repeats them) without anybody being told.
 * Invariant: bytes written before an end arrive before it; after `onClosed` nothing is handed out.
 */
import { MQError } from '../../../lib/errors/index.js'
import { FrameSplitter } from '../../../lib/net/frame-splitter.js'
import type { DialOptions, Listener, ListenOptions, Peer, Transport } from '../../../lib/net/index.js'
import type { RandomSource } from '../../../lib/util/index.js'
import type { SimProcess, World } from './world.js'

type OnTransport = (transport: Transport, peer: Peer) => void

interface Port {
  readonly owner: SimProcess
  readonly onTransport: OnTransport
  readonly open: Set<SimSocket>
}

/** Longest way of a message, most are much quicker. Milliseconds. */
const LATENCY_MS = 4
const FIRST_PORT = 9_001

let current: Network | null = null

/** Takes the place of the real `listen`: ports of the network that was made last. */
export function listen(options: ListenOptions, onTransport: OnTransport): Promise<Listener> {
  if (current === null) throw new Error('make a Network first')
  return Promise.resolve(current.listen(options, onTransport))
}

export class Network {
  readonly #kernel: SimProcess
  readonly #server: SimProcess
  readonly #random: RandomSource
  readonly #ports = new Map<number, Port>()
  readonly #cut = new Set<SimProcess>()
  #held: (() => void)[] = []
  readonly sockets = new Set<SimSocket>()
  #nextPort = FIRST_PORT

  /** `server`: the process that listens. */
  constructor(world: World, server: SimProcess, random: RandomSource) {
    this.#kernel = world.process('kernel')
    this.#server = server
    this.#random = random
    current = this
  }

  /** For the cluster of that process. */
  dialler(owner: SimProcess): (options: DialOptions) => Promise<Transport> {
    return (options) => this.#dial(owner, options)
  }

  listen({ port }: ListenOptions, onTransport: OnTransport): Listener {
    const number = port === 0 ? this.#nextPort++ : port
    const made: Port = { owner: this.#server, onTransport, open: new Set() }
    this.#ports.set(number, made)
    return {
      host: '127.0.0.1',
      port: number,
      get connections() {
        return made.open.size
      },
      close: async () => {
        this.#ports.delete(number)
        for (const socket of [...made.open]) socket.destroy(closed('the listener was closed'))
      },
    }
  }

  /** Sockets of that process that are open. */
  openOf(owner: SimProcess): number {
    return [...this.sockets].filter((socket) => socket.owner === owner).length
  }

  /** Nothing reaches it and nothing leaves it, until `heal`; nobody is told. */
  cut(owner: SimProcess): void {
    this.#cut.add(owner)
  }

  heal(owner: SimProcess): void {
    this.#cut.delete(owner)
    const held = this.#held
    this.#held = []
    for (const go of held) go()
  }

  /** The process is gone: its kernel ends its sockets. */
  endAll(owner: SimProcess): void {
    for (const socket of [...this.sockets]) if (socket.owner === owner) socket.vanish()
  }

  get latencyMs(): number {
    return this.#random.next() < 0.9 ? this.#random.next() : this.#random.next() * LATENCY_MS
  }

  /** A message on its way: waits while one of the two is cut off. */
  carry(atMs: number, from: SimProcess, to: SimProcess, task: () => void): void {
    const arrive = () => {
      if (this.#cut.has(from) || this.#cut.has(to)) this.#held.push(arrive)
      else to.receive(task)
    }
    this.#kernel.receive(arrive, atMs - this.#kernel.monotonicMs())
  }

  #dial(owner: SimProcess, { port, timeoutMs, signal, maxFrameBytes, host }: DialOptions): Promise<Transport> {
    return new Promise((resolve, reject) => {
      let isOver = false
      const end = (settle: () => void) => {
        isOver = true
        timer.cancel()
        signal?.removeEventListener('abort', abort)
        settle()
      }
      const abort = () => end(() => reject(closed('given up')))
      const timer = owner.setTimer(() => {
        end(() => reject(new MQError('CONNECTION_TIMEOUT', `no connection within ${timeoutMs} ms`, { host, port })))
      }, timeoutMs)
      if (signal?.aborted === true) return abort()
      signal?.addEventListener('abort', abort)
      const now = () => this.#kernel.monotonicMs()
      this.carry(now() + this.latencyMs, owner, this.#server, () => {
        const listening = this.#ports.get(port)
        if (listening === undefined) {
          const refused = () => end(() => reject(new MQError('CONNECTION_FAILED', 'refused', { host, port })))
          return this.carry(now() + this.latencyMs, this.#server, owner, refused)
        }
        const here = new SimSocket(this, owner, `127.0.0.1:${port}`, maxFrameBytes)
        const there = new SimSocket(this, listening.owner, '127.0.0.1:50000', maxFrameBytes)
        here.peer = there
        there.peer = here
        listening.open.add(there.open())
        there.onGone = () => listening.open.delete(there)
        listening.onTransport(there, { subject: null }) // No TLS here, so nobody has shown a certificate.
        this.carry(now() + this.latencyMs, this.#server, owner, () => {
          if (isOver) here.destroy(closed('given up'))
          else if (!here.isOpen) end(() => reject(new MQError('CONNECTION_FAILED', 'closed at once', { host, port })))
          else end(() => resolve(here.open()))
        })
      })
    })
  }
}

export class SimSocket implements Transport {
  onFrame: (frame: Uint8Array) => void = () => {}
  onDrain: () => void = () => {}
  onClosed: (reason: MQError) => void = () => {}
  onGone: () => void = () => {}
  readonly owner: SimProcess
  readonly remote: string
  readonly pendingBytes = 0
  bytesRead = 0
  peer!: SimSocket
  readonly #network: Network
  readonly #splitter: FrameSplitter
  #isPaused = false
  #waiting: (() => void)[] = [] // arrived while it was paused
  #reason: MQError | null = null
  #isGone = false
  #lastMs = 0 // when what was sent last arrives

  constructor(network: Network, owner: SimProcess, remote: string, maxFrameBytes: number) {
    this.#network = network
    this.owner = owner
    this.remote = remote
    this.#splitter = new FrameSplitter(maxFrameBytes)
  }

  /** Connected: its process has it from here on. */
  open(): this {
    this.#network.sockets.add(this)
    return this
  }

  get isOpen(): boolean {
    return this.#reason === null
  }

  write(chunks: readonly Uint8Array[], onFlushed?: () => void): boolean {
    if (!this.isOpen) return false
    const bytes = Buffer.concat(chunks as Uint8Array[])
    this.#send(() => this.peer.#inTurn(() => this.peer.#arrived(bytes)))
    this.owner.receive(() => {
      if (this.isOpen) onFlushed?.()
    })
    return true
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    if (this.#waiting.length > 0) this.owner.receive(() => this.#drain())
  }

  #drain(): void {
    while (!this.#isPaused && this.#waiting.length > 0) this.#waiting.shift()?.()
  }

  /** In order: what waits comes first. */
  #inTurn(task: () => void): void {
    this.#waiting.push(task)
    this.#drain()
  }

  destroy(reason: MQError): void {
    if (this.#reason !== null) return
    this.#reason = reason
    this.#splitter.stop()
    this.#send(() => this.peer.#inTurn(() => this.peer.#ended()))
    this.owner.receive(() => this.#gone())
  }

  /** Its process is dead: nobody here is told. */
  vanish(): void {
    if (this.#reason !== null) return
    this.#reason = closed('the process is gone')
    this.#send(() => this.peer.#inTurn(() => this.peer.#ended()))
    this.#leave()
  }

  #send(task: () => void): void {
    const now = this.owner.monotonicMs()
    this.#lastMs = Math.max(this.#lastMs, now + this.#network.latencyMs)
    this.#network.carry(this.#lastMs, this.owner, this.peer.owner, task)
  }

  #arrived(bytes: Uint8Array): void {
    if (!this.isOpen) return
    this.bytesRead += bytes.length
    try {
      this.#splitter.push(bytes, (frame) => this.onFrame(frame))
    } catch (error) {
      this.destroy(error instanceof MQError ? error : closed(String(error)))
    }
  }

  #ended(): void {
    this.destroy(closed(`${this.remote}: closed the connection`))
  }

  #gone(): void {
    if (this.#isGone) return
    this.#leave()
    this.onClosed(this.#reason as MQError)
    this.onGone()
  }

  #leave(): void {
    this.#isGone = true
    this.#network.sockets.delete(this)
  }
}

function closed(why: string): MQError {
  return new MQError('CONNECTION_CLOSED', why, {})
}
