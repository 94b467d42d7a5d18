/**
 * PLAIN: name and password in one message. Only TLS keeps them from being read on the way, hence the warning of the
 * configuration. Source: RFC 4616.
 */
import type { SaslExchange, SaslMechanism } from './mechanism.js'
import { checkPrepared } from './prepared-text.js'

export function plain(username: string, password: string): SaslMechanism {
  // NUL separates the parts of the message; it is among the characters that are refused here.
  checkPrepared('sasl.username', username)
  checkPrepared('sasl.password', password)
  return { name: 'PLAIN', begin: () => new PlainExchange(username, password) }
}

class PlainExchange implements SaslExchange {
  readonly secrets: readonly string[]
  readonly refusal = null
  readonly #message: Uint8Array
  #isSaid = false

  constructor(username: string, password: string) {
    const message = `\0${username}\0${password}`
    this.secrets = [message, password]
    this.#message = Buffer.from(message)
  }

  next(): Uint8Array | undefined {
    if (this.#isSaid) return undefined
    this.#isSaid = true
    return this.#message
  }

  end(): void {}
}
