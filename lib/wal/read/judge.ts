/**
 * Torn, corrupt, reordered or never accepted: the verdict on missing LSNs. Decides only.
 * Why: missing LSNs define loss, not bad bytes; and a log that cuts at the first bad byte loses what it promised.
 * Source: wal.md 2.8, the table.
 */
import type { OpenBody } from '../format/bodies/open.js'
import type { HoleFacts } from '../types.js'
import type { FindingKind } from './findings.js'

export interface Circumstances {
  /** Of the last opening before the crash; null: not known. */
  readonly lastOpen: OpenBody | null
  /** Some opening was durable; otherwise nothing was ever promised. */
  readonly wasOpened: boolean
  /** Of this machine now; '' = unknown. */
  readonly bootId: string
  /** The highest LSN that a frame says to be synced. */
  readonly attestedLsn: number
  readonly holes: readonly HoleFacts[]
}

/** What to think of LSNs fromLsn..toLsn that are missing although frames follow. */
export function judgeGap(fromLsn: number, toLsn: number, about: Circumstances): FindingKind {
  if (isCovered(fromLsn, toLsn, about.holes)) return 'covered'
  if (about.attestedLsn >= fromLsn) return 'corrupt'
  const { lastOpen, bootId } = about
  // In doubt what can be read is kept: it may have been accepted.
  if (lastOpen === null) return about.wasOpened ? 'reordered' : 'discarded'
  const isSameBoot = bootId !== '' && lastOpen.bootId === bootId
  // The page cache of a machine that is still up hands out every byte in the order it was written.
  if (isSameBoot) return 'corrupt'
  return lastOpen.durability === 'immediate' ? 'discarded' : 'reordered'
}

/** LSNs cut off as never accepted are given away again: a HOLE about them covers nothing. */
function isCovered(fromLsn: number, toLsn: number, holes: readonly HoleFacts[]): boolean {
  let missing = fromLsn
  const useful = holes.filter((hole) => hole.verdict !== 'unaccepted' && hole.toLsn >= fromLsn && hole.toLsn > 0)
  for (const hole of useful.sort((one, other) => one.fromLsn - other.fromLsn)) {
    if (hole.fromLsn > missing) break
    if (hole.toLsn >= missing) missing = hole.toLsn + 1
  }
  return missing > toLsn
}

/** A HOLE that is about damage of a place instead of missing LSNs. */
export function isPlaceCovered(
  segment: number,
  fromByte: number,
  toByte: number,
  holes: readonly HoleFacts[],
): boolean {
  return holes.some((hole) => hole.segment === segment && hole.fromByte <= fromByte && hole.toByte >= toByte)
}
