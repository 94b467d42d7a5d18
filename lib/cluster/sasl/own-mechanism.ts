/**
 * A mechanism that the user brings along: GSSAPI (Kerberos), cloud providers' own.
 * Why one exchange at a time: `sasl.authenticator` is one object with one `next`, while a client opens several
 * connections at once; two exchanges through it would mix their challenges.
 * Invariant: whoever has its turn gives it back, also when nobody waits for its connection any more.
 */
import type { SaslAuthenticator, SaslRound } from '../../config/index.js'
import { type Deferred, deferred } from '../../util/index.js'
import type { Beginning, SaslExchange, SaslMechanism } from './mechanism.js'
import { functionFailed, refused } from './refusals.js'

export class OwnMechanism implements SaslMechanism {
  readonly name: string
  readonly #authenticator: SaslAuthenticator
  #turn: Deferred<void> | null = null // of who has it now

  constructor(authenticator: SaslAuthenticator) {
    this.name = authenticator.mechanism
    this.#authenticator = authenticator
  }

  async begin(session: Beginning): Promise<SaslExchange> {
    while (this.#turn !== null && !session.signal.aborted) await this.#turn.promise
    session.signal.throwIfAborted()
    const turn = deferred<void>()
    this.#turn = turn
    const giveBack = () => {
      session.signal.removeEventListener('abort', giveBack)
      if (this.#turn === turn) this.#turn = null
      turn.resolve()
    }
    session.signal.addEventListener('abort', giveBack)
    return new OwnExchange(this.#authenticator, session, giveBack)
  }
}

class OwnExchange implements SaslExchange {
  readonly secrets = []
  readonly refusal = null
  readonly end: () => void
  readonly #authenticator: SaslAuthenticator
  readonly #session: Beginning
  #round = 0

  constructor(authenticator: SaslAuthenticator, session: Beginning, giveBack: () => void) {
    this.#authenticator = authenticator
    this.#session = session
    this.end = giveBack
  }

  async next(challenge: Uint8Array): Promise<Uint8Array | undefined> {
    const { host, port } = this.#session.address
    const answer = await this.#ask(challenge, { host, port, round: this.#round++ })
    if (answer === undefined || answer instanceof Uint8Array) return answer
    const text = `sasl.authenticator.next() gave ${answer === null ? 'null' : `a ${typeof answer}`}`
    throw refused(this.#authenticator.mechanism, `${text}, expected a Uint8Array, or undefined at the end`)
  }

  async #ask(challenge: Uint8Array, round: SaslRound): Promise<unknown> {
    try {
      return await this.#authenticator.next(challenge, round)
    } catch (error) {
      throw functionFailed(this.#authenticator.mechanism, 'sasl.authenticator.next()', error)
    }
  }
}
