/**
 * The right to use one socket until `release()`.
 * Why a new object per lease: who keeps one after releasing it must not reach the socket that somebody else has now.
 * Invariant: after `release` nothing leaves through this lease; the pool hears of the release exactly once.
 */
import { findMQError, MQError } from '../../errors/index.js'
import type { Api, DecodedResponseOf } from '../../protocol/index.js'
import { type Clock, type Told, tellingAsync } from '../../util/index.js'
import { checkSignal, unlessAborted } from '../abort.js'
import type { RequestBody } from '../control-plane.js'
import { notSent, placeOf } from '../failures.js'
import { type ApiName, schemaOf } from './apis.js'
import { badBody, type PoolSocket } from './pool-socket.js'
import type { PooledConnection, PooledRequestOptions } from './pool-types.js'

export class Lease implements PooledConnection {
  readonly nodeId: number
  readonly #socket: PoolSocket
  readonly #clock: Clock
  readonly #giveBack: (socket: PoolSocket) => void
  readonly #told: Told
  #isReleased = false

  constructor(socket: PoolSocket, clock: Clock, giveBack: (socket: PoolSocket) => void, told: Told) {
    this.nodeId = socket.brokerId
    this.#socket = socket
    this.#clock = clock
    this.#giveBack = giveBack
    this.#told = told
  }

  get isOpen(): boolean {
    return !this.#isReleased && this.#socket.isOpen
  }

  request<A extends Api>(
    api: ApiName | A,
    body: RequestBody<A>,
    options?: PooledRequestOptions,
  ): Promise<DecodedResponseOf<A>> {
    return tellingAsync(this.#told, () => this.#request(api, body, options ?? {}))
  }

  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#giveBack(this.#socket)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
  }

  async #request<A extends Api>(
    api: ApiName | A,
    body: RequestBody<A>,
    options: PooledRequestOptions,
  ): Promise<DecodedResponseOf<A>> {
    checkSignal(options.signal)
    options.signal?.throwIfAborted()
    const schema = schemaOf(api) as A
    if (this.#isReleased) throw this.#released(schema)
    const answer = this.#socket.request(schema, body, options).catch((error: unknown) => {
      throw findMQError(error) ?? badBody(schema, error)
    })
    return unlessAborted(this.#within(schema, answer, options.timeoutMs), options.signal)
  }

  #within<T>(api: Api, answer: Promise<T>, timeoutMs: number | undefined): Promise<T> {
    if (timeoutMs === undefined) return answer
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(() => reject(this.#late(api, timeoutMs)), timeoutMs)
      answer.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  #late(api: Api, timeoutMs: number): MQError {
    const text = `broker ${this.nodeId} did not answer ${api.name} within timeoutMs ${timeoutMs}`
    const context = { ...placeOf(this.#socket.connection.address), api: api.name, wasSent: 'possibly', timeoutMs }
    return new MQError('CONNECTION_TIMEOUT', text, context)
  }

  #released(api: Api): MQError {
    const text = 'this connection was released: take another one from the pool'
    return notSent('CONNECTION_CLOSED', text, api, placeOf(this.#socket.connection.address))
  }
}
