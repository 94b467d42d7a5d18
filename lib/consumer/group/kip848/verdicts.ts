/**
 * What an error number in a heartbeat's answer means for the member. Data, because kafka.md 5.5 has a table.
 * Numbers that are not listed follow the table of all error numbers: what may mend itself is tried again, the rest ends
 * the membership and is shown.
 */
import type { MQError } from '../../../errors/index.js'
import { kafkaError } from '../../../protocol/index.js'

export type HeartbeatVerdict =
  | 'ok'
  /** The same later. */
  | 'retry'
  /** Somebody else is asked, later. */
  | 'lookUp'
  /** Everything is lost; join with epoch 0. */
  | 'fenced'
  /** The group does not know us (any more): as fenced, and there is nothing to leave. */
  | 'unknown'
  /** The instance id is taken: by another process, or by a join of ours whose answer was lost. */
  | 'unreleased'
  | 'fatal'

const ROWS: readonly (readonly [HeartbeatVerdict, readonly number[]])[] = [
  ['ok', [0]],
  ['retry', [14]],
  ['lookUp', [15, 16]],
  ['fenced', [110]],
  ['unknown', [25, 69]],
  ['unreleased', [111]],
  ['fatal', [24, 30, 35, 42, 82, 112, 128]],
]
const verdicts: ReadonlyMap<number, HeartbeatVerdict> = new Map(
  ROWS.flatMap(([verdict, numbers]) => numbers.map((number) => [number, verdict] as const)),
)

export function judgeHeartbeat(errorNumber: number): HeartbeatVerdict {
  const known = verdicts.get(errorNumber)
  if (known !== undefined) return known
  const { kind } = kafkaError(errorNumber)
  if (kind === 'coordinator') return 'lookUp'
  return kind === 'fatal' ? 'fatal' : 'retry'
}

/** A leave that was answered with one of these is done: we are out, or were never in. */
const LEFT: ReadonlySet<number> = new Set([0, 25, 69, 82, 110, 111])

export function hasLeft(errorNumber: number): boolean {
  return LEFT.has(errorNumber)
}

/**
 * No answer, and none to be had: the broker lacks what we need, or does not let us in. One that closed its socket on the
 * first question may lack it too, but more often it is just stopping: that error is retryable.
 */
export function isLacking({ fatal, retryable, context }: MQError): boolean {
  return fatal || (context.reason === 'UNSUPPORTED_VERSION' && !retryable)
}
