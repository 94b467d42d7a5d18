/**
 * The one judge: what an error number in a produce answer means for its batch.
 * Why data and not code: kafka.md 3.4 is a table, and reads best as one. Whoever wants to retry asks here and compares
 * no numbers itself.
 * Invariant: every number has a verdict; one that does not belong into a produce answer is final and proves nothing.
 */
export type ProduceAction =
  | 'ok'
  /** Again after a back-off, same identity. */
  | 'retry'
  /** As retry, with fresh metadata first (a leader hint saves the question and the back-off). */
  | 'refresh'
  | 'split'
  /** The broker's last sequence decides (3.6). */
  | 'identity'
  | 'transaction'
  | 'failBatch'
  /** Every batch of this topic-partition. */
  | 'failLane'
  /** The producer can do nothing any more. */
  | 'dead'

export interface ProduceVerdict {
  readonly action: ProduceAction
  /** True: this attempt wrote nothing, and the answer proves it. */
  readonly provesNotWritten: boolean
  /** Retries with this code before it is final; Infinity: until the delivery deadline. */
  readonly maxRetries: number
  /** The retry needs a new socket: negotiate anew (35), rule out damage on the way (2). */
  readonly onNewSocket: boolean
}

type Row = readonly [action: ProduceAction, numbers: readonly number[]]

/** Verdicts of answers that prove that nothing was written. */
const NOT_WRITTEN: readonly Row[] = [
  ['retry', [2, 19, 35, 55]],
  ['split', [10, 18]],
  ['identity', [45, 47, 59]],
  ['transaction', [48, 49, 50, 51, 52, 53, 90, 105, 120]],
  ['failBatch', [32, 42, 43, 44, 54, 76, 87]],
  ['failLane', [17, 29]],
  ['dead', [21, 31]],
]
/** Verdicts of answers after which the batch may be in the log. */
const UNSURE: readonly Row[] = [
  ['ok', [0, 46]],
  ['retry', [-1, 7, 14, 15, 16, 20, 41, 75, 78, 89]],
  ['refresh', [3, 5, 6, 8, 9, 13, 56, 72, 74, 100, 103, 129]],
  ['dead', [33, 34, 58, 104]],
]
const MAX_RETRIES: ReadonlyMap<number, number> = new Map([
  [-1, 3],
  [2, 1],
  [35, 1],
])
const NEW_SOCKET: ReadonlySet<number> = new Set([2, 35])

const verdicts: ReadonlyMap<number, ProduceVerdict> = new Map([
  ...entries(NOT_WRITTEN, true),
  ...entries(UNSURE, false),
])
/** Numbers that never belong into a produce answer, and numbers from the future. */
const OTHER: ProduceVerdict = verdict('failBatch', false, Number.NaN)

export function judgeProduce(errorNumber: number): ProduceVerdict {
  return verdicts.get(errorNumber) ?? OTHER
}

function entries(rows: readonly Row[], proves: boolean): [number, ProduceVerdict][] {
  return rows.flatMap(([action, numbers]) =>
    numbers.map((number): [number, ProduceVerdict] => [number, verdict(action, proves, number)]),
  )
}

function verdict(action: ProduceAction, provesNotWritten: boolean, number: number): ProduceVerdict {
  const isRetried = action === 'retry' || action === 'refresh'
  const maxRetries = isRetried ? (MAX_RETRIES.get(number) ?? Number.POSITIVE_INFINITY) : 0
  return Object.freeze({ action, provesNotWritten, maxRetries, onNewSocket: NEW_SOCKET.has(number) })
}
