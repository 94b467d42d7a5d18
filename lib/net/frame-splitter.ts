/**
 * Cuts the chunks of an accepted socket into length-prefixed frames (dialled ones: frame-reader.ts).
 * Why no ring buffer: the chunks of a Node socket are fresh memory, so a frame inside one chunk is handed on as a view
 * and only a frame that spans chunks is put together, once, when it is complete.
 * Invariant: nothing is ever allocated on behalf of a claimed size; memory grows with bytes that really came.
 * A peer that sends single bytes costs no more than one that sends whole chunks: small pieces share a tail buffer.
 * Source: kafka.md W-7, W-15.
 *
 *   chunks   [size|frame A][size|fra] [me B  ] [...|size|frame C]
 *   frames         view           concatenated once    view
 */
import { MQError } from '../errors/index.js'
import { SIZE_BYTES } from './transport.js'

/** Pieces below this are copied into the tail, so that a piece never costs more to keep than its bytes are worth. */
const SMALL_PIECE = 4096
const TAIL_BYTES = 16 * 1024
/** A frame carries at least a correlation id. */
export const MIN_FRAME_BYTES = 4

/** Type of the record and major version: how a TLS peer answers what it does not understand. */
const TLS_ALERT = 0x1503

export class FrameSplitter {
  readonly #maxFrameBytes: number
  readonly #minFrameBytes: number
  #size = 0 // of the frame being read, or the part of the size field that has been read
  #sizeBytes = 0 // of the size field that have been read: SIZE_BYTES when #size is complete
  #have = 0 // bytes of the frame being read
  #pieces: Uint8Array[] = []
  #tail: Uint8Array | null = null // last piece while it has room
  #tailUsed = 0
  #isStopped = false

  constructor(maxFrameBytes: number, minFrameBytes = MIN_FRAME_BYTES) {
    this.#maxFrameBytes = maxFrameBytes
    this.#minFrameBytes = minFrameBytes
  }

  /** True between frames: an end of the stream here cuts nothing. */
  get isBetweenFrames(): boolean {
    return this.#sizeBytes === 0
  }

  /** Nothing is handed out any more, also not the rest of a chunk that is being cut. */
  stop(): void {
    this.#isStopped = true
    this.#reset()
  }

  /** Takes over `chunk` and calls `onFrame` for each frame that is complete. Throws on a size out of bounds. */
  push(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): void {
    let at = 0
    while (at < chunk.length && !this.#isStopped) {
      if (this.#sizeBytes < SIZE_BYTES) {
        at = this.#readSize(chunk, at)
        if (this.#sizeBytes < SIZE_BYTES) return
      }
      const end = Math.min(chunk.length, at + this.#size - this.#have)
      const isComplete = end - at === this.#size - this.#have
      const piece = at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end)
      at = end
      if (!isComplete) this.#keep(piece)
      else onFrame(this.#complete(piece))
    }
  }

  #readSize(chunk: Uint8Array, at: number): number {
    while (at < chunk.length && this.#sizeBytes < SIZE_BYTES) {
      this.#size = (this.#size << 8) | (chunk[at++] as number)
      this.#sizeBytes++
    }
    if (this.#sizeBytes === SIZE_BYTES) checkFrameSize(this.#size, this.#minFrameBytes, this.#maxFrameBytes)
    return at
  }

  #keep(piece: Uint8Array): void {
    this.#have += piece.length
    if (piece.length >= SMALL_PIECE) {
      this.#closeTail()
      this.#pieces.push(piece)
      return
    }
    for (let from = 0; from < piece.length; ) {
      if (this.#tail === null) this.#tail = new Uint8Array(TAIL_BYTES)
      const taken = Math.min(piece.length - from, TAIL_BYTES - this.#tailUsed)
      this.#tail.set(piece.subarray(from, from + taken), this.#tailUsed)
      this.#tailUsed += taken
      from += taken
      if (this.#tailUsed === TAIL_BYTES) this.#closeTail()
    }
  }

  #closeTail(): void {
    if (this.#tail === null) return
    this.#pieces.push(this.#tail.subarray(0, this.#tailUsed))
    this.#tail = null
    this.#tailUsed = 0
  }

  #complete(last: Uint8Array): Uint8Array {
    let frame = last
    if (this.#have > 0) {
      this.#closeTail()
      this.#pieces.push(last)
      frame = Buffer.concat(this.#pieces, this.#size)
    }
    this.#reset()
    return frame
  }

  #reset(): void {
    this.#size = 0
    this.#sizeBytes = 0
    this.#have = 0
    if (this.#pieces.length > 0) this.#pieces = []
    this.#tail = null
    this.#tailUsed = 0
  }
}

/** Throws CONNECTION_FAILED / MALFORMED_FRAME unless `size` is one a peer may claim. */
export function checkFrameSize(size: number, minFrameBytes: number, maxFrameBytes: number): void {
  if (size >= minFrameBytes && size <= maxFrameBytes) return
  const isAlert = size >>> 16 === TLS_ALERT
  const advice = isAlert
    ? 'these are the first bytes of a TLS alert: the port speaks TLS, set ssl.enabled'
    : 'is this a Kafka port, and one that speaks TLS or plain as configured?'
  const text = `expected a frame of ${minFrameBytes}..${maxFrameBytes} bytes, got a size of ${size}: ${advice}`
  throw new MQError('CONNECTION_FAILED', text, { reason: 'MALFORMED_FRAME', size, maxFrameBytes })
}
