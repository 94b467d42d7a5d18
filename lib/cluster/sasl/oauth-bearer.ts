/**
 * OAUTHBEARER: a token instead of a password. A broker that refuses it says why in a challenge, which has to be
 * answered by one byte before it ends the authentication.
 * Invariant: every authentication asks for a fresh token; none is kept. Source: RFC 7628, KIP-255, KIP-368.
 */
import type { MQError } from '../../errors/index.js'
import type { SaslExchange, SaslMechanism } from './mechanism.js'
import { functionFailed, refused, shown } from './refusals.js'

export type TokenSource = () => Promise<string>

const NAME = 'OAUTHBEARER'
/** "I have read your refusal." */
const ACKNOWLEDGEMENT = Uint8Array.of(1)
/** 0x01 ends a part of the message, blanks separate scheme and token; a token has neither. */
const TOKEN = /^[\x21-\x7e]+$/
/** What Kafka takes in one message (sasl.server.max.receive.size), less what surrounds a token. */
const MAX_TOKEN_BYTES = 524_288 - 64

export function oauthBearer(source: TokenSource): SaslMechanism {
  return { name: NAME, begin: async () => new BearerExchange(await tokenFrom(source)) }
}

async function tokenFrom(source: TokenSource): Promise<string> {
  let token: unknown
  try {
    token = await source()
  } catch (error) {
    throw functionFailed(NAME, 'sasl.token', error)
  }
  if (typeof token === 'string' && TOKEN.test(token) && token.length <= MAX_TOKEN_BYTES) return token
  const length = typeof token === 'string' ? ` of ${token.length} characters` : ''
  const expected = `a text of 1..${MAX_TOKEN_BYTES} printable characters without blanks`
  throw refused(NAME, `sasl.token gave a ${typeof token}${length}, expected ${expected}`)
}

class BearerExchange implements SaslExchange {
  readonly secrets: readonly string[]
  refusal: MQError | null = null
  readonly #message: string
  #isSaid = false

  constructor(token: string) {
    this.#message = `n,,\x01auth=Bearer ${token}\x01\x01`
    this.secrets = [this.#message, token]
  }

  next(challenge: Uint8Array): Uint8Array | undefined {
    if (!this.#isSaid) {
      this.#isSaid = true
      return Buffer.from(this.#message)
    }
    if (this.refusal !== null) throw this.refusal
    if (challenge.length === 0) return undefined
    const said = shown(Buffer.from(challenge).toString('utf8'), this.secrets)
    this.refusal = refused(NAME, `the broker refuses the token: ${said}`)
    return ACKNOWLEDGEMENT
  }

  end(): void {}
}
