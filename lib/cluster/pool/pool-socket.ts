/**
 * One lendable socket and what the pool knows of it: when it was opened, used and probed, and who has it.
 * Why requests wait here for room: a lease may ask much at once, and a throttled socket is silent for a while.
 * Invariant: exactly one state at a time; a socket that is gone is in no state but 'gone', and every request on it has
 * been told. Source: features.md CL-2.
 *
 *   idle -> lent -> (draining: released, answers outstanding) -> idle
 *   idle -> probing -> idle          any -> closing (by us, the socket is not gone yet) -> gone
 */
import { type MQError, toMQError } from '../../errors/index.js'
import { type Api, type DecodedResponseOf, Produce, type RequestOf } from '../../protocol/index.js'
import { assert, Deque } from '../../util/index.js'
import type { Connection } from '../connection.js'
import type { RequestBody } from '../control-plane.js'
import { notSent, placeOf, unsupported } from '../failures.js'

export type SocketState = 'idle' | 'probing' | 'lent' | 'draining' | 'closing' | 'gone'

/** Requests of one lease that wait for room; the socket itself holds 32 more. */
const MAX_WAITING = 1_000

interface Waiting {
  send(): void
  fail(reason: MQError): void
}

export class PoolSocket {
  readonly connection: Connection
  readonly brokerId: number
  /** Monotonic. */
  readonly openedMs: number
  idleSinceMs: number
  checkedMs: number
  state: SocketState = 'idle'
  /** Why it went, or goes. */
  reason: MQError | null = null
  /** Set by the pool: no request is outstanding any more. */
  onQuiet: () => void = () => {}
  readonly #waiting = new Deque<Waiting>()
  #pending = 0 // requests that have no answer yet, waiting ones included

  constructor(connection: Connection, nowMs: number) {
    this.connection = connection
    this.brokerId = connection.address.brokerId
    this.openedMs = this.idleSinceMs = this.checkedMs = nowMs
    connection.onRoom = () => this.#room()
  }

  get isOpen(): boolean {
    return this.connection.isOpen
  }

  get isQuiet(): boolean {
    return this.#pending === 0
  }

  request<A extends Api>(
    api: A,
    body: RequestBody<A>,
    { limitMs = 0, maxVersion }: { limitMs?: number | undefined; maxVersion?: number | undefined } = {},
  ): Promise<DecodedResponseOf<A>> {
    if (!this.isOpen) return Promise.reject(this.#isGone(api))
    const version = this.connection.apis.versionOf(api, maxVersion)
    if (version < 0) return Promise.reject(unsupported(api, this.brokerId))
    if (this.#waiting.size >= MAX_WAITING) return Promise.reject(this.#isFull(api))
    this.#pending++
    return this.#sent(api, version, body, limitMs).finally(() => {
      this.#pending--
      if (this.#pending === 0) this.onQuiet()
    })
  }

  /** The socket is gone: whatever waited for room was never sent. */
  ended(reason: MQError): void {
    this.state = 'gone'
    this.reason ??= reason
    for (let next = this.#waiting.popFront(); next !== undefined; next = this.#waiting.popFront()) next.fail(reason)
  }

  #sent<A extends Api>(api: A, version: number, body: RequestBody<A>, limitMs: number): Promise<DecodedResponseOf<A>> {
    if (this.connection.hasRoom && this.#waiting.size === 0) return this.#send(api, version, body, limitMs)
    return new Promise((resolve, reject) => {
      this.#waiting.pushBack({
        send: () => this.#send(api, version, body, limitMs).then(resolve, reject),
        fail: () => reject(this.#isGone(api)),
      })
    })
  }

  async #send<A extends Api>(
    api: A,
    version: number,
    body: RequestBody<A>,
    limitMs: number,
  ): Promise<DecodedResponseOf<A>> {
    assert(this.connection.hasRoom, 'a pooled request leaves only when there is room')
    const made = this.#made(api, version, body)
    return this.connection.request(api, version, made, limitMs)
  }

  #made<A extends Api>(api: A, version: number, body: RequestBody<A>): RequestOf<A> {
    const made = typeof body === 'function' ? body(version) : body
    if (api !== (Produce as Api) || (made as { readonly acks?: number }).acks !== 0) return made
    const text = 'Produce with acks 0 has no answer to wait for: use 1 or -1, or a producer'
    throw notSent('INVALID_CONFIG', text, api, placeOf(this.connection.address))
  }

  #room(): void {
    while (this.connection.hasRoom) {
      const next = this.#waiting.popFront()
      if (next === undefined) return
      next.send()
    }
  }

  #isGone(api: Api): MQError {
    const why = this.reason === null ? '' : `: ${this.reason.message}`
    const text = `the connection to broker ${this.brokerId} is gone${why}`
    return notSent('CONNECTION_CLOSED', text, api, placeOf(this.connection.address), {
      cause: this.reason ?? undefined,
    })
  }

  #isFull(api: Api): MQError {
    const text = `${MAX_WAITING} requests wait for room on this connection: await some of them first`
    const context = { ...placeOf(this.connection.address), reason: 'NO_CONNECTION' } as const
    return notSent('POOL_EXHAUSTED', text, api, context)
  }
}

/** What a user's body or function did wrong, as an MQError. */
export function badBody(api: Api, error: unknown): MQError {
  return toMQError(error, 'SERIALIZATION_FAILED', `${api.name} could not be written`, { api: api.name, wasSent: 'no' })
}
