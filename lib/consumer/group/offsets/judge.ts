/**
 * What an error number means for a commit, or for reading committed offsets back.
 * Why data and not code: kafka.md 5.5 is a table and reads best as one; committer and reader then share one opinion.
 * Invariant: every number has a verdict; one that does not belong here is final, for its partition alone.
 */
export type OffsetsAction =
  | 'ok'
  /** The same coordinator again, after a back-off. */
  | 'backOff'
  /** The coordinator is elsewhere: forget it, then again after a back-off. */
  | 'lookUp'
  /** A rebalance is under way: again within the same generation only (C-32). */
  | 'rebalance'
  /** A round has ended that the member does not know of yet: again, under the next generation if it stays ours. */
  | 'outdated'
  /** The member epoch is out of date: a heartbeat brings the present one, then again. */
  | 'refresh'
  /** This member is not what it thinks to be: final, and the member is told. */
  | 'refused'
  | 'final'

const ROWS: readonly (readonly [OffsetsAction, readonly number[]])[] = [
  ['ok', [0]],
  ['backOff', [-1, 14, 88, 89]],
  ['lookUp', [7, 15, 16]],
  ['rebalance', [27]],
  ['refresh', [113]],
  ['outdated', [22]],
  ['refused', [25, 69, 82, 110]],
]

const actions: ReadonlyMap<number, OffsetsAction> = new Map(
  ROWS.flatMap(([action, numbers]) => numbers.map((number) => [number, action] as const)),
)

const ILLEGAL_GENERATION = 22
const UNKNOWN_MEMBER_ID = 25
const GROUP_ID_NOT_FOUND = 69

/** `hasMemberEpochs`: a member under KIP-848, whose epoch may be out of date although it is a member (22 as 113). */
export function judgeOffsets(errorNumber: number, hasMemberEpochs: boolean): OffsetsAction {
  if (errorNumber === ILLEGAL_GENERATION && hasMemberEpochs) return 'refresh'
  return actions.get(errorNumber) ?? 'final'
}

/** What the member is told: of a group that is gone, its members are unknown. */
export function toldToMember(errorNumber: number): number {
  return errorNumber === GROUP_ID_NOT_FOUND ? UNKNOWN_MEMBER_ID : errorNumber
}
