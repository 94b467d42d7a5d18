/**
 * Who may come in: asks `authenticate`, checks what it said, waits for it only so long. GW-4.
 * Invariant: whatever the function of the user does (throws, hangs, gives nonsense), the answer is an identity or a
 * refusal, and what went wrong is told to the operator, never to the client.
 */
import { findMQError, MQError } from '../errors/index.js'
import type { Clock } from '../util/index.js'
import type { ResolvedGatewayOptions } from './options.js'
import { Permissions } from './permissions.js'
import type { Credentials, Identity } from './types.js'

/** unauthenticated: nothing was shown; refused: what was shown is not enough; late: no answer in time. */
export type Verdict = Permissions | 'unauthenticated' | 'refused' | 'late'

export class Admission {
  readonly #options: ResolvedGatewayOptions
  readonly #clock: Clock
  readonly #raise: (error: MQError) => void

  constructor(options: ResolvedGatewayOptions, clock: Clock, raise: (error: MQError) => void) {
    this.#options = options
    this.#clock = clock
    this.#raise = raise
  }

  /** Never rejects. */
  async judge(credentials: Credentials): Promise<Verdict> {
    const { authenticate, anonymous } = this.#options
    const refusal = credentials.token === undefined ? (anonymous ?? 'unauthenticated') : 'refused'
    if (authenticate === undefined) return anonymous ?? refusal
    const identity = await this.#ask(credentials)
    if (identity === 'late' || identity === 'refused') return identity
    if (identity === null) return refusal
    try {
      return new Permissions(identity)
    } catch (error) {
      this.#raise(failed('gave what is no identity', credentials, error))
      return 'refused'
    }
  }

  #ask(credentials: Credentials): Promise<Identity | null | 'late' | 'refused'> {
    const { authenticate, authTimeoutMs } = this.#options
    return new Promise((resolve) => {
      const limit = this.#clock.setTimer(() => {
        this.#raise(late(credentials, authTimeoutMs))
        resolve('late')
      }, authTimeoutMs)
      // `async`: what it throws at once is a rejection like any other.
      const asked = (async () => (await authenticate?.(credentials)) ?? null)()
      asked.then(resolve, (error: unknown) => {
        this.#raise(failed('failed', credentials, error))
        resolve('refused')
      })
      asked.then(
        () => limit.cancel(),
        () => limit.cancel(),
      )
    })
  }
}

function failed(what: string, { transport, peer }: Credentials, cause: unknown): MQError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const text = `authenticate ${what} for ${peer} (${transport}): ${why}; the client is refused`
  const code = findMQError(cause)?.code ?? 'AUTHENTICATION_FAILED'
  return new MQError(code, text, { reason: 'CALLBACK', peer, transport }, { cause })
}

function late({ transport, peer }: Credentials, authTimeoutMs: number): MQError {
  const text = `authenticate gave no answer for ${peer} within authTimeoutMs ${authTimeoutMs}; the client is refused`
  return new MQError('TIMEOUT', text, { peer, transport, authTimeoutMs })
}
