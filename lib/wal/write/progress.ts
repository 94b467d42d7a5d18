/**
 * How far the log has come: four marks, ascending, and what they were at.
 *
 *   durable <= written <= last appended          accepted = written (os, periodic, spill) or durable (immediate)
 *
 * Invariant: none of them ever goes back.
 */
import type { MQError } from '../../errors/index.js'
import { assert } from '../../util/index.js'
import type { WalState } from '../types.js'

export class Progress {
  acceptedLsn: number
  acceptedSettlements = 0
  writtenLsn: number
  /** CRC of the body with that LSN, for the next CHECKPOINT. */
  writtenBodyCrc: number
  writtenSettlements = 0
  durableLsn: number
  durableBodyCrc: number
  /** Highest LSN that a written frame says to be durable. */
  attestedLsn: number
  /**
   * What frames may say to be durable. Until HOLE and OPEN are synced no more than earlier frames said: an OPEN that
   * survives a HOLE of the same group would otherwise vouch for the very frames that are lost.
   */
  attestableLsn: number
  /** Bytes written so far, and how many of them are durable; attesting PADs do not count. */
  writtenBytes = 0
  syncedBytes = 0
  /** Lowest segment that is not freed. */
  oldestSegment = 0
  state: WalState = 'open'
  failure: MQError | null = null
  /** Of the last HOLE or OPEN frame of this opening. Syncs before it (of a rotation) let nothing more be attested. */
  readonly #firstLsn: number

  constructor(lastLsn: number, lastBodyCrc: number, attestedLsn: number, firstLsn = 0) {
    this.#firstLsn = firstLsn
    this.acceptedLsn = lastLsn
    this.writtenLsn = lastLsn
    this.writtenBodyCrc = lastBodyCrc
    this.durableLsn = lastLsn
    this.durableBodyCrc = lastBodyCrc
    this.attestedLsn = attestedLsn
    this.attestableLsn = attestedLsn
  }

  get unsyncedBytes(): number {
    return this.writtenBytes - this.syncedBytes
  }

  durable(lsn: number, bodyCrc: number, bytes: number): void {
    assert(lsn >= this.durableLsn && bytes >= this.syncedBytes, 'what is durable stays so')
    assert(lsn <= this.writtenLsn && bytes <= this.writtenBytes, 'nothing is durable that was not written')
    this.durableLsn = lsn
    if (lsn >= this.#firstLsn) this.attestableLsn = lsn
    this.durableBodyCrc = bodyCrc
    this.syncedBytes = bytes
  }
}
