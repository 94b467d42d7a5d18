/**
 * A segment that is being written: where it is, its salt, how far it goes.
 * Invariant: writes only ever go to `at` and move it on; a poisoned file is never written or synced again.
 */
import { saltCrcOf } from '../format/frame.js'

export class SegmentFile {
  readonly number: number
  readonly path: string
  readonly fd: number
  readonly salt: Uint8Array
  readonly saltCrc: number
  readonly device: number
  readonly inode: number
  /** Next byte to be written. */
  at: number
  isPoisoned = false
  /** Everything in it that has an LSN is durable, up to here; set when it is no longer the current one. */
  endBytes = 0
  endLsn = 0
  endBodyCrc = 0

  constructor(
    number: number,
    path: string,
    fd: number,
    salt: Uint8Array,
    at: number,
    facts: { readonly device: number; readonly inode: number },
  ) {
    this.number = number
    this.path = path
    this.fd = fd
    this.salt = salt
    this.saltCrc = saltCrcOf(salt)
    this.at = at
    this.device = facts.device
    this.inode = facts.inode
  }
}
