/**
 * OAUTHBEARER (RFC 7628): one message with a token. A refused token is answered by a challenge that says why in JSON, the
 * client acknowledges it by a single 0x01, and only then comes the verdict: so Kafka does it, and clients hang that do not.
 */
import { challenge, done, failed, type SaslExchange, type SaslStep } from './exchange.js'

const HEADER = /^n,(?:a=([^,]*))?,$/
const TOKEN = /^auth=Bearer +(\S+)$/i
const SEPARATOR = '\x01'
const REFUSED = '{"status":"invalid_token"}'

/** Whose token it is; null: nobody's. */
export type CheckToken = (token: string) => { readonly principal: string; readonly expiresAtMs: number } | null

export class OauthBearerExchange implements SaslExchange {
  readonly #check: CheckToken
  #isRefused = false

  constructor(check: CheckToken) {
    this.#check = check
  }

  next(message: Uint8Array): SaslStep {
    const text = Buffer.from(message).toString('utf8')
    if (this.#isRefused) return failed(text === SEPARATOR ? REFUSED : null)
    const [first = '', ...pairs] = text.split(SEPARATOR)
    const header = HEADER.exec(first)
    const token = pairs.map((pair) => TOKEN.exec(pair)?.[1]).find((found) => found !== undefined)
    // The last pair ends with a separator, and one more ends the message.
    if (header === null || token === undefined || !text.endsWith(SEPARATOR + SEPARATOR)) return failed()
    const authorizationId = header[1]
    const owner = this.#check(token)
    if (owner === null) {
      this.#isRefused = true
      return challenge(REFUSED)
    }
    if (authorizationId !== undefined && authorizationId !== '' && authorizationId !== owner.principal) return failed()
    return done(owner.principal, '', owner.expiresAtMs)
  }
}
