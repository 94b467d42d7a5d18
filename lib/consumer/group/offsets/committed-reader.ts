/**
 * Reads what the group has committed.
 * Why not once and be done: a coordinator that has just moved loads its log first (14), and offsets inside an open
 * transaction are not final yet: read_committed waits for them (88, C-35).
 * Invariant: an offset that was never committed is null, never 0; a refused partition harms no other.
 */
import { MQError, toMQError } from '../../../errors/index.js'
import { brokerError, OffsetFetch } from '../../../protocol/index.js'
import { backoffMs, type Deferred, deferred, type Pauses } from '../../../util/index.js'
import type { TopicPartition } from '../../cursor.js'
import type { MemberIdentity } from '../ports.js'
import { closedMeanwhile, resourceOf } from './failure.js'
import { identityOf } from './identity.js'
import { judgeOffsets, toldToMember } from './judge.js'
import { type FetchedOffsets, fetchBody, fetchedOffsets } from './messages.js'
import { type CommittedOffset, keyOf, type OffsetsParts } from './offsets.js'

export type FoundOffset = CommittedOffset | MQError | null

/** One call, on its way. */
interface Search {
  readonly partitions: readonly TopicPartition[]
  readonly deadlineMs: number
  readonly found: Map<string, FoundOffset>
  lastError: MQError | null
}

const UNANSWERED = -1

export class CommittedReader {
  readonly #parts: OffsetsParts
  readonly #groupId: string
  readonly #pauses: Pauses
  readonly #searches = new Set<Deferred<readonly FoundOffset[]>>()

  constructor(parts: OffsetsParts, pauses: Pauses) {
    this.#parts = parts
    this.#groupId = parts.config.groupId ?? ''
    this.#pauses = pauses
  }

  /** One place per partition. Rejects when the group as a whole is refused, at the deadline, and on `close`. */
  read(partitions: readonly TopicPartition[], deadlineMs: number): Promise<readonly FoundOffset[]> {
    const done = deferred<readonly FoundOffset[]>()
    this.#searches.add(done)
    const search: Search = { partitions, deadlineMs, found: new Map(), lastError: null }
    void this.#search(search, done)
      .then(done.resolve, done.reject)
      .finally(() => this.#searches.delete(done))
    return done.promise
  }

  close(): void {
    for (const { reject } of this.#searches) reject(closedMeanwhile())
    this.#searches.clear()
  }

  async #search(search: Search, done: Deferred<readonly FoundOffset[]>): Promise<readonly FoundOffset[]> {
    const { partitions, found } = search
    for (let attempt = 0; ; attempt++) {
      const open = partitions.filter((tp) => !found.has(keyOf(tp)))
      if (open.length === 0) return partitions.map((tp) => found.get(keyOf(tp)) ?? null)
      if (attempt > 0) await this.#pause(attempt - 1, search)
      if (!this.#searches.has(done)) throw closedMeanwhile()
      await this.#round(open, search)
    }
  }

  async #round(open: readonly TopicPartition[], search: Search): Promise<void> {
    const { cluster, config } = this.#parts
    const { deadlineMs } = search
    const groupId = this.#groupId
    const isStableOnly = config.isolationLevel === 'read_committed'
    const identity = this.#identity()
    try {
      const brokerId = await cluster.coordinator(groupId, { deadlineMs })
      const body = (version: number) => fetchBody(groupId, identity, open, isStableOnly, version)
      const answer = await cluster.requestGroup(groupId, OffsetFetch, body, { deadlineMs })
      await this.#judge(open, fetchedOffsets(answer, groupId), search, brokerId)
    } catch (error) {
      search.lastError = toMQError(error, 'CONSUME_FAILED', 'committed offsets could not be read')
      if (!search.lastError.retryable) throw search.lastError
    }
  }

  /** Throws what concerns the group as a whole and is final. */
  async #judge(
    open: readonly TopicPartition[],
    { errorCode, partitions }: FetchedOffsets,
    search: Search,
    brokerId: number,
  ): Promise<void> {
    const codes = new Set<number>([errorCode])
    if (errorCode === 0) {
      for (const tp of open) {
        const row = partitions.get(keyOf(tp)) ?? { errorCode: UNANSWERED, committed: null }
        codes.add(row.errorCode)
        if (row.errorCode === 0) search.found.set(keyOf(tp), row.committed)
        else if (this.#actionOf(row.errorCode) === 'final')
          search.found.set(keyOf(tp), this.#refusal(row.errorCode, tp))
      }
    }
    for (const code of codes) await this.#react(code, code === errorCode, search, brokerId)
  }

  /** What has to happen before the next round. */
  async #react(code: number, isOfGroup: boolean, search: Search, brokerId: number): Promise<void> {
    const action = this.#actionOf(code)
    if (action === 'ok' || (action === 'final' && !isOfGroup)) return
    const error = this.#refusal(code, null)
    const member = this.#parts.member()
    search.lastError = error
    if (action === 'lookUp') this.#parts.cluster.forgetCoordinator(this.#groupId, brokerId)
    if (action === 'refused' || action === 'outdated') member?.commitRefused(toldToMember(code))
    if (action === 'final' || action === 'refused' || action === 'outdated') throw final(error)
    if (action !== 'refresh') return
    if (member === null) throw final(error)
    await member.refreshIdentity(search.deadlineMs)
  }

  #actionOf(code: number) {
    return judgeOffsets(code, this.#parts.member()?.protocol === 'consumer')
  }

  /** A member under KIP-848 asks in its own name, and is told when its epoch is out of date; others need no name. */
  #identity(): MemberIdentity | null {
    const member = this.#parts.member()
    return member?.protocol === 'consumer' ? identityOf(member) : null
  }

  #refusal(code: number, tp: TopicPartition | null): MQError {
    const where = tp === null ? {} : { topic: tp.topic, partition: tp.partition }
    const context = { groupId: this.#groupId, ...where, ...resourceOf(code, tp?.topic ?? '', this.#groupId) }
    return brokerError(code, 'CONSUME_FAILED', null, context)
  }

  async #pause(attempt: number, search: Search): Promise<void> {
    const { clock, random, config } = this.#parts
    const { retryBackoffMs, retryBackoffMaxMs } = config.connection
    const leftMs = search.deadlineMs - clock.monotonicMs()
    if (leftMs > 0)
      await this.#pauses.wait(Math.min(leftMs, backoffMs(attempt, retryBackoffMs, retryBackoffMaxMs, random)))
    if (search.deadlineMs <= clock.monotonicMs()) throw late(this.#groupId, search.lastError)
  }
}

/** Our own repetitions are over with it, whatever the number says in other places. */
function final(error: MQError): MQError {
  return new MQError(error.code, error.message, error.context, {
    cause: error.cause,
    retryable: false,
    fatal: error.fatal,
  })
}

function late(groupId: string, cause: MQError | null): MQError {
  const why = cause === null ? 'it could not be reached' : cause.message
  const text = `the coordinator of group ${groupId} did not tell its committed offsets in time: ${why}`
  return new MQError('TIMEOUT', text, { groupId }, { cause: cause ?? undefined })
}
