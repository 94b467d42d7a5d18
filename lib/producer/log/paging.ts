/**
 * Bytes of batches that the log has need not be in memory: they go when memory is short and come back when their turn
 * to be sent comes (WA-5). So a producer whose brokers are away accepts records until its log is full, not its memory.
 * Why youngest first: what is sent last is needed last. Why the first batches of each lane stay: a lane that has nothing
 * in memory would have nothing to offer to its sender, and every answer would wait for the disk.
 * Invariant: the bytes of a batch are in memory, in the log, or both, until it is settled.
 */
import { type MQError, toMQError } from '../../errors/index.js'
import { assert, Deque, runInBackground, type TimerHandle } from '../../util/index.js'
import type { Wal } from '../../wal/index.js'
import { failure } from '../answers.js'
import type { Batch } from '../batch.js'
import type { Lane } from '../lane.js'
import type { LogHost } from './log-host.js'

/** Batches of a lane that should be in memory before their turn: as many as may be in flight. */
const READ_AHEAD = 5

/** Until the disk is asked again for what it could not give. */
const READ_RETRY_MS = 1000

/** A list of fewer batches is not worth looking through. */
const TRIM_FROM = 1024

interface Candidate {
  readonly lane: Lane
  readonly batch: Batch
}

export class Paging {
  readonly #host: LogHost
  readonly #wal: Wal
  /** Accepted and in memory, oldest first; some are settled meanwhile. */
  readonly #inMemory = new Deque<Candidate>()
  /** Lanes whose next batch waits for memory. */
  readonly #starving = new Set<Lane>()
  /**
   * The one batch that may be in memory beyond the budget. Memory may be full of what a full log does not take: without
   * this nothing would be sent, nothing settled, and nothing ever freed. At most `maxBatchBytes`.
   */
  #onReserve: Batch | null = null
  /** Lanes whose next batch could not be read, until somebody tries again. */
  readonly #unread = new Set<Lane>()
  #retry: TimerHandle | null = null
  /** Batches whose bytes are in the log only. */
  #pagedOut = 0
  #trimAt = TRIM_FROM

  constructor(host: LogHost, wal: Wal) {
    this.#host = host
    this.#wal = wal
  }

  /** The log has this batch: its memory may be asked back. */
  accepted(lane: Lane, batch: Batch): void {
    this.#inMemory.pushBack({ lane, batch })
    if (this.#inMemory.size >= this.#trimAt) this.#trim()
  }

  /** Without those that were settled meanwhile: the list is at most twice as long as what is pending. */
  #trim(): void {
    const pending = [...this.#inMemory].filter(({ batch }) => batch.outcome === null && !batch.isPagedOut)
    this.#inMemory.clear()
    for (const one of pending) this.#inMemory.pushBack(one)
    this.#trimAt = Math.max(TRIM_FROM, 2 * pending.length)
  }

  /** Memory is short: gives back what the log has as well, youngest first. */
  relieve(): void {
    const { budget } = this.#host.memory
    while (budget.isSoft) {
      const youngest = this.#inMemory.popBack()
      if (youngest === undefined) return
      if (this.#mayGo(youngest)) this.#pageOut(youngest.batch)
    }
  }

  #mayGo({ lane, batch }: Candidate): boolean {
    if (batch.outcome !== null || batch.isInFlight || batch.attempts > 0 || batch.isPagedOut) return false
    let place = 0
    const stay = lane.window.inFlight > 0 ? READ_AHEAD : 1
    for (const waiting of lane.unsent()) {
      if (waiting === batch) return false
      if (++place >= stay) return true
    }
    return false
  }

  #pageOut(batch: Batch): void {
    batch.isPagedOut = true
    this.#pagedOut++
    if (this.#onReserve === batch) this.#onReserve = null
    this.#host.memory.release(batch)
  }

  /** A batch that begins its life in the log: recovered, or spilled and accepted. */
  adopted(batch: Batch): void {
    assert(batch.isPagedOut, 'a batch without bytes in memory')
    this.#pagedOut++
  }

  /** Brings the next batches of a lane back before their turn. */
  readAhead(lane: Lane): void {
    if (this.#pagedOut === 0) return
    let place = 0
    for (const batch of lane.unsent()) {
      if (place++ >= READ_AHEAD) return
      if (batch.isPagedOut && !batch.isLoading && !this.#load(lane, batch)) return
    }
  }

  #load(lane: Lane, batch: Batch): boolean {
    const { memory } = this.#host
    let bytes = batch.wireBytes
    if (!memory.budget.tryTakeReserve(bytes, 0)) {
      if (this.#onReserve !== null) {
        this.#starving.add(lane)
        return false
      }
      this.#onReserve = batch
      bytes = 0
    }
    batch.isLoading = true
    runInBackground(
      `reading ${lane.topic}-${lane.partition} from the log`,
      async () => {
        const body = await this.#wal.read(batch.lsn)
        batch.isLoading = false
        this.#pagedOut--
        if (batch.outcome !== null) return memory.budget.give(bytes, 0) // The producer ended meanwhile.
        batch.heldBytes = bytes
        batch.restore(Buffer.from(body.buffer, body.byteOffset, body.length), batch.records, batch.maxTimestamp)
        this.#inMemory.pushFront({ lane, batch })
        lane.home?.enqueue(lane)
      },
      (name, error) => {
        batch.isLoading = false
        memory.budget.give(bytes, 0)
        if (this.#onReserve === batch) this.#onReserve = null
        if (batch.outcome !== null) this.#pagedOut--
        else this.#notRead(lane, batch, toMQError(error, 'PRODUCE_FAILED', name))
      },
    )
    return true
  }

  /** Damage is an outcome; a disk that does not answer now is asked again: nobody has decided about the records. */
  #notRead(lane: Lane, batch: Batch, error: MQError): void {
    const { topic, partition } = lane
    if (error.context.reason === 'WAL_CORRUPT') {
      this.#pagedOut--
      lane.withdraw(batch)
      return lane.settle(batch, failure(error.with({ topic, partition, persistence: 'not-persisted' })))
    }
    this.#host.warn(error.with({ topic, partition }))
    this.#unread.add(lane)
    this.#retry ??= this.#host.clock.setTimer(() => {
      this.#retry = null
      const lanes = [...this.#unread]
      this.#unread.clear()
      for (const one of lanes) this.readAhead(one)
    }, READ_RETRY_MS)
  }

  /** Nothing is read any more. */
  close(): void {
    this.#retry?.cancel()
    this.#starving.clear()
    this.#unread.clear()
  }

  /** A batch goes on as parts: what was beyond the budget still is, until the last of them has its outcome. */
  replaced(batch: Batch, parts: readonly Batch[]): void {
    if (this.#onReserve === batch) this.#onReserve = parts.at(-1) ?? null
    this.feedStarving()
  }

  /** A batch got its outcome, and its memory is free. */
  settled(batch: Batch): void {
    if (this.#onReserve === batch) this.#onReserve = null
    this.feedStarving()
  }

  /** Memory came back: lanes that waited for some go on. */
  feedStarving(): void {
    if (this.#starving.size === 0) return
    const lanes = [...this.#starving]
    this.#starving.clear()
    for (const lane of lanes) this.readAhead(lane)
  }
}
