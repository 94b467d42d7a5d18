/**
 * One connection of a server: bytes come in, are cut into messages and given to the handler; what is sent in one turn leaves
 * in one write. Hot path. NT-1, NT-6, NT-7.
 *
 *   open --close()--> closing (what is queued leaves, what still comes is dropped) --'close' of the socket--> closed
 *     \--destroy(), error of the socket------------------------------------------------^
 *
 * Reading goes on while nobody paused it, the write buffer is within its limit and not too many answers are owed; what was
 * read already waits in the ring. Invariant: the handler's `onClose` runs once, after everything else.
 * Longer than other files: reading, ending and what the user calls all turn on the same few flags.
 */
import type { Socket } from 'node:net'
import { MQError } from '../../errors/index.js'
import { ConnectionTimers } from './connection-timers.js'
import { ConnectionWriter, type OnSent, type WriterOwner } from './connection-writer.js'
import { closedByPeer, closedHere, handlerFailed, notOpen, protocolFailed, tooLong, truncated } from './failures.js'
import type { LoopServices } from './loop-services.js'
import { type AnswerSink, PendingAnswers } from './pending-answers.js'
import { rawProtocol } from './protocols/raw.js'
import { RingBuffer } from './ring-buffer.js'
import type { Connection, ConnectionState, Handler, Packed, Protocol, SendOptions } from './types.js'

/** An incomplete message may be this much longer than the longest one: the header of any protocol. */
const HEADER_BYTES = 64 * 1024
/** Complete messages that wait while reading pauses: what was read when it paused, and what the socket had read ahead. */
const WAITING_BYTES = 128 * 1024
const RAW: unknown = rawProtocol()
const OPEN = 0
const CLOSING = 1
const CLOSED = 2

type AnyProtocol = Protocol<unknown, unknown, unknown>
type AnyHandler = Handler<unknown, unknown, unknown>

export class ServerConnection implements Connection<unknown, unknown, unknown>, AnswerSink, WriterOwner {
  readonly id: number
  readonly peerAddr: string
  readonly protocol: AnyProtocol
  readonly server: LoopServices
  readonly userBuffer: RingBuffer
  context: unknown = undefined
  protocolState: unknown = undefined
  readonly #loop: LoopServices
  readonly #socket: Socket
  readonly #handler: AnyHandler
  readonly #writer: ConnectionWriter
  readonly #timers: ConnectionTimers
  #phase: typeof OPEN | typeof CLOSING | typeof CLOSED = OPEN
  #isTold = false // the handler heard of it
  #isBegun = false // the protocol did
  #isOpened = false // and did not throw
  #isBusy = true // in our own turn: what is sent is written at its end
  #isReading = true
  #isPaused = false // by the user
  #isDraining = false // takes no more messages
  #isWriteShut = false
  #peerEnded = false
  #closeError: Error | null = null
  #pending: PendingAnswers | null = null
  #values: Map<string, unknown> | null = null

  constructor(
    socket: Socket,
    loop: LoopServices,
    id: number,
    peerAddr: string,
    protocol: AnyProtocol,
    handler: AnyHandler,
  ) {
    this.id = id
    this.peerAddr = peerAddr
    this.protocol = protocol
    this.server = loop
    this.userBuffer = new RingBuffer(0, loop.limits.maxFrameBytes + HEADER_BYTES + WAITING_BYTES)
    this.#loop = loop
    this.#socket = socket
    this.#handler = handler
    this.#writer = new ConnectionWriter(socket, loop, this)
    this.#timers = new ConnectionTimers(loop, this)
    socket.allowHalfOpen = true
    socket.on('error', (error) => {
      this.#closeError ??= closedByPeer(this, error)
    })
    socket.on('close', () => this.#closed())
  }

  /** Tells protocol and handler, then reads; `head` came before. */
  begin(head: Uint8Array | null): void {
    this.#timers.begin()
    try {
      this.#isBegun = true
      this.protocol.opened?.(this)
      this.#isOpened = true
      if (this.#phase === OPEN) this.#connect()
    } catch (error) {
      this.#fail(protocolFailed(this, error))
    }
    if (head !== null && head.length > 0) this.#receive(head)
    this.#isBusy = false
    this.#dispatch()
    // Reading begins with the listener, unless somebody paused meanwhile.
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    this.#socket.on('end', () => this.#onEnd())
    if (this.#isReading) this.#socket.resume()
    else this.#socket.pause()
  }

  get state(): ConnectionState {
    return this.#phase === OPEN ? 'open' : this.#phase === CLOSING ? 'closing' : 'closed'
  }

  get connected(): boolean {
    return this.#phase === OPEN
  }

  get readBufferLength(): number {
    return this.userBuffer.length
  }

  get writeBufferLength(): number {
    return this.#writer.bytes
  }

  /** Answers that are owed. */
  get pendingMessages(): number {
    return this.#pending === null ? 0 : this.#pending.size
  }

  get isReading(): boolean {
    return this.#isReading
  }

  get(key: string): unknown {
    return this.#values?.get(key)
  }

  set(key: string, value: unknown): void {
    this.#values ??= new Map()
    this.#values.set(key, value)
  }

  delete(key: string): boolean {
    return this.#values?.delete(key) ?? false
  }

  send(data: unknown, options?: SendOptions): boolean {
    this.#demandOpen(options)
    return this.#queue(this.protocol.pack(this, data), options?.onSent)
  }

  sendPacked(bytes: Packed, options?: SendOptions): boolean {
    this.#demandOpen(options)
    return this.#queue(bytes, options?.onSent)
  }

  shutdownWrite(): void {
    if (this.#phase !== OPEN || this.#isWriteShut) return
    this.#isWriteShut = true
    this.#writer.flush()
    this.#socket.end()
  }

  pause(): void {
    this.#isPaused = true
    if (!this.#isBusy) this.#settleReading()
  }

  resume(): void {
    this.#isPaused = false
    this.#readOn()
  }

  close(error: Error | null = null): void {
    if (this.#phase !== OPEN) return
    this.#phase = CLOSING
    this.#closeError ??= error
    this.#pending?.clear()
    this.#sayFarewell()
    this.#writer.flush()
    if (!this.#isWriteShut) this.#socket.end()
    this.#timers.closing()
    // What still comes is read and dropped: a socket closed with unread bytes would reset, and the peer lose our last ones.
    if (!this.#isBusy) this.#dispatch()
  }

  destroy(error: Error | null = null): void {
    if (this.#phase === CLOSED) return
    this.#phase = CLOSING
    this.#closeError ??= error
    this.#socket.destroy()
  }

  /** Closes, and does not wait for the peer's end: it is silent. */
  closeSilent(error: MQError): void {
    this.close(error)
    this.#socket.destroySoon()
  }

  /** Takes no more messages, and closes when the answers owed are given. */
  drain(): void {
    this.#isDraining = true
    if (!this.#isBusy) this.#settleReading()
  }

  /** End of the turn in which somebody sent something. */
  flush(): void {
    if (this.#isBusy) return
    this.#isBusy = true
    this.#writer.flush()
    this.#isBusy = false
    // What held complete messages back in the ring may have left with this write.
    this.#readOn()
  }

  // AnswerSink

  answer(value: unknown): void {
    // Nobody hears an answer after the end: `onClose` and `shutdownWrite` have told the handler.
    if (value === undefined || this.#phase !== OPEN || this.#isWriteShut) return
    try {
      this.#queue(this.protocol.pack(this, value), undefined)
    } catch (error) {
      this.#fail(protocolFailed(this, error))
    }
  }

  refused(error: unknown): void {
    this.#fail(handlerFailed('onMessage', this, error))
  }

  progressed(): void {
    this.#readOn()
  }

  // WriterOwner

  callOnSent(onSent: OnSent, error: Error | null): void {
    this.#call('onSent', () => onSent(error))
  }

  drained(): void {
    if (this.#phase === OPEN && this.#isTold) this.#call('onDrain', () => this.#handler.onDrain?.(this))
  }

  tookBytes(): void {
    this.#timers.active()
    this.#readOn()
  }

  // Reading

  #onData(chunk: Buffer): void {
    this.#loop.bytesIn += chunk.length
    if (this.#phase !== OPEN) return
    this.#timers.active()
    this.#receive(chunk)
    this.#dispatch()
  }

  #receive(chunk: Uint8Array): void {
    if (this.#phase !== OPEN) return
    try {
      this.userBuffer.withData(chunk)
    } catch (error) {
      this.#fail(tooLong(this, this.userBuffer.length + chunk.length, error))
    }
  }

  /** Gives the messages of the ring to the handler, as many as may be; their answers leave together. */
  #dispatch(): void {
    if (this.#isBusy) return
    this.#isBusy = true
    for (let wantsMore = true; wantsMore; ) {
      // What held the rest back may be gone with the bytes that were just written.
      wantsMore = this.#cutMessages()
      this.#writer.flush()
      wantsMore &&= this.#mayRead()
    }
    this.#isBusy = false
    this.#keep()
    this.#settleReading()
  }

  /** True: stopped before everything was looked at. */
  #cutMessages(): boolean {
    const { userBuffer: ring, protocol } = this
    while (!ring.isEmpty) {
      if (!this.#mayRead()) return this.#phase === OPEN
      const before = ring.length
      let ctx: unknown
      let data: unknown
      try {
        const message = protocol.unpack(this, ring)
        if (message === undefined) return false
        if (ring.length === before) throw notConsumed()
        ctx = message.ctx
        data = message.data
      } catch (error) {
        this.#fail(protocolFailed(this, error))
        return false
      }
      this.#timers.messageEnded()
      if (this.#isTooLong(data)) {
        this.#fail(tooLong(this, (data as Uint8Array).length))
        return false
      }
      // A protocol may have closed while it cut: its message is nobody's.
      if (this.#phase === OPEN) this.#deliver(ctx, data)
    }
    return false
  }

  #deliver(ctx: unknown, data: unknown): void {
    let reply: unknown
    try {
      reply = this.#handler.onMessage(this, ctx, data)
    } catch (error) {
      this.#fail(handlerFailed('onMessage', this, error))
      return
    }
    if (reply === undefined) return
    if (isPromise(reply)) {
      this.#pending ??= new PendingAnswers(this)
      this.#pending.await(reply)
    } else if (this.pendingMessages > 0) this.#pending?.add(reply)
    else this.answer(reply)
  }

  /** The chunk is worked off: what is left of it is the beginning of a message, or waits until reading goes on. */
  #keep(): void {
    const { userBuffer: ring } = this
    if (this.#phase !== OPEN) {
      ring.reset()
      return
    }
    try {
      ring.keep()
    } catch (error) {
      this.#fail(tooLong(this, ring.length, error))
      return
    }
    if (ring.isEmpty || !this.#mayRead()) return
    const { length } = ring
    if (length > this.#loop.limits.maxFrameBytes + HEADER_BYTES) this.#fail(tooLong(this, length))
    else this.#timers.messageBegan()
  }

  #isTooLong(data: unknown): boolean {
    if (!(data instanceof Uint8Array) || data.length <= this.#loop.limits.maxFrameBytes) return false
    return this.protocol !== RAW // whose pieces are as long as it happens
  }

  #mayRead(): boolean {
    return (
      this.#phase === OPEN &&
      !this.#isPaused &&
      !this.#isDraining &&
      this.#writer.isWithinLimit &&
      this.pendingMessages < this.#loop.limits.maxPendingMessages
    )
  }

  /** Something that may have held messages back has changed. */
  #readOn(): void {
    if (this.#isBusy) return
    if (!this.userBuffer.isEmpty && this.#mayRead()) this.#dispatch()
    else this.#settleReading()
  }

  #settleReading(): void {
    const shall = this.#phase !== OPEN || this.#mayRead()
    if (shall !== this.#isReading) {
      this.#isReading = shall
      if (shall) this.#socket.resume()
      else this.#socket.pause()
    }
    if (this.#phase === OPEN && (this.#peerEnded || this.#isDraining)) this.#closeWhenDone()
  }

  #onEnd(): void {
    this.#peerEnded = true
    this.#readOn()
  }

  /** Nothing more will come, or is wanted: what is owed is still given. */
  #closeWhenDone(): void {
    if (this.pendingMessages > 0) return
    if (this.#isDraining) {
      this.close()
      return
    }
    if (!this.#mayRead() || this.writeBufferLength > 0) return
    this.close(this.userBuffer.isEmpty ? null : truncated(this))
  }

  // Writing

  #queue(packed: Packed, onSent: OnSent | undefined): boolean {
    const isWithinLimit = this.#writer.queue(packed, onSent)
    if (this.#isBusy) return isWithinLimit
    this.#loop.flushSoon(this)
    if (!isWithinLimit) this.#settleReading()
    return isWithinLimit
  }

  #demandOpen(options: SendOptions | undefined): void {
    if (this.#phase === OPEN && !this.#isWriteShut) return
    const error = notOpen(this)
    const onSent = options?.onSent
    if (onSent !== undefined) this.callOnSent(onSent, error)
    throw error
  }

  // Beginning and end

  #connect(): void {
    this.#isTold = true
    this.#call('onConnect', () => this.#handler.onConnect?.(this))
  }

  /** A callback of the user: what it throws ends this connection only. */
  #call(name: string, callback: () => unknown): void {
    try {
      callback()
    } catch (error) {
      this.#fail(handlerFailed(name, this, error))
    }
  }

  #fail(error: MQError): void {
    this.#loop.raise(error)
    this.close(error)
  }

  #sayFarewell(): void {
    if (this.#isWriteShut || !this.#isOpened) return
    try {
      const bytes = this.protocol.farewell?.(this, this.#closeError)
      if (bytes !== undefined) this.#writer.queue(bytes, undefined)
    } catch (error) {
      this.#loop.raise(protocolFailed(this, error))
    }
  }

  #closed(): void {
    if (this.#phase === CLOSED) return
    this.#phase = CLOSED
    this.#isBusy = true // nothing is read or written any more
    this.#timers.stop()
    this.#pending?.clear()
    this.userBuffer.reset()
    this.#loop.gone(this)
    this.#writer.drop(this.#closeError ?? closedHere(this))
    if (this.#isBegun) this.#call('closed', () => this.protocol.closed?.(this))
    if (this.#isTold) this.#call('onClose', () => this.#handler.onClose?.(this, this.#closeError))
  }
}

function isPromise(reply: unknown): reply is PromiseLike<unknown> {
  if (typeof reply !== 'object' || reply === null || reply instanceof Uint8Array) return false
  return typeof (reply as { then?: unknown }).then === 'function'
}

function notConsumed(): MQError {
  return new MQError('INVALID_CONFIG', 'unpack gave a message and took no byte: it has to take what it gives', {
    path: 'protocol',
  })
}
