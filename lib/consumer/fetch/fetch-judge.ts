/**
 * What an error number in a fetched partition, or over a whole answer, asks of the consumer.
 * One table, so that nobody else compares codes. Source: kafka.md 5.2 (fetch codes); W-26 for hints.
 */

export type FetchAction =
  /** The leader is elsewhere: take the hint, else refresh metadata; ask again after a back-off. */
  | 'refresh'
  /** Ask again after a back-off. */
  | 'retry'
  /** The position is outside the log. */
  | 'outOfRange'
  /** Fetch once more; the second time it is a CORRUPT_BATCH. */
  | 'corrupt'
  /** Refused by an ACL: told once, asked again when metadata is. */
  | 'denied'
  /** The topic lives under another id. */
  | 'otherTopic'
  | 'fail'

const ACTIONS: Readonly<Record<number, FetchAction>> = {
  1: 'outOfRange',
  2: 'corrupt',
  29: 'denied',
  100: 'otherTopic',
  ...Object.fromEntries([3, 5, 6, 9, 56, 74, 78, 103].map((code) => [code, 'refresh'])),
  // 75: our metadata is newer than the broker's, which will learn it.
  // 70, 71, 106 concern a session and belong over the whole answer; at a partition they are no reason to give it up.
  ...Object.fromEntries([75, 109, -1, 7, 8, 55, 70, 71, 106].map((code) => [code, 'retry'])),
}

export function judgeFetch(errorCode: number): FetchAction {
  return ACTIONS[errorCode] ?? 'fail'
}

/** What the error number over a whole answer says of the session. */
export function judgeSession(errorCode: number): 'unknownSession' | 'otherEpoch' | 'retry' {
  if (errorCode === 70) return 'unknownSession'
  return errorCode === 71 || errorCode === 106 ? 'otherEpoch' : 'retry'
}

/** The same for ListOffsets: 'fail' is final, everything else is asked again. */
export function judgeListOffsets(errorCode: number): 'refresh' | 'retry' | 'fail' {
  const action = judgeFetch(errorCode)
  return action === 'refresh' || action === 'retry' ? action : action === 'otherTopic' ? 'refresh' : 'fail'
}
