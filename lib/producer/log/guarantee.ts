/**
 * What a producer promises of records it accepts now. Source: wal.md 1.1, 1.2.
 */
import type { WalDurability } from '../../config/index.js'

/** Conditions of wal.md 1.2 that do not hold, or of which it is not known. */
export type GuaranteeReason = 'C1' | 'C5' | 'C6' | 'C7'

export interface Guarantee {
  /**
   * exactly-once: each accepted record is in its partition once, also over a crash of this process.
   * at-least-once: perhaps more than once. best-effort: what is not acknowledged is lost when the process ends.
   */
  readonly level: 'exactly-once' | 'at-least-once' | 'best-effort'
  /** What the promise outlives: nothing, the process (kill -9), or the power supply too. */
  readonly survives: 'nothing' | 'process' | 'power'
  readonly reasons: readonly GuaranteeReason[]
}

export function guaranteeOf(durability: WalDurability, hasFailed: boolean): Guarantee {
  if (hasFailed) return { level: 'best-effort', survives: 'nothing', reasons: ['C1'] }
  if (durability === 'memory' || durability === 'spill') {
    return { level: 'best-effort', survives: 'nothing', reasons: ['C1'] }
  }
  return { level: 'exactly-once', survives: durability === 'immediate' ? 'power' : 'process', reasons: [] }
}
