/**
 * In whose name a group is asked: a member's, nobody's (standalone), or not at all just now.
 * Why told apart: without membership (`assign` with a groupId) the group must have no members, and says so by itself; a
 * member that has lost its place must not even try, since its partitions may be somebody else's (C-28).
 */
import { MQError } from '../../../errors/index.js'
import type { MemberIdentity, MemberState, Membership } from '../ports.js'

/** A group without members is addressed like this. */
export const STANDALONE: MemberIdentity = Object.freeze({ memberId: '', generation: -1, instanceId: null })

/** Out of these no membership comes back by itself. */
const OVER: readonly MemberState[] = ['unsubscribed', 'leaving', 'fatal']

/** Null: not a member just now. */
export function identityOf(member: Membership | null): MemberIdentity | null {
  return member === null ? STANDALONE : member.identity
}

export function isSame(a: MemberIdentity, b: MemberIdentity): boolean {
  return a.memberId === b.memberId && a.generation === b.generation
}

export function notAMember(groupId: string | undefined, member: Membership | null): MQError {
  const state = member?.state ?? 'unsubscribed'
  const isOver = OVER.includes(state)
  const advice = isOver ? 'nothing can be committed any more' : 'commit what you still own once you are assigned again'
  const text = `not a member of group ${groupId} just now (${state}): ${advice}`
  return new MQError(isOver ? 'UNKNOWN_MEMBER_ID' : 'REBALANCE_IN_PROGRESS', text, { groupId, state })
}

/** The generation a commit belongs to is over, or its partition went elsewhere meanwhile. */
export function outlived(groupId: string | undefined, what: string, cause: unknown): MQError {
  const text = `a rebalance of group ${groupId} ended before ${what} was committed: its next owner repeats from the last commit`
  return new MQError('REBALANCE_IN_PROGRESS', text, { groupId }, { cause: cause ?? undefined })
}
