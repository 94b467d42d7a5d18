/**
 * A Transport over one TCP or TLS socket.
 * Why one class for both sides: the broker we ship and the client meet the same framing, limits and endings.
 * Invariant: `onClosed` fires once, when the socket emitted 'close' and no write callback is outstanding (W-13).
 * Node calls the callbacks of cancelled writes too, so the count always comes down to zero.
 *
 *   open --destroy / error / end of stream--> destroyed --'close', callbacks--> onClosed
 */
import type { Socket } from 'node:net'
import { findMQError, MQError } from '../errors/index.js'
import type { Clock, TimerHandle } from '../util/index.js'
import type { FrameReader } from './frame-reader.js'
import { FrameSplitter } from './frame-splitter.js'
import type { Transport } from './transport.js'

export interface SocketSettings {
  readonly maxFrameBytes: number
  /** No byte taken for so long: destroyed. Milliseconds; 0 = never. */
  readonly writeTimeoutMs: number
  readonly clock: Clock
  readonly remote: string
  /** Of a dialled socket, which reads into it; an accepted one hands out chunks. */
  readonly reader?: FrameReader | undefined
  /** What an error of the socket means where it is more than its end. */
  readonly judge?: ((error: Error) => MQError | null) | undefined
  /** After the owner's `onClosed`. */
  readonly onGone?: (() => void) | undefined
}

/** A stall is noticed at most this share of the limit late; a finer look would only cost timers. */
const LOOKS_PER_LIMIT = 8

const ignore = () => {}

export class SocketTransport implements Transport {
  onFrame: (frame: Uint8Array) => void = ignore
  onDrain: () => void = ignore
  onClosed: (reason: MQError) => void = ignore
  readonly remote: string
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #writeTimeoutMs: number
  readonly #onGone: () => void
  readonly #frames: FrameSplitter | FrameReader
  readonly #handOut = (frame: Uint8Array) => this.onFrame(frame)
  #reason: MQError | null = null
  #isSocketClosed = false
  #isClosedTold = false
  #writes = 0 // write calls whose callback is outstanding
  #flushed = 0 // write calls that ended
  #look: TimerHandle | null = null
  #seenProgress = 0
  #progressAtMs = 0

  constructor(socket: Socket, settings: SocketSettings) {
    this.#socket = socket
    this.#clock = settings.clock
    this.#writeTimeoutMs = settings.writeTimeoutMs
    this.#onGone = settings.onGone ?? ignore
    this.remote = settings.remote
    this.#frames = settings.reader === undefined ? this.#readChunks(settings) : this.#readFrames(settings.reader)
    socket.on('drain', () => {
      if (this.isOpen) this.onDrain()
    })
    socket.on('error', (error) => this.destroy(settings.judge?.(error) ?? this.#closedBy(error)))
    socket.on('end', () => this.destroy(this.#closedBy(null)))
    socket.on('close', () => {
      this.#reason ??= this.#closedBy(null)
      this.#isSocketClosed = true
      this.#tellClosed()
    })
  }

  get isOpen(): boolean {
    return this.#reason === null
  }

  get pendingBytes(): number {
    return this.#socket.writableLength
  }

  get bytesRead(): number {
    return this.#socket.bytesRead
  }

  write(chunks: readonly Uint8Array[], onFlushed?: () => void): boolean {
    if (!this.isOpen) return false
    const socket = this.#socket
    const last = chunks.length - 1
    this.#writes++
    // Corked, all chunks leave in one writev; nothing is concatenated (W-12).
    if (last > 0) socket.cork()
    for (let index = 0; index < last; index++) socket.write(chunks[index] as Uint8Array)
    socket.write(last >= 0 ? (chunks[last] as Uint8Array) : new Uint8Array(0), () => this.#wrote(onFlushed))
    if (last > 0) socket.uncork()
    if (this.#look === null && this.#writeTimeoutMs > 0) this.#watchStall()
    return !socket.writableNeedDrain
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  destroy(reason: MQError): void {
    if (this.#reason !== null) return
    this.#reason = reason
    this.#frames.stop()
    this.#look?.cancel()
    this.#look = null
    this.#socket.destroy()
  }

  #readChunks({ maxFrameBytes }: SocketSettings): FrameSplitter {
    const splitter = new FrameSplitter(maxFrameBytes)
    this.#socket.on('data', (chunk: Buffer) => this.#guarded(() => splitter.push(chunk, this.#handOut)))
    return splitter
  }

  #readFrames(reader: FrameReader): FrameReader {
    const cut = () => reader.cut(this.#handOut)
    reader.onBytes = () => this.#guarded(cut)
    // A peer that spoke before it was asked: its bytes wait, and no further ones may come to call for them.
    if (!reader.isBetweenFrames) {
      this.#clock.defer(() => {
        this.#guarded(cut)
        this.resume()
      })
    }
    return reader
  }

  #guarded(read: () => void): void {
    if (!this.isOpen) return
    try {
      read()
    } catch (error) {
      this.destroy(this.#badInput(error))
    }
  }

  /** Also called for writes that were cancelled: only a socket that still lives has really taken the bytes. */
  #wrote(onFlushed: (() => void) | undefined): void {
    this.#writes--
    this.#flushed++
    if (this.isOpen && !this.#socket.destroyed) onFlushed?.()
    else this.#tellClosed()
  }

  #tellClosed(): void {
    if (!this.#isSocketClosed || this.#writes > 0 || this.#isClosedTold) return
    this.#isClosedTold = true
    this.#look?.cancel()
    this.#look = null
    this.onClosed(this.#reason as MQError)
    this.#onGone()
  }

  // One timer per socket with bytes pending, re-armed only when it fires: a write costs no timer of its own.
  #watchStall(): void {
    this.#seenProgress = this.#progress()
    this.#progressAtMs = this.#clock.monotonicMs()
    this.#lookAgain()
  }

  #lookAgain(): void {
    this.#look = this.#clock.setTimer(() => this.#lookForStall(), this.#writeTimeoutMs / LOOKS_PER_LIMIT)
  }

  #lookForStall(): void {
    this.#look = null
    if (!this.isOpen || this.#socket.writableLength === 0) return
    this.#noteProgress()
    if (this.#isStalled()) this.#clock.defer(() => this.#judgeStall())
    else this.#lookAgain()
  }

  /** If our own event loop stood still, the socket had no turn to tell of its progress: it gets one first. */
  #judgeStall(): void {
    if (!this.isOpen) return
    this.#noteProgress()
    if (this.#socket.writableLength > 0 && this.#isStalled()) this.destroy(this.#stalled())
    else if (this.#look === null && this.#socket.writableLength > 0) this.#lookAgain()
  }

  #noteProgress(): void {
    const progress = this.#progress()
    if (progress === this.#seenProgress) return
    this.#seenProgress = progress
    this.#progressAtMs = this.#clock.monotonicMs()
  }

  #isStalled(): boolean {
    return this.#clock.monotonicMs() - this.#progressAtMs >= this.#writeTimeoutMs
  }

  /**
   * A number that changes whenever a byte was taken. Node tells of whole writes only, and one write may be megabytes;
   * the handle knows how much of it is left. Where it does not, whole writes have to do.
   */
  #progress(): number {
    const handle = (this.#socket as unknown as { _handle?: { writeQueueSize?: number } | null })._handle
    return this.#flushed * 2 ** 32 - (handle?.writeQueueSize ?? 0)
  }

  #stalled(): MQError {
    const { remote } = this
    const pendingBytes = this.pendingBytes
    const text = `${remote} took no byte for writeTimeoutMs ${this.#writeTimeoutMs} while ${pendingBytes} bytes waited`
    return new MQError('CONNECTION_TIMEOUT', text, { remote, pendingBytes })
  }

  #closedBy(cause: Error | null): MQError {
    const { remote } = this
    const how = cause === null ? 'closed the connection' : `connection failed (${codeOf(cause)})`
    const cut = this.#frames.isBetweenFrames ? '' : ' in the middle of a frame'
    return new MQError('CONNECTION_CLOSED', `${remote}: ${how}${cut}`, { remote }, { cause: cause ?? undefined })
  }

  #badInput(error: unknown): MQError {
    const { remote } = this
    const known = findMQError(error)
    if (known !== undefined) return known.with({ remote })
    return new MQError('CONNECTION_CLOSED', `${remote}: reading a frame failed here`, { remote }, { cause: error })
  }
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message
}
