/**
 * What a producer promises of records it accepts now. Source: wal.md 1.1, 1.2.
 */
import type { WalDurability } from '../../config/index.js'

/**
 * Conditions of wal.md 1.2 that do not hold, or of which it is not known: C1, there is no log before the wire; C5, a
 * topic does not have three replicas, two of them in sync, and clean elections, or its settings may not be read.
 */
export type GuaranteeReason = 'C1' | 'C5'

export interface Guarantee {
  /**
   * exactly-once: each accepted record is in its partition once, also over a crash of this process.
   * at-least-once: brokers may lose what they acknowledged, or a record may be there twice.
   * best-effort: what is not acknowledged is lost when the process ends.
   */
  readonly level: 'exactly-once' | 'at-least-once' | 'best-effort'
  /** What accepted records outlive: nothing, the process (kill -9), or the power supply too. */
  readonly survives: 'nothing' | 'process' | 'power'
  readonly reasons: readonly GuaranteeReason[]
}

export function guaranteeOf(durability: WalDurability, hasFailed: boolean, isTopicSafe: boolean): Guarantee {
  const isLogged = durability !== 'memory' && durability !== 'spill' && !hasFailed
  if (!isLogged) return { level: 'best-effort', survives: 'nothing', reasons: ['C1'] }
  const survives = durability === 'immediate' ? 'power' : 'process'
  return isTopicSafe
    ? { level: 'exactly-once', survives, reasons: [] }
    : { level: 'at-least-once', survives, reasons: ['C5'] }
}
