/**
 * Compares what a recovery found with what the caller knows.
 * Claims: no kept record lost, no kept settlement undone, nothing invented, positions and order unchanged, bytes
 * unchanged, and whatever is missing below the end of a stream is reported.
 * Gives the first difference as text, or null.
 */
import { segmentName } from '../../../lib/wal/format/manifest.js'
import { type Entry, type StreamFacts, UNBOUND } from '../../../lib/wal/index.js'
import type { ImageFile } from '../../support/wal-sim/file.js'
import type { CrashKind, Image } from '../../support/wal-sim/index.js'
import { WAL_DIR } from '../../support/wal-sim/index.js'
import type { Sector } from '../../support/wal-sim/sector.js'
import type { Kept, LogModel, Unit } from './model.js'

export interface Recovered {
  stream(id: number): StreamFacts | undefined
  entriesOf(stream: number): readonly Entry[]
  readonly streamIds: Iterable<number>
  /** Whether the recovery told that this record is gone. */
  isReported(stream: number, position: number, lsn: number): boolean
}

const FRAME_BYTES = 32
const FRAME_AND_PREFIX_BYTES = FRAME_BYTES + 56

export function judge(model: LogModel, crash: CrashKind, found: Recovered, image: Image | null): string | null {
  const kept = model.keptBy(crash)
  for (const id of found.streamIds) {
    if (!model.streams.has(id) && found.entriesOf(id).length > 0) return `stream ${id}: invented`
  }
  for (const [stream, units] of model.streams) {
    const fault = judgeStream(model, kept, stream, units, found, image)
    if (fault !== null) return fault
  }
  return null
}

function judgeStream(
  model: LogModel,
  kept: Kept,
  stream: number,
  units: readonly Unit[],
  found: Recovered,
  image: Image | null,
): string | null {
  const facts = found.stream(stream)
  const entries = found.entriesOf(stream)
  const next = facts?.nextPosition ?? 0
  if (next > (model.nextOf.get(stream) ?? 0))
    return `stream ${stream}: next position ${next}, but only ${model.nextOf.get(stream)} were appended`
  let at = 0 // next entry to be matched
  let lastLsn = 0
  for (let u = 0; u < units.length; ) {
    const unit = units[u] as Unit
    const entry = entries[at]
    if (entry === undefined || entry.firstPosition > unit.first) {
      const fault = absent(model, kept, unit, next, found)
      if (fault !== null) return fault
      u++
      continue
    }
    if (entry.firstPosition < unit.first)
      return `stream ${stream}: entry at ${entry.firstPosition} (lsn ${entry.lsn}) overlaps the one before, or was never appended`
    let end = u
    let records = 0
    while (end < units.length && records < entry.count) records += (units[end++] as Unit).count
    const group = units.slice(u, end)
    const fault = present(model, kept, entry, group, records, lastLsn, image)
    if (fault !== null) return fault
    if (entry.firstPosition + entry.count > next)
      return `stream ${stream}: next position ${next} is below the entry at ${entry.firstPosition}`
    lastLsn = entry.lsn
    u = end
    at++
  }
  const rest = entries[at]
  if (rest !== undefined) return `stream ${stream}: entry at ${rest.firstPosition} (lsn ${rest.lsn}) was never appended`
  return null
}

/** A unit the recovery does not know as unsettled. */
function absent(model: LogModel, kept: Kept, unit: Unit, next: number, found: Recovered): string | null {
  for (let at = 0; at < unit.count; at++) {
    if (unit.settlements[at] !== 0) continue
    const position = unit.first + at
    const name = `stream ${unit.stream} position ${position} (lsn ${unit.lsn})`
    if (model.isKept(unit, kept)) return `${name}: lost, although ${unit.lsn} <= ${kept.lsn} was kept`
    if (position < next && !found.isReported(unit.stream, position, unit.lsn))
      return `${name}: missing below the end of its stream (${next}), not settled, not reported`
  }
  return null
}

function present(
  model: LogModel,
  kept: Kept,
  entry: Entry,
  units: readonly Unit[],
  records: number,
  lastLsn: number,
  image: Image | null,
): string | null {
  const first = units[0] as Unit
  const name = `stream ${first.stream} entry at ${entry.firstPosition} (lsn ${entry.lsn})`
  if (records !== entry.count) return `${name}: ${entry.count} records, appended were ${records}`
  if (entry.lsn <= lastLsn) return `${name}: behind lsn ${lastLsn} in its stream`
  if (first.lsn !== entry.lsn) return `${name}: was appended as lsn ${first.lsn}`
  let least = 0
  let most = 0
  for (const unit of units) {
    const settled = model.settledOf(unit, kept)
    least += settled.least
    most += settled.most
  }
  const settled = entry.count - entry.unsettled
  if (settled < least) return `${name}: ${settled} settled, kept were ${least}: settled records come back`
  if (settled > most) return `${name}: ${settled} settled, only ${most} were asked for`
  const fault = identityFault(entry, first, kept)
  if (fault !== null) return `${name}: ${fault}`
  if (image !== null && !isStored(image, entry, units)) return `${name}: its bytes are not those that were appended`
  return null
}

/** The identity may be any that was asked for, from the last kept one on. */
function identityFault(entry: Entry, unit: Unit, kept: Kept): string | null {
  const { identities } = unit
  let oldest = 0
  for (let at = 0; at < identities.length; at++) if (identities[at]!.lsn <= kept.lsn) oldest = at
  for (let at = oldest; at < identities.length; at++) {
    const { identity } = identities[at]!
    if (
      identity.producerId === entry.producerId &&
      (identity.producerId === UNBOUND ||
        (identity.epoch === entry.epoch && identity.baseSequence === entry.baseSequence))
    )
      return null
  }
  const last = identities[identities.length - 1]!.identity
  return `identity ${entry.producerId}/${entry.epoch}/${entry.baseSequence}, asked for was ${last.producerId}/${last.epoch}/${last.baseSequence}`
}

/** Where the bytes of a unit were found last. Sectors never change: in the same ones at the same place they are right. */
interface Found {
  readonly at: number
  readonly bodyBytes: number
  readonly sectors: readonly (Sector | undefined)[]
}

const foundOf = new WeakMap<Unit, Found>()
const paths: string[] = []

function pathOf(segment: number): string {
  paths[segment] ??= `${WAL_DIR}/${segmentName(segment)}`
  return paths[segment]
}

/** States of one moment differ in few sectors: most entries stand in the very sectors they were compared in before. */
function isStored(image: Image, entry: Entry, units: readonly Unit[]): boolean {
  const file = image.files.get(pathOf(entry.segment))
  if (file === undefined) return false
  const unit = units[0] as Unit
  const first = Math.floor(entry.at / image.sectorBytes)
  const known = units.length === 1 ? foundOf.get(unit) : undefined
  if (known !== undefined && known.at === entry.at && known.bodyBytes === entry.bodyBytes) {
    let same = 0
    while (same < known.sectors.length && known.sectors[same] === file.sectors[first + same]) same++
    if (same === known.sectors.length) return true
  }
  if (!isSame(image, file, entry, units)) return false
  const { at, bodyBytes } = entry
  const last = Math.floor((at + FRAME_BYTES + bodyBytes - 1) / image.sectorBytes)
  if (units.length === 1) foundOf.set(unit, { at, bodyBytes, sectors: file.sectors.slice(first, last + 1) })
  return true
}

function isSame(image: Image, file: ImageFile, entry: Entry, units: readonly Unit[]): boolean {
  let at = entry.at + FRAME_AND_PREFIX_BYTES
  for (const { stored } of units) {
    for (let done = 0; done < stored.length; ) {
      const index = Math.floor((at + done) / image.sectorBytes)
      const from = at + done - index * image.sectorBytes
      const take = Math.min(image.sectorBytes - from, stored.length - done)
      const sector = file.sectors[index]
      if (sector === undefined) return false
      for (let b = 0; b < take; b++) if (sector.bytes[from + b] !== stored[done + b]) return false
      done += take
    }
    at += stored.length
  }
  return at === entry.at + FRAME_BYTES + entry.bodyBytes
}
