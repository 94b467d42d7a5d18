/**
 * One member of a classic group: what it told when it joined, and which of its requests wait for an answer.
 * Invariant: at most one join and one sync wait at a time, and each is answered at most once.
 */
import type { TimerHandle } from '../../../util/index.js'

export interface MemberProtocol {
  readonly name: string
  readonly metadata: Uint8Array
}

/** What a client says about itself when it joins. */
export interface MemberFacts {
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** Assignors in the member's order of preference, each with the member's subscription. */
  readonly protocols: readonly MemberProtocol[]
}

export interface JoinedMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly metadata: Uint8Array
}

export interface JoinAnswer {
  readonly errorCode: number
  readonly memberId: string
  readonly generationId: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly skipAssignment: boolean
  /** Everybody, for the leader; nobody for the others. */
  readonly members: readonly JoinedMember[]
}

export interface SyncAnswer {
  readonly errorCode: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Uint8Array
}

const NOTHING = new Uint8Array(0)
const NO_GENERATION = -1

export class Member {
  readonly memberId: string
  facts: MemberFacts
  assignment: Uint8Array = NOTHING
  /** Has not seen a generation yet: its session is longer then, because it cannot send heartbeats. */
  isNew = true
  onJoined: ((answer: JoinAnswer) => void) | null = null
  onSynced: ((answer: SyncAnswer) => void) | null = null
  session: TimerHandle | null = null

  constructor(memberId: string, facts: MemberFacts) {
    this.memberId = memberId
    this.facts = facts
  }

  /** The same member without its waiting requests, as a coordinator reads it back from its log. */
  saved(memberId = this.memberId): Member {
    const copy = new Member(memberId, this.facts)
    copy.assignment = this.assignment
    copy.isNew = false
    return copy
  }

  metadataFor(protocolName: string | null): Uint8Array {
    return this.facts.protocols.find(({ name }) => name === protocolName)?.metadata ?? NOTHING
  }

  /** True if it would join with just what it has joined with before. */
  offersSame(protocols: readonly MemberProtocol[]): boolean {
    const own = this.facts.protocols
    return (
      own.length === protocols.length &&
      own.every(({ name, metadata }, index) => {
        const other = protocols[index] as MemberProtocol
        return name === other.name && Buffer.compare(metadata, other.metadata) === 0
      })
    )
  }

  answerJoin(answer: JoinAnswer): void {
    const reply = this.onJoined
    this.onJoined = null
    reply?.(answer)
  }

  answerSync(answer: SyncAnswer): void {
    const reply = this.onSynced
    this.onSynced = null
    reply?.(answer)
  }

  /** Answers with this error whatever waits. */
  refuse(errorCode: number, memberId = this.memberId): void {
    this.answerJoin(joinRefused(memberId, errorCode))
    this.answerSync(syncRefused(errorCode))
  }
}

export function joinRefused(memberId: string, errorCode: number): JoinAnswer {
  return {
    errorCode,
    memberId,
    generationId: NO_GENERATION,
    protocolType: null,
    protocolName: null,
    leader: '',
    skipAssignment: false,
    members: [],
  }
}

export function syncRefused(errorCode: number): SyncAnswer {
  return { errorCode, protocolType: null, protocolName: null, assignment: NOTHING }
}
