/** PLAIN (RFC 4616): one message `[authorization id] NUL user NUL password`, one verdict. Rules as Kafka's. */
import type { Credentials } from './credentials.js'
import { done, failed, type SaslExchange, type SaslStep } from './exchange.js'

const PARTS = 3

export class PlainExchange implements SaslExchange {
  readonly #credentials: Credentials

  constructor(credentials: Credentials) {
    this.#credentials = credentials
  }

  next(message: Uint8Array): SaslStep {
    const parts = Buffer.from(message).toString('utf8').split('\0')
    if (parts.length !== PARTS) return failed()
    const [authorizationId, user, password] = parts as [string, string, string]
    if (user === '') return failed('the user name is empty')
    if (password === '') return failed('the password is empty')
    if (!this.#credentials.accepts(user, password)) return failed('user name or password is wrong')
    if (authorizationId !== '' && authorizationId !== user) return failed('nobody may act as somebody else')
    return done(user)
  }
}
