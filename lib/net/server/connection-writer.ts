/**
 * The writing side of a connection: what is queued, under way, taken, and who wants to hear of it. Hot path. NT-6.
 * Why counted in writes: Node tells of writes, not of messages; a message is sent when the write that carried it is taken.
 *
 *   queued (outbox) --flush--> under way (socket) --taken at once, or told by its callback--> taken: `onSent(null)`
 *
 * Invariant: taken <= handed over; every `onSent` runs once, at the latest in `drop`.
 */
import type { Socket } from 'node:net'
import { Deque } from '../../util/index.js'
import type { LoopServices } from './loop-services.js'
import { Outbox } from './outbox.js'
import type { Packed } from './types.js'

export type OnSent = (error: Error | null) => void

/** Whose bytes they are. What the callbacks of the user throw is his affair. */
export interface WriterOwner {
  /** A turn has ended: calls `flush` of the writer. */
  flush(): void
  callOnSent(onSent: OnSent, error: Error | null): void
  /** Everything was taken since `queue` said that it is too much. */
  drained(): void
  /** The system took something. */
  tookBytes(): void
}

interface Receipt {
  /** The write after which the bytes are the system's. */
  readonly write: number
  readonly onSent: OnSent
}

export class ConnectionWriter {
  readonly #socket: Socket
  readonly #loop: LoopServices
  readonly #owner: WriterOwner
  readonly #outbox: Outbox
  readonly #limit: number // bytes
  #writes = 0 // handed to the socket
  #callbacks = 0 // of them, came back
  #taken = 0 // of them, are the system's
  #underWay = 0 // bytes handed over and not known to be taken
  #needsDrain = false
  #receipts: Deque<Receipt> | null = null

  constructor(socket: Socket, loop: LoopServices, owner: WriterOwner) {
    this.#socket = socket
    this.#loop = loop
    this.#owner = owner
    this.#outbox = new Outbox(loop.slabs)
    this.#limit = loop.limits.writeBufferBytes
  }

  /** Bytes that the system has not taken. */
  get bytes(): number {
    return this.#outbox.bytes + this.#socket.writableLength
  }

  /** One more byte is not too much. */
  get isWithinLimit(): boolean {
    return this.bytes <= this.#limit
  }

  /** Takes the bytes; false: that is more than there should be, `drained` follows. */
  queue(packed: Packed, onSent: OnSent | undefined): boolean {
    const outbox = this.#outbox
    outbox.add(packed, this.#socket.writableLength > 0)
    if (onSent !== undefined) {
      this.#receipts ??= new Deque()
      this.#receipts.pushBack({ write: outbox.bytes > 0 ? this.#writes + 1 : this.#writes, onSent })
    }
    if (this.isWithinLimit) return true
    this.#needsDrain = true
    return false
  }

  /** Hands everything to the socket in one write. */
  flush(): void {
    const outbox = this.#outbox
    if (outbox.bytes > 0) {
      this.#underWay += outbox.bytes
      this.#writes++
      outbox.writeTo(this.#socket, this.#onWritten)
      // Mostly the system takes everything at once.
      if (this.#socket.writableLength === 0) this.#took(this.#writes)
    } else if (this.#receipts !== null) this.#tellSent()
    // Whoever was told just now may have sent more, behind the only write of this turn.
    if (outbox.bytes > 0) this.#loop.flushSoon(this.#owner)
  }

  /** The socket is gone: what it did not take is lost. */
  drop(error: Error): void {
    this.#outbox.drop()
    const receipts = this.#receipts
    if (receipts === null) return
    this.#receipts = null
    for (const { onSent } of receipts) this.#owner.callOnSent(onSent, error)
  }

  readonly #onWritten = (error?: Error | null): void => {
    this.#callbacks++
    // Cancelled writes come back too, some without an error: `drop` tells everybody. Most were known to be taken.
    const isTaken = (error === undefined || error === null) && !this.#socket.destroyed
    if (isTaken && this.#callbacks > this.#taken) this.#took(this.#callbacks)
  }

  #took(writes: number): void {
    this.#taken = writes
    const left = this.#socket.writableLength
    this.#loop.bytesOut += this.#underWay - left
    this.#underWay = left
    if (left === 0) this.#outbox.settled()
    if (this.#receipts !== null) this.#tellSent()
    if (this.#needsDrain && this.bytes === 0) {
      this.#needsDrain = false
      this.#owner.drained()
    }
    this.#owner.tookBytes()
  }

  #tellSent(): void {
    const receipts = this.#receipts as Deque<Receipt>
    for (let first = receipts.peekFront(); first !== undefined; first = receipts.peekFront()) {
      if (first.write > this.#taken) return
      receipts.popFront()
      this.#owner.callOnSent(first.onSent, null)
    }
  }
}
