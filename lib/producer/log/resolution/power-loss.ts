/**
 * Whether what stood in the log before some entries may have gone with the power, instead of with a broker.
 * Why the incarnation that wrote them is asked, and not the last one: a power loss takes what was not synced at that
 * moment; every opening syncs what it found, so a kill afterwards changes nothing about it. Source: wal.md 1.3, E10.
 */
import type { Entry, Wal } from '../../../wal/index.js'

export function mayHaveLostPower(wal: Wal, entries: readonly Entry[]): boolean {
  if (wal.mayHaveLostPower !== undefined) {
    return entries.some(({ originIncarnation, incarnation }) =>
      wal.mayHaveLostPower?.(originIncarnation || incarnation),
    )
  }
  const { previous } = wal.recovered
  return previous?.mayHaveLostPower === true && previous.durability !== 'immediate'
}
