/**
 * Cuts the stream of a dialled socket into length-prefixed frames, read where they will stay. Hot path (fetch answers).
 * Why not FrameSplitter: a chunk that Node hands out is fresh memory of 64 KiB, and a fetch answer of megabytes was put
 * together from a hundred of them: twice the memory, a copy, and twice as many collections. Here the kernel writes
 * straight into the frame. Small frames share a stage and are copied out of it.
 * Invariant: the receiver owns a frame, its bytes are never written again; memory is at most GROWTH times what really
 * came, whatever size a peer claims. Source: kafka.md W-7, W-15; `onread` of Node's net.
 *
 *   stage    [size|frame A][size|frame B][size|fra ]     A, B: copied out
 *   frame C                               [ fra|me C ... <- the kernel reads here ]
 */
import { checkFrameSize, MIN_FRAME_BYTES } from './frame-splitter.js'
import { SIZE_BYTES } from './transport.js'

/** One per socket: large enough for many answers of an ordinary size, small enough for hundreds of sockets. */
const STAGE_BYTES = 16 * 1024
/** A frame gets memory for so many times the bytes that came: all of it once an eighth is here, so little is copied. */
const GROWTH = 8

export class FrameReader {
  readonly #maxFrameBytes: number
  readonly #stage = Buffer.allocUnsafeSlow(STAGE_BYTES)
  #start = 0 // of what the stage holds
  #end = 0
  #large: Buffer | null = null // memory of a frame that the stage cannot hold, or of its first part
  #largeBytes = 0 // of that frame
  #have = 0 // of these, how many came
  #isStopped = false
  /** Set by the transport: bytes came. What comes before waits in the stage. */
  onBytes: (() => void) | null = null
  /** For `net.connect` and `tls.connect`. */
  readonly onread = {
    buffer: (): Buffer => this.target,
    callback: (bytes: number): boolean => this.#came(bytes),
  }

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes
  }

  /** Where the next bytes of the stream belong. Never empty behind `cut`. */
  get target(): Buffer {
    return this.#large === null ? this.#stage.subarray(this.#end) : this.#large.subarray(this.#have)
  }

  get isBetweenFrames(): boolean {
    return this.#large === null && this.#start === this.#end
  }

  /** So many bytes were written to `target`. */
  advance(bytes: number): void {
    if (this.#large === null) this.#end += bytes
    else this.#have += bytes
  }

  /** Calls `onFrame` for each frame that is complete. Throws on a size out of bounds. */
  cut(onFrame: (frame: Uint8Array) => void): void {
    if (this.#large !== null) this.#cutLarge(onFrame)
    else this.#cutStage(onFrame)
  }

  /** Nothing is handed out any more. */
  stop(): void {
    this.#isStopped = true
    this.#large = null
    this.#start = 0
    this.#end = 0
  }

  /** False stops the socket until `resume`: nobody takes bytes yet, and the stage is full. */
  #came(bytes: number): boolean {
    this.advance(bytes)
    this.onBytes?.()
    return this.onBytes !== null || this.#end < STAGE_BYTES
  }

  #cutStage(onFrame: (frame: Uint8Array) => void): void {
    while (!this.#isStopped && this.#end - this.#start >= SIZE_BYTES) {
      const size = this.#stage.readInt32BE(this.#start)
      checkFrameSize(size, MIN_FRAME_BYTES, this.#maxFrameBytes)
      const from = this.#start + SIZE_BYTES
      if (from + size > this.#end) {
        if (SIZE_BYTES + size > STAGE_BYTES) return this.#beginLarge(size, from)
        break
      }
      this.#start = from + size
      onFrame(Buffer.from(this.#stage.subarray(from, from + size)))
    }
    this.#moveToFront()
  }

  #moveToFront(): void {
    if (this.#start === 0) return
    this.#stage.copyWithin(0, this.#start, this.#end)
    this.#end -= this.#start
    this.#start = 0
  }

  #beginLarge(size: number, from: number): void {
    this.#largeBytes = size
    this.#have = this.#end - from
    this.#large = this.#memory()
    this.#stage.copy(this.#large, 0, from, this.#end)
    this.#start = 0
    this.#end = 0
  }

  #cutLarge(onFrame: (frame: Uint8Array) => void): void {
    const frame = this.#large as Buffer
    if (this.#have < frame.length) return
    if (this.#have < this.#largeBytes) {
      this.#large = this.#memory()
      frame.copy(this.#large)
      return
    }
    this.#large = null
    onFrame(frame)
  }

  /** The whole frame when enough of it is here, else as much as gets us there: growing on would copy more. */
  #memory(): Buffer {
    const allowed = Math.max(STAGE_BYTES, GROWTH * this.#have)
    if (this.#largeBytes <= allowed) return Buffer.allocUnsafeSlow(this.#largeBytes)
    return Buffer.allocUnsafeSlow(Math.min(allowed, Math.max(STAGE_BYTES, Math.ceil(this.#largeBytes / GROWTH))))
  }
}
