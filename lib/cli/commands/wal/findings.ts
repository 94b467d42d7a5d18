/**
 * Findings as lines, as JSON, and as an exit code.
 * What counts as damage: everything a disk did to what was written. What a crash leaves at the end (a torn tail, frames
 * nobody was promised, unsynced pages a power loss took) is no damage; what a HOLE frame records has been dealt with.
 */
import type { Finding, FindingKind, HoleFacts, LogTables } from '../../../wal/index.js'
import type { Run } from '../../run.js'
import { WalExit } from './exit-codes.js'
import type { Look } from './look.js'

const EXITS: Readonly<Record<FindingKind, WalExit>> = {
  torn: WalExit.torn,
  discarded: WalExit.torn,
  reordered: WalExit.torn,
  corrupt: WalExit.corrupt,
  badHeaderCopy: WalExit.corrupt,
  badCheckpoint: WalExit.corrupt,
  unknownOptional: WalExit.clean,
  covered: WalExit.clean,
  refusedRead: WalExit.corrupt,
}

/** The worst of them. */
export function exitOf(findings: readonly { readonly kind: FindingKind }[]): number {
  return findings.reduce((worst, { kind }) => Math.max(worst, EXITS[kind]), WalExit.clean as number)
}

/** With the names of the streams, which a finding knows by number only. */
export function shownFinding(finding: Finding, tables: LogTables): object {
  const { kind, segment, file, fromByte, toByte, fromLsn, toLsn, ranges, text } = finding
  const lsns = toLsn < fromLsn ? {} : { fromLsn, toLsn }
  return { kind, segment, file, fromByte, toByte, ...lsns, ranges: namedRanges(ranges, tables), text }
}

export function namedRanges(ranges: HoleFacts['ranges'], tables: LogTables): object[] {
  return ranges.map((range) => {
    const { topic, partition } = tables.streams.get(range.stream) ?? {}
    return { topic, partition, ...range }
  })
}

export function lineOf({ kind, file, fromByte, toByte, fromLsn, toLsn, text }: Finding): string {
  const lsns = toLsn < fromLsn ? '' : `, LSN ${fromLsn}${toLsn > fromLsn ? `..${toLsn}` : ''}`
  const bytes = toByte > fromByte ? ` bytes ${fromByte}..${toByte - 1}` : fromByte > 0 ? ` byte ${fromByte}` : ''
  return `${kind}: ${file === '' ? '' : `${file}${bytes}${lsns}: `}${text}`
}

/** With `--json` each a line of its own, marked as a finding. */
export async function tellFindings(run: Run, { findings, survey }: Look): Promise<void> {
  for (const finding of findings) {
    await run.out.either({ finding: shownFinding(finding, survey.tables) }, [lineOf(finding)])
  }
}
