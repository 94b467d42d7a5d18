/**
 * The four questions of a classic member to its coordinator.
 * Why apart from the member: which fields a version has, which connection a question takes and how long a broker may
 * hold it are facts of the wire; the member's rules read better without them.
 * Invariant: a coordinator that says it is none (15, 16) is forgotten before the answer is handed on.
 * Source: kafka.md 5.5, W-10, W-29; KIP-345 (instance ids), KIP-394 (two-step join), KIP-800 (reasons).
 */
import { MQError } from '../../../errors/index.js'
import {
  type Api,
  type DecodedResponseOf,
  Heartbeat,
  JoinGroup,
  LeaveGroup,
  type RequestOf,
  SyncGroup,
} from '../../../protocol/index.js'
import { backoffMs } from '../../../util/index.js'
import type { MemberParts } from '../member-parts.js'
import { judgeMember } from './verdicts.js'

export type JoinAnswer = DecodedResponseOf<typeof JoinGroup>
export type SyncAnswer = DecodedResponseOf<typeof SyncGroup>

export interface OfferedProtocol {
  readonly name: string
  readonly metadata: Uint8Array
}

export interface MemberPart {
  readonly memberId: string
  readonly assignment: Uint8Array
}

interface AskOptions {
  readonly deadlineMs?: number
  readonly limitMs?: number
  readonly purpose: 'control' | 'group'
}

const PROTOCOL_TYPE = 'consumer'
/** A broker answers a join when the rebalance time-out has passed; this much later it has forgotten us. */
const HELD_MARGIN_MS = 5_000
/** First versions with an instance id, and with several members in a LeaveGroup. */
const JOIN_INSTANCE = 5
const OTHERS_INSTANCE = 3
const SEVERAL_MEMBERS = 3

export class ClassicRequests {
  readonly #parts: MemberParts
  readonly #groupId: string
  readonly #instanceId: string | null

  constructor(parts: MemberParts) {
    this.#parts = parts
    this.#groupId = parts.config.groupId ?? ''
    this.#instanceId = parts.config.groupInstanceId ?? null
  }

  join(memberId: string, protocols: readonly OfferedProtocol[], reason: string): Promise<JoinAnswer> {
    const { sessionTimeoutMs, rebalanceTimeoutMs } = this.#parts.config
    const body = (version: number): RequestOf<typeof JoinGroup> => ({
      groupId: this.#groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      memberId,
      groupInstanceId: this.#instanceFor(version, JOIN_INSTANCE),
      protocolType: PROTOCOL_TYPE,
      protocols,
      reason,
    })
    return this.#ask(JoinGroup, body, { purpose: 'group', limitMs: rebalanceTimeoutMs + HELD_MARGIN_MS })
  }

  sync(
    memberId: string,
    generationId: number,
    protocolName: string | null,
    assignments: readonly MemberPart[],
  ): Promise<SyncAnswer> {
    const body = (version: number): RequestOf<typeof SyncGroup> => ({
      groupId: this.#groupId,
      generationId,
      memberId,
      groupInstanceId: this.#instanceFor(version, OTHERS_INSTANCE),
      protocolType: PROTOCOL_TYPE,
      protocolName,
      assignments,
    })
    const limitMs = this.#parts.config.rebalanceTimeoutMs + HELD_MARGIN_MS
    return this.#ask(SyncGroup, body, { purpose: 'group', limitMs })
  }

  /** The error number. */
  async heartbeat(memberId: string, generationId: number, deadlineMs: number): Promise<number> {
    const body = (version: number): RequestOf<typeof Heartbeat> => ({
      groupId: this.#groupId,
      generationId,
      memberId,
      groupInstanceId: this.#instanceFor(version, OTHERS_INSTANCE),
    })
    const { errorCode } = await this.#ask(Heartbeat, body, { purpose: 'group', deadlineMs })
    return errorCode
  }

  /**
   * Leaves; over the control connection, because the other one may be waiting for a JoinGroup. Repeats while the
   * coordinator is elsewhere or loading; rejects with a connection error or TIMEOUT.
   */
  async leave(memberId: string, reason: string, deadlineMs: number): Promise<void> {
    const { clock, config, random } = this.#parts
    const member = { memberId, groupInstanceId: null, reason }
    const body = (version: number): RequestOf<typeof LeaveGroup> =>
      version >= SEVERAL_MEMBERS
        ? { groupId: this.#groupId, members: [member] }
        : { groupId: this.#groupId, memberId, members: [] }
    for (let round = 0; ; round++) {
      const { errorCode } = await this.#ask(LeaveGroup, body, { purpose: 'control', deadlineMs })
      const verdict = judgeMember(errorCode)
      if (verdict !== 'again' && verdict !== 'elsewhere') return // Left, or not known there: both are what we want.
      const { retryBackoffMs, retryBackoffMaxMs } = config.connection
      const waitMs = backoffMs(round, retryBackoffMs, retryBackoffMaxMs, random)
      if (clock.monotonicMs() + waitMs >= deadlineMs) return
      await new Promise<void>((resolve) => clock.setTimer(resolve, waitMs))
    }
  }

  async #ask<A extends Api>(
    api: A,
    body: (version: number) => RequestOf<A>,
    options: AskOptions,
  ): Promise<DecodedResponseOf<A>> {
    const { cluster } = this.#parts
    const { deadlineMs } = options
    const brokerId = await this.#coordinator(deadlineMs)
    const answer = await cluster.requestGroup(this.#groupId, api, body, options)
    const { errorCode } = answer as { readonly errorCode: number }
    if (judgeMember(errorCode) === 'elsewhere') cluster.forgetCoordinator(this.#groupId, brokerId)
    return answer
  }

  /** A question that found nobody to go to was surely not asked. */
  async #coordinator(deadlineMs: number | undefined): Promise<number> {
    try {
      return await this.#parts.cluster.coordinator(this.#groupId, deadlineMs === undefined ? {} : { deadlineMs })
    } catch (error) {
      throw error instanceof MQError ? error.with({ wasSent: 'no' }) : error
    }
  }

  /** A static member that a broker takes for a dynamic one would rebalance at each restart: say so instead. */
  #instanceFor(version: number, since: number): string | null {
    if (this.#instanceId === null || version >= since) return this.#instanceId
    const text = `groupInstanceId ${this.#instanceId} needs Kafka 2.3 or newer: upgrade the brokers or leave it out`
    throw new MQError('CONNECTION_FAILED', text, { reason: 'UNSUPPORTED_VERSION' }, { retryable: false })
  }
}
