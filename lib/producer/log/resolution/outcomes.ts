/** How the batches of one identity leave their resolution. */
import type { MQError } from '../../../errors/index.js'
import type { Entry } from '../../../wal/index.js'
import type { EdgeCase } from './types.js'

/** `entries` are unsettled, in order. */
export type GroupOutcome =
  | { readonly kind: 'settled' }
  /** Never written, and not sendable under this identity: a fresh one delivers them exactly once. */
  | { readonly kind: 'unwritten'; readonly entries: readonly Entry[] }
  | { readonly kind: 'ambiguous'; readonly edge: EdgeCase; readonly entries: readonly Entry[] }
  /** Somebody else writes under this identity (E9). */
  | { readonly kind: 'foreign'; readonly why: string; readonly entries: readonly Entry[] }
  /** The bytes of the first are damaged; `isUnwritten`: none of them was written. */
  | {
      readonly kind: 'damaged'
      readonly error: MQError
      readonly isUnwritten: boolean
      readonly entries: readonly Entry[]
    }

/** 'again': something changed, the table is read from the start. */
export type Step = GroupOutcome | 'again'
