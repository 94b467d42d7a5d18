/**
 * Which broker coordinates a group, and the way to ask it something.
 * Why shared per group: a member, its committer and its heartbeats meet NOT_COORDINATOR at once, and should cost one
 * question. What the coordinator answers is the caller's to judge: only he knows whether 14 means "ask it again" (he
 * keeps it) or 15 and 16 mean "somebody else" (he calls `forget`). A lost connection forgets by itself.
 * Invariant: one look-up per group at a time, none without somebody who waits; nothing is left after `close`.
 * Source: kafka.md W-29, W-10.
 */
import { findMQError, MQError } from '../errors/index.js'
import {
  type Api,
  brokerError,
  type DecodedResponseOf,
  FindCoordinator,
  kafkaError,
  type RequestOf,
} from '../protocol/index.js'
import { backoffMs, type Deferred, deferred, type TimerHandle } from '../util/index.js'
import { type ControlPlane, isWorthRepeating, type RequestBody } from './control-plane.js'
import { type BrokerAddress, closedHere } from './failures.js'
import type { ClusterSetup } from './links.js'

export interface CoordinatorOptions {
  /** Point on the monotonic clock at which the call gives up. Unset: after `maxRetries` further rounds. */
  readonly deadlineMs?: number | undefined
}

export interface GroupRequestOptions extends CoordinatorOptions {
  /** The broker's own limit for the request; its socket is given up `readTimeoutMs` later. Default 0. */
  readonly limitMs?: number | undefined
  /**
   * 'control', the default: repeated when the connection breaks, like every harmless question. 'group': a connection
   * of its own for what a broker may hold for long, asked once, because to join again is the member's decision.
   */
  readonly purpose?: 'control' | 'group' | undefined
}

interface Waiter {
  readonly done: Deferred<number>
  roundsLeft: number
}

interface LookUp {
  readonly groupId: string
  readonly waiters: Set<Waiter>
  lastError: MQError | null
}

const GROUP_KEY = 0
/** From this version on a request names several keys at once. */
const BATCHED = 4
const COORDINATOR_NOT_AVAILABLE = 15

export class Coordinators {
  readonly #setup: ClusterSetup
  readonly #control: ControlPlane
  readonly #learn: (address: BrokerAddress) => void
  readonly #known = new Map<string, number>()
  readonly #lookUps = new Map<string, LookUp>()
  #isClosed = false

  /** `learn` is told where a coordinator is, before anybody connects to it. */
  constructor(setup: ClusterSetup, control: ControlPlane, learn: (address: BrokerAddress) => void) {
    this.#setup = setup
    this.#control = control
    this.#learn = learn
  }

  /** The coordinator's broker id: remembered, or looked up together with everybody else who asks. */
  async find(groupId: string, { deadlineMs }: CoordinatorOptions): Promise<number> {
    if (this.#isClosed) throw closedHere('the cluster')
    const known = this.#known.get(groupId)
    if (known !== undefined) return known
    const { settings } = this.#setup
    const roundsLeft = deadlineMs === undefined ? settings.maxRetries : Number.POSITIVE_INFINITY
    const waiter: Waiter = { done: deferred(), roundsLeft }
    const lookUp = this.#lookUps.get(groupId) ?? this.#begin(groupId)
    lookUp.waiters.add(waiter)
    const timer = this.#giveUpAt(deadlineMs, () => waiter.done.reject(tooLate(lookUp)))
    try {
      return await waiter.done.promise
    } finally {
      timer?.cancel()
      lookUp.waiters.delete(waiter)
    }
  }

  /** Only if that broker is still what is remembered: a slow answer must not undo a newer look-up. */
  forget(groupId: string, brokerId: number): void {
    if (this.#known.get(groupId) === brokerId) this.#known.delete(groupId)
  }

  /** The connection to that broker broke, or could not be made. */
  forgetBroker(brokerId: number): void {
    for (const [groupId, known] of this.#known) if (known === brokerId) this.#known.delete(groupId)
  }

  async request<A extends Api>(
    groupId: string,
    api: A,
    body: RequestBody<A>,
    options: GroupRequestOptions,
  ): Promise<DecodedResponseOf<A>> {
    const { settings, clock, random } = this.#setup
    const { deadlineMs = Number.POSITIVE_INFINITY } = options
    const rounds = options.deadlineMs === undefined ? settings.maxRetries : Number.POSITIVE_INFINITY
    for (let round = 0; ; round++) {
      const brokerId = await this.find(groupId, options)
      try {
        return await this.#control.askBroker(brokerId, api, body, options)
      } catch (error) {
        this.forget(groupId, brokerId)
        const waitMs = backoffMs(round, settings.retryBackoffMs, settings.retryBackoffMaxMs, random)
        const isOver = round >= rounds || clock.monotonicMs() + waitMs >= deadlineMs
        if (options.purpose === 'group' || isOver || !isWorthRepeating(error)) throw error
        await this.#control.sleep(waitMs)
      }
    }
  }

  close(): void {
    this.#isClosed = true
    for (const { waiters } of this.#lookUps.values()) rejectAll(waiters, closedHere('the cluster'))
  }

  #begin(groupId: string): LookUp {
    const lookUp: LookUp = { groupId, waiters: new Set(), lastError: null }
    this.#lookUps.set(groupId, lookUp)
    void this.#run(lookUp)
    return lookUp
  }

  /** Never rejects: what goes wrong is told to those who wait. */
  async #run(lookUp: LookUp): Promise<void> {
    await Promise.resolve() // The first waiter is noted by then.
    const { settings, random } = this.#setup
    for (let round = 0; lookUp.waiters.size > 0 && !this.#isClosed; round++) {
      if (await this.#round(lookUp)) continue // Nobody waits any more, unless somebody came in this very step.
      const waitMs = backoffMs(round, settings.retryBackoffMs, settings.retryBackoffMaxMs, random)
      await this.#control.sleep(waitMs).catch(() => {}) // Closed: the loop ends, `close` has told everybody.
    }
    this.#lookUps.delete(lookUp.groupId)
  }

  /** True when the look-up is over. */
  async #round(lookUp: LookUp): Promise<boolean> {
    const { groupId, waiters } = lookUp
    try {
      const brokerId = await this.#ask(groupId)
      if (this.#isClosed) return true
      this.#known.set(groupId, brokerId)
      for (const { done } of waiters) done.resolve(brokerId)
      waiters.clear()
      return true
    } catch (error) {
      lookUp.lastError = asError(error)
      if (!lookUp.lastError.retryable) {
        rejectAll(waiters, lookUp.lastError)
        return true
      }
      for (const waiter of waiters) if (waiter.roundsLeft-- <= 0) this.#reject(lookUp, waiter)
      return false
    }
  }

  #reject({ waiters, lastError }: LookUp, waiter: Waiter): void {
    waiters.delete(waiter)
    waiter.done.reject(lastError)
  }

  async #ask(groupId: string): Promise<number> {
    const body = (version: number): RequestOf<typeof FindCoordinator> =>
      version >= BATCHED ? { keyType: GROUP_KEY, coordinatorKeys: [groupId] } : { keyType: GROUP_KEY, key: groupId }
    const answer = await this.#control.request(FindCoordinator, body, {})
    const found = answer.coordinators.find(({ key }) => key === groupId) ?? answer
    const { errorCode, errorMessage, nodeId, host, port } = found
    const code = errorCode === 0 && host === '' ? COORDINATOR_NOT_AVAILABLE : errorCode
    if (code !== 0) throw refused(groupId, code, errorMessage)
    this.#learn({ brokerId: nodeId, host, port, rack: null })
    return nodeId
  }

  #giveUpAt(deadlineMs: number | undefined, task: () => void): TimerHandle | null {
    if (deadlineMs === undefined || deadlineMs === Number.POSITIVE_INFINITY) return null
    const { clock } = this.#setup
    return clock.setTimer(task, Math.max(0, deadlineMs - clock.monotonicMs()))
  }
}

function rejectAll(waiters: Set<Waiter>, reason: MQError): void {
  for (const { done } of waiters) done.reject(reason)
  waiters.clear()
}

/** The table of error numbers knows which of them mend by themselves; 30 names the group. */
function refused(groupId: string, errorCode: number, errorMessage: string | null): MQError {
  const context = { groupId, resource: `group ${groupId}`, operation: 'READ' }
  const error = brokerError(errorCode, 'GROUP_COORDINATOR_NOT_FOUND', errorMessage, context)
  const { kind } = kafkaError(errorCode)
  const retryable = kind !== 'fatal' && !error.fatal
  const text = `no coordinator: ${error.message}`
  return new MQError(error.code, text, error.context, { cause: error, retryable, fatal: error.fatal })
}

function asError(error: unknown): MQError {
  return (
    findMQError(error) ?? new MQError('GROUP_COORDINATOR_NOT_FOUND', 'the look-up failed here', {}, { cause: error })
  )
}

/** A broker that says "not yet" is another story than one that says nothing. */
function tooLate({ groupId, lastError }: LookUp): MQError {
  if (lastError?.code === 'GROUP_COORDINATOR_NOT_FOUND') return lastError
  const why = lastError === null ? 'none has answered' : lastError.message
  const text = `no broker told within the time allowed who coordinates group ${groupId}: ${why}`
  return new MQError('TIMEOUT', text, { groupId }, { cause: lastError ?? undefined })
}
