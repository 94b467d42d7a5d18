/**
 * A gateway for tests of the browser's client: a log in memory, sockets that can be cut anywhere, time and chance by hand.
 * It keeps to the contract of frames (lib/gateway/types.ts), and a test may answer by hand instead.
 */
import { type RandomSource, randomInt } from '../../lib/util/index.js'

export interface Stored {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
}

type Frame = Record<string, unknown>
interface Cursor {
  next: number
  readonly key: string | undefined
}

export class FakeTimers {
  #now = 0
  #tasks: { readonly at: number; readonly task: () => void }[] = []
  readonly set = (task: () => void, ms: number): unknown => {
    const entry = { at: this.#now + ms, task }
    this.#tasks.push(entry)
    return entry
  }
  readonly clear = (timer: unknown): void => {
    this.#tasks = this.#tasks.filter((entry) => entry !== timer)
  }
  readonly now = (): number => this.#now

  get count(): number {
    return this.#tasks.length
  }

  /** Runs what is due, in order of time; promises settle between two tasks. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#now + ms
    while (true) {
      await settled()
      const due = this.#tasks.filter(({ at }) => at <= endMs).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#now = due.at
      this.clear(due)
      due.task()
    }
    this.#now = endMs
    await settled()
  }
}

/** What is promised already has happened. */
export async function settled(): Promise<void> {
  for (let n = 0; n < 10; n++) await Promise.resolve()
}

/** The WebSocket that the client sees, seen from the other side. */
export class FakeSocket {
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null
  readonly sent: Frame[] = []
  isOpen = true
  /** The other side has said that it closes; this one has not been told yet. */
  isClosing = false
  closedWith = 0
  readonly url: string
  readonly #gateway: FakeGateway

  constructor(gateway: FakeGateway, url: string) {
    this.#gateway = gateway
    this.url = url
  }

  get readyState(): number {
    return this.isOpen ? (this.isClosing ? 2 : 1) : 3
  }

  send(text: string): void {
    if (this.readyState !== 1) throw new Error('a browser complains, and what it was given is gone')
    const frame = JSON.parse(text) as Frame
    this.sent.push(frame)
    this.#gateway.heard(this, frame)
  }

  close(code: number): void {
    this.isOpen = false
    this.closedWith = code
  }

  tell(frame: unknown): void {
    if (this.isOpen) this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) })
  }

  /** The network ends it; the client hears of it. */
  cut(code = 1006): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.onclose?.({ code, reason: '' })
  }
}

/** Answers by itself when `isAutomatic`; each answer waits in `outbox` until `pump` delivers it, so that a cut can come between. */
export class FakeGateway {
  readonly log: Stored[] = []
  readonly sockets: FakeSocket[] = []
  readonly timers = new FakeTimers()
  readonly #partitions: number
  isAutomatic = true
  limits: Record<string, number> = { maxInFlight: 10, maxFrameBytes: 1_000 }
  outbox: { readonly socket: FakeSocket; readonly frame: Frame }[] = []
  #cursors = new Map<FakeSocket, Map<string, Cursor>>()

  constructor(partitions = 2) {
    this.#partitions = partitions
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1) as FakeSocket
  }

  /** Options of `connect`. */
  options(random: () => number = () => 0.5) {
    const gateway = this
    return {
      timers: this.timers,
      random,
      WebSocket: class {
        constructor(url: string) {
          const socket = new FakeSocket(gateway, url)
          gateway.sockets.push(socket)
          // biome-ignore lint/correctness/noConstructorReturn: the client may have only the fake
          return socket
        }
      },
    }
  }

  /** The server accepts the newest socket. */
  welcome(): FakeSocket {
    this.socket.tell({ type: 'welcome', name: 'ann', version: 1, limits: this.limits })
    return this.socket
  }

  store(topic: string, partition: number, key: string | null, value: string | null): number {
    const offset = this.log.filter((entry) => entry.topic === topic && entry.partition === partition).length
    this.log.push({ topic, partition, offset, key, value })
    return offset
  }

  heard(socket: FakeSocket, frame: Frame): void {
    if (!this.isAutomatic) return
    const { type, id } = frame
    const answer = (fields: Frame) => this.outbox.push({ socket, frame: { ...fields, id } })
    if (type === 'publish') {
      const partition = (frame.partition as number | undefined) ?? 0
      const offset = this.store(
        frame.topic as string,
        partition,
        (frame.key as string | null) ?? null,
        frame.value as string,
      )
      answer({ type: 'ack', topic: frame.topic, partition, offset, timestamp: 7 })
    } else if (type === 'subscribe') answer({ type: 'subscribed', topics: this.#subscribe(socket, frame) })
    else if (type === 'unsubscribe') {
      for (const topic of frame.topics as string[]) this.#drop(socket, topic)
      answer({ type: 'unsubscribed' })
    } else if (type === 'ping') answer({ type: 'pong' })
  }

  /** Records that the newest socket has to get, each once, behind what waits already. */
  feed(): void {
    for (const [name, cursor] of this.#cursors.get(this.socket) ?? []) {
      const [topic, partition] = name.split('/') as [string, string]
      for (const entry of this.log) {
        if (entry.topic !== topic || entry.partition !== Number(partition) || entry.offset < cursor.next) continue
        cursor.next = entry.offset + 1
        if (cursor.key !== undefined && cursor.key !== entry.key) continue
        this.outbox.push({ socket: this.socket, frame: { type: 'record', timestamp: 7, ...entry } })
      }
    }
  }

  /** Delivers the first `count` waiting frames; those of dead sockets fall. */
  pump(count = Number.POSITIVE_INFINITY): void {
    for (const { socket, frame } of this.outbox.splice(0, Math.min(count, this.outbox.length))) socket.tell(frame)
  }

  /** Delivers a random number of frames, then cuts. */
  cutSomewhere(random: RandomSource): void {
    this.pump(randomInt(random, this.outbox.length + 1))
    this.outbox = []
    this.socket.cut()
  }

  #subscribe(socket: FakeSocket, frame: Frame) {
    const cursors = this.#cursors.get(socket) ?? new Map<string, Cursor>()
    this.#cursors.set(socket, cursors)
    const from = frame.from as string | Record<string, Record<string, number>>
    const topics: Record<string, Record<string, number>> = {}
    for (const topic of frame.topics as string[]) {
      topics[topic] = {}
      for (let partition = 0; partition < this.#partitions; partition++) {
        const end = this.log.filter((entry) => entry.topic === topic && entry.partition === partition).length
        const named = typeof from === 'string' ? undefined : from[topic]?.[partition]
        const next = named ?? (from === 'earliest' ? 0 : end)
        cursors.set(`${topic}/${partition}`, { next, key: frame.key as string | undefined })
        topics[topic][partition] = next
      }
    }
    return topics
  }

  #drop(socket: FakeSocket, topic: string): void {
    const cursors = this.#cursors.get(socket)
    for (const name of [...(cursors?.keys() ?? [])]) if (name.startsWith(`${topic}/`)) cursors?.delete(name)
  }
}
