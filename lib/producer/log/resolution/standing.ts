/**
 * Where a batch stands against the last sequence L that a leader remembers. Serial arithmetic, modulo 2^31.
 *
 *        L                 L                    L              L
 *   behind   | L = next  |       inside      | written
 *  ----------+-----------[ base ..... last ]-------------->
 *
 * Source: wal.md 4.2, kafka.md 3.6.
 */
import type { Entry } from '../../../wal/index.js'
import type { BrokerState } from '../../broker-memory.js'
import { lastSequence, seqDiff } from '../../sequence.js'

export type Standing =
  /** L is at or past its end. */
  | 'written'
  /** L ends inside it: a batch is taken whole, so those numbers were used for something else. */
  | 'inside'
  /** It is the next one. */
  | 'next'
  /** Something before it is missing. */
  | 'behind'

export function standingOf(last: number, { baseSequence, count }: Entry): Standing {
  if (seqDiff(last, lastSequence(baseSequence, count)) >= 0) return 'written'
  if (seqDiff(last, baseSequence) >= 0) return 'inside'
  return seqDiff(last, baseSequence) === -1 ? 'next' : 'behind'
}

/** A leader's memory, as it concerns one identity. */
export type Reading =
  | { readonly kind: 'known'; readonly last: number }
  | { readonly kind: 'absent' }
  /** The epoch was raised: by ourselves, or by another writer (E11). */
  | { readonly kind: 'raised'; readonly epoch: number }
  | { readonly kind: 'silent'; readonly isLogReadable: boolean }

export function readingOf(state: BrokerState, epoch: number): Reading {
  if (state.kind !== 'known') return state
  if (state.epoch > epoch) return { kind: 'raised', epoch: state.epoch }
  // Of a lower epoch it says only that nothing of ours came yet.
  if (state.epoch < epoch || state.lastSequence < 0) return { kind: 'absent' }
  return { kind: 'known', last: state.lastSequence }
}
