/**
 * Which assignor a group uses: one that every member supports, by majority of first choices.
 * Invariant: a group with members has at least one common assignor, since a join that would end that is refused (23).
 */
import type { Member, MemberProtocol } from './member.js'

/** True if somebody who offers these can join those members. */
export function isCommon(offered: readonly MemberProtocol[], members: readonly Member[]): boolean {
  return offered.some(({ name }) => isSupportedByAll(name, members))
}

/** Each member votes for the first of its assignors that everybody supports; of equals, the one first voted for wins. */
export function elect(members: readonly Member[]): string {
  const votes = new Map<string, number>()
  for (const { facts } of members) {
    const choice = facts.protocols.find(({ name }) => isSupportedByAll(name, members))?.name ?? ''
    votes.set(choice, (votes.get(choice) ?? 0) + 1)
  }
  const [winner = ['', 0]] = [...votes].sort(([, a], [, b]) => b - a)
  return winner[0]
}

function isSupportedByAll(name: string, members: readonly Member[]): boolean {
  return members.every(({ facts }) => facts.protocols.some((offered) => offered.name === name))
}
