/**
 * From the lane into the log, once per turn of the event loop: what is sealed, then active buffers whose time has come.
 * Why one deferred turn: records written in one tick share a batch, and compression never runs inside a caller's append
 * (P-13). Why lanes fill while a commit runs: the log takes its next group when that ends, and one larger batch costs less
 * than several. Source: wal.md 3.2.
 */
import type { MQError } from '../../errors/index.js'
import type { TimerHandle } from '../../util/index.js'
import type { Batch } from '../batch.js'
import { finishBatch } from '../finish-batch.js'
import type { Lane } from '../lane.js'
import type { LogHost } from './log-host.js'

/** Plain bytes compressed, checksummed and logged in one turn of the event loop; the rest goes on in the next (P-14). */
const TURN_BYTES = 2 * 1024 * 1024
/** A lane with so many logged batches that were never sent makes larger ones (wal.md 3.2). */
const BACKLOG = 5

/** What the intake feeds. */
export interface IntakeTarget {
  /** Longest wait of a lane with a backlog for a larger batch. Milliseconds. */
  readonly acceptLingerMs: number
  /** Something of an earlier turn is not accepted yet. */
  readonly isCommitting: boolean
  readonly isFailed: boolean
  /** Takes a finished batch, or says that it cannot now. */
  append(lane: Lane, batch: Batch): boolean
  /** The same for all parts of a split at once. */
  appendFamily(lane: Lane, family: readonly Batch[]): boolean
  /** A turn is over. */
  looked(): void
  /** A codec is done with a batch that is spilled. */
  spilled(lane: Lane): void
}

export class LogIntake {
  readonly #host: LogHost
  readonly #target: IntakeTarget
  /** Batches go in as they are sealed; otherwise only when somebody spills them. */
  readonly #isEager: boolean
  /** Lanes with something to log, each once. */
  #touched: Lane[] = []
  #isTurnDue = false
  #lingerTimer: TimerHandle | null = null
  #isOpen = false
  #isClosed = false

  constructor(host: LogHost, target: IntakeTarget, isEager: boolean) {
    this.#host = host
    this.#target = target
    this.#isEager = isEager
  }

  /** There is a log now. */
  open(): void {
    this.#isOpen = true
    if (this.#isEager) for (const lane of this.#host.lanes) this.touch(lane)
  }

  close(): void {
    this.#isClosed = true
    this.#lingerTimer?.cancel()
    this.#lingerTimer = null
  }

  /** A commit ended: lanes that filled meanwhile have their turn. */
  committed(): void {
    if (this.#touched.length > 0) this.#scheduleTurn()
  }

  touch(lane: Lane): void {
    if (!this.#isEager || this.#isClosed) return
    if (!lane.isTouched) {
      lane.isTouched = true
      this.#touched.push(lane)
    }
    this.#scheduleTurn()
  }

  #scheduleTurn(): void {
    if (this.#isTurnDue || !this.#isOpen || this.#isClosed) return
    this.#isTurnDue = true
    this.#host.clock.defer(() => {
      this.#isTurnDue = false
      if (!this.#isClosed) this.#turn()
    })
  }

  #turn(): void {
    const lanes = this.#touched
    this.#touched = []
    // What runs now was appended in an earlier turn: while it is written, lanes fill.
    const { isCommitting } = this.#target
    let bytes = 0
    for (const lane of lanes) {
      lane.isTouched = false
      if (bytes >= TURN_BYTES) this.touch(lane)
      else bytes += this.#feed(lane, isCommitting)
    }
    this.#target.looked()
  }

  /** Logs what is sealed, then the active buffer when it is time; gives the plain bytes that were worked on. */
  #feed(lane: Lane, isCommitting: boolean): number {
    if (this.#target.isFailed) {
      lane.sealActive()
      lane.unlogged?.clear()
      lane.home?.enqueue(lane)
      return 0
    }
    let bytes = 0
    while (!lane.isLogging && bytes < TURN_BYTES) {
      const batch = this.#nextUnlogged(lane)
      if (batch === undefined) {
        if (lane.activeRecords === 0) return bytes
        if (!this.#shouldSeal(lane, isCommitting)) {
          this.#keep(lane, isCommitting)
          return bytes
        }
        lane.sealActive()
        continue
      }
      if (batch.family === null) {
        if (!this.finish(lane, batch) || !this.#target.append(lane, batch)) return bytes
        lane.unlogged?.popFront()
        bytes += batch.plainBytes
        continue
      }
      const { family } = batch
      if (!family.every((part) => this.finish(lane, part)) || !this.#target.appendFamily(lane, family)) return bytes
      for (const part of family) {
        lane.unlogged?.popFront()
        bytes += part.plainBytes
      }
    }
    if (!lane.isLogging) this.touch(lane)
    return bytes
  }

  #nextUnlogged(lane: Lane): Batch | undefined {
    const { unlogged } = lane
    for (let batch = unlogged?.peekFront(); batch !== undefined; batch = unlogged?.peekFront()) {
      if (batch.outcome === null) return batch
      unlogged?.popFront()
    }
    return undefined
  }

  /** wal.md 3.2: at once when the log is idle, when its commit ends, and larger while there is a backlog. */
  #shouldSeal(lane: Lane, isCommitting: boolean): boolean {
    if (isCommitting) return false
    const logged = lane.queuedBatches - lane.window.inFlight
    if (logged < BACKLOG || lane.activeBytes >= this.#host.settings.batchBytes) return true
    return lane.activeAgeMs >= this.#target.acceptLingerMs
  }

  /** Looks at the lane again when the commit ends, or when it has waited long enough. */
  #keep(lane: Lane, isCommitting: boolean): void {
    lane.isTouched = true
    this.#touched.push(lane)
    if (isCommitting || this.#lingerTimer !== null) return
    this.#lingerTimer = this.#host.clock.setTimer(() => {
      this.#lingerTimer = null
      this.#scheduleTurn()
    }, this.#target.acceptLingerMs)
  }

  /** True when the batch is in wire form; false: a codec works on it, or it had to be failed. */
  finish(lane: Lane, batch: Batch): boolean {
    if (batch.isFinished) return true
    try {
      const working = finishBatch(batch, lane.compression, lane.compressionHistory, this.#host.memory)
      if (working === null) return true
      lane.isLogging = true
      void working.then(
        () => this.#codecDone(lane, batch, null),
        (error: unknown) => this.#codecDone(lane, batch, error as MQError),
      )
    } catch (error) {
      this.#unfinished(lane, batch, error as MQError)
      this.touch(lane)
    }
    return false
  }

  /** What the log has already goes on without compression; anything else ends here. */
  #unfinished(lane: Lane, batch: Batch, error: MQError): void {
    if (batch.isInLog) batch.finish(0, null)
    else this.#host.unsendable(lane, batch, error)
  }

  #codecDone(lane: Lane, batch: Batch, error: MQError | null): void {
    lane.isLogging = false
    if (error !== null && batch.outcome === null) this.#unfinished(lane, batch, error)
    if (this.#isEager) this.touch(lane)
    else this.#target.spilled(lane)
  }
}
