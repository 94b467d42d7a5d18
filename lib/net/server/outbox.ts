/**
 * What one connection has to write at the end of this turn. Hot path.
 * Small pieces are copied into a run of a shared slab, long ones are kept as they are:
 *
 *   header, body, header -> one run        100 KiB -> by reference        header, body -> another run
 *
 * Invariant: pieces leave in the order in which they came; `bytes` is the sum of what has not been handed to the socket.
 */
import type { Socket } from 'node:net'
import type { OutputSlab, OutputSlabs } from './output-slab.js'
import { SLAB_BYTES } from './output-slab.js'
import type { Packed } from './types.js'

/** Longer pieces are not copied: from here on a gathered write is cheaper. */
const COPY_BYTES = 16 * 1024

export class Outbox {
  /** Bytes that wait for the end of the turn. */
  bytes = 0
  readonly #slabs: OutputSlabs
  #pieces: Uint8Array[] = []
  #run: OutputSlab | null = null
  #runStart = 0
  #runEnd = 0
  /** Slabs of writes that the system has not taken. */
  #lent: OutputSlab[] = []

  constructor(slabs: OutputSlabs) {
    this.#slabs = slabs
  }

  /** `isStalled`: earlier bytes wait in the socket, so these may wait for long and must not hold a shared slab. */
  add(packed: Packed, isStalled: boolean): void {
    if (packed instanceof Uint8Array) this.#addPiece(packed, isStalled)
    else for (let index = 0; index < packed.length; index++) this.#addPiece(packed[index] as Uint8Array, isStalled)
  }

  /** Hands everything to the socket in one gathered write; `onWritten` is called once for it. */
  writeTo(socket: Socket, onWritten: (error?: Error | null) => void): void {
    this.#endRun()
    this.bytes = 0
    const pieces = this.#pieces
    const last = pieces.length - 1
    if (last === 0) {
      const piece = pieces.pop() as Uint8Array
      socket.write(piece, onWritten)
      return
    }
    this.#pieces = []
    socket.cork()
    for (let index = 0; index < last; index++) socket.write(pieces[index] as Uint8Array)
    socket.write(pieces[last] as Uint8Array, onWritten)
    socket.uncork()
  }

  /** The system has everything that was handed to the socket: slabs can be used again. */
  settled(): void {
    const lent = this.#lent
    while (lent.length > 0) this.#slabs.giveBack(lent.pop() as OutputSlab)
  }

  /** The socket is gone, and what it held with it. */
  drop(): void {
    this.#endRun()
    this.#pieces = []
    this.bytes = 0
    this.settled()
  }

  #addPiece(piece: Uint8Array, isStalled: boolean): void {
    const { length } = piece
    if (length === 0) return
    this.bytes += length
    if (length <= COPY_BYTES && !isStalled) {
      this.#addToRun(piece)
      return
    }
    this.#endRun()
    this.#pieces.push(length > COPY_BYTES ? piece : Buffer.from(piece))
  }

  #addToRun(piece: Uint8Array): void {
    let run = this.#run
    // Another connection may have written behind our run meanwhile: it cannot grow any more.
    if (run === null || run.end !== this.#runEnd || run.end + piece.length > SLAB_BYTES) {
      this.#endRun()
      run = this.#slabs.slabFor(piece.length)
      run.lent++
      this.#run = run
      this.#runStart = run.end
    }
    run.buffer.set(piece, run.end)
    run.end += piece.length
    this.#runEnd = run.end
  }

  #endRun(): void {
    const run = this.#run
    if (run === null) return
    this.#pieces.push(run.buffer.subarray(this.#runStart, this.#runEnd))
    this.#lent.push(run)
    this.#run = null
  }
}
