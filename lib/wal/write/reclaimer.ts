/**
 * Frees the oldest segments when nothing in them is unsettled any more.
 *
 *   copies durable, acknowledgements written ─> CHECKPOINT(oldest = k) ─> durable ─> files below k become spares
 *
 * Invariant: no segment is freed before its checkpoint is durable, and no outcome that frees it is missing on the disk;
 * where there is no room left for acknowledgements, the CHECKPOINT alone tells the outcome and makes the room.
 * Source: wal.md 5.
 */
import { assert } from '../../util/index.js'
import type { LogTables } from '../state/tables.js'
import { putCheckpoint } from './checkpoint.js'
import type { CommitLine } from './commit-line.js'
import type { Composer } from './composer.js'
import type { Group } from './group.js'
import type { Limits } from './limits.js'
import type { Progress } from './progress.js'
import { controlGroup } from './rotation.js'
import type { Shelf } from './shelf.js'

export class Reclaimer {
  readonly #tables: LogTables
  readonly #limits: Limits
  readonly #progress: Progress
  readonly #composer: Composer
  readonly #shelf: Shelf
  /** Segments below are to be freed; 0: none. */
  #target = 0
  /** Settlements that must be written before. */
  #settlements = 0
  /** LSN that must be durable before: a copy that made its old segment free may not be lost while the CHECKPOINT lasts. */
  #lsn = 0
  #unit: Group | null = null
  /** Bytes written up to the end of the CHECKPOINT; -1: it is not written. */
  #mark = -1
  /** No group finds room: the CHECKPOINT goes first. */
  isStarved = false
  /** Behind a CLOSE frame nothing follows. */
  isStopped = false

  constructor(tables: LogTables, limits: Limits, progress: Progress, composer: Composer, shelf: Shelf) {
    this.#tables = tables
    this.#limits = limits
    this.#progress = progress
    this.#composer = composer
    this.#shelf = shelf
  }

  /** True: acknowledgements must be flushed for it. */
  look(line: CommitLine): boolean {
    if (this.#target > 0) return false
    const limit = line.previous?.number ?? line.current.number
    const oldest = Math.min(limit, this.#tables.oldestLiveSegment(limit))
    if (oldest <= this.#progress.oldestSegment) return false
    this.#target = oldest
    this.#settlements = this.#composer.settlements
    this.#lsn = this.#progress.writtenLsn
    if (this.#progress.durableLsn < this.#lsn) line.syncAll()
    return this.#progress.writtenSettlements < this.#settlements
  }

  /** Segments are about to be freed. */
  get isUnderWay(): boolean {
    return this.#target > 0
  }

  /** The CHECKPOINT may be written now. */
  isReady(): boolean {
    if (this.isStopped || this.#target === 0 || this.#mark >= 0) return false
    if (this.#progress.durableLsn < this.#lsn) return false
    return this.#progress.writtenSettlements >= this.#settlements || this.isStarved
  }

  /** The CHECKPOINT, when it is its turn. */
  unit(line: CommitLine): Group | null {
    if (!this.isReady()) return null
    const { writtenLsn, writtenBodyCrc, writtenSettlements } = this.#progress
    const group = controlGroup(writtenLsn)
    group.settlements = writtenSettlements
    group.wantsSync = true
    const place = { lastLsn: writtenLsn, lastBodyCrc: writtenBodyCrc, oldestSegment: this.#target }
    putCheckpoint(group, this.#tables, this.#limits, place, line.unwritten)
    this.#unit = group
    return group
  }

  /**
   * What the next CHECKPOINT must call the oldest segment: never a lower one than a CHECKPOINT before it, which may
   * become durable, and have its segments freed, at any moment.
   */
  get oldestSegment(): number {
    return this.#mark < 0 ? this.#progress.oldestSegment : this.#target
  }

  isUnit(group: Group): boolean {
    return group === this.#unit
  }

  noted(group: Group): void {
    if (group === this.#unit) this.#mark = this.#progress.writtenBytes
  }

  /** After every sync. */
  synced(): void {
    if (this.#mark < 0 || this.#progress.syncedBytes < this.#mark) return
    const oldest = this.#target
    assert(this.#tables.oldestLiveSegment(oldest) >= oldest, 'a freed segment holds nothing unsettled')
    this.reset()
    this.#progress.oldestSegment = oldest
    this.#shelf.free(oldest)
  }

  /** What was under way was lost with its segment. */
  reset(): void {
    this.#target = 0
    this.#unit = null
    this.#mark = -1
    this.isStarved = false
  }
}
