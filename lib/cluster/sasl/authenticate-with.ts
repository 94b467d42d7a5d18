/**
 * From the `sasl` settings to what authenticates a connection.
 * Why here and not in config: which texts a mechanism can carry is known by the mechanism. The configuration has
 * already refused what is missing; what is checked here is told under the same codes.
 */
import type { SaslSettings } from '../../config/index.js'
import { MQError } from '../../errors/index.js'
import type { Authenticate } from '../authenticate.js'
import { authenticateBy } from './exchange.js'
import type { SaslMechanism } from './mechanism.js'
import { oauthBearer } from './oauth-bearer.js'
import { OwnMechanism } from './own-mechanism.js'
import { plain } from './plain.js'
import { Scram } from './scram.js'

/** RFC 4422 allows 20 characters; brokers take what their properties say. */
const MECHANISM_NAME = /^[A-Za-z0-9_-]{1,64}$/

/** Undefined: no authentication. Throws INVALID_CONFIG or MISSING_CONFIG, without showing a secret. */
export function authenticateWith(sasl: SaslSettings): Authenticate | undefined {
  const mechanism = saslMechanismOf(sasl)
  return mechanism === undefined ? undefined : authenticateBy(mechanism)
}

/** For who speaks through another client's connections. Undefined and errors as above. */
export function saslMechanismOf(sasl: SaslSettings): SaslMechanism | undefined {
  if (sasl.authenticator !== undefined) return ownMechanism(sasl)
  switch (sasl.mechanism) {
    case undefined:
      return undefined
    case 'PLAIN':
      return plain(needed('sasl.username', sasl.username), needed('sasl.password', sasl.password))
    case 'SCRAM-SHA-256':
      return new Scram('sha256', needed('sasl.username', sasl.username), needed('sasl.password', sasl.password))
    case 'SCRAM-SHA-512':
      return new Scram('sha512', needed('sasl.username', sasl.username), needed('sasl.password', sasl.password))
    case 'OAUTHBEARER':
      return oauthBearer(needed('sasl.token', sasl.token))
    case 'GSSAPI':
      return needed('sasl.authenticator', undefined)
  }
}

function ownMechanism({ mechanism, authenticator }: SaslSettings): SaslMechanism {
  const name: unknown = authenticator?.mechanism
  if (authenticator === undefined || typeof name !== 'string' || !MECHANISM_NAME.test(name)) {
    const text = 'sasl.authenticator.mechanism: expected the name of a mechanism (letters, digits, - and _)'
    throw new MQError('INVALID_CONFIG', text, { path: 'sasl.authenticator' })
  }
  if (mechanism !== undefined && mechanism !== name) {
    const text = `sasl.mechanism (${mechanism}): expected the mechanism of sasl.authenticator, which is ${name}`
    throw new MQError('INVALID_CONFIG', text, { path: 'sasl.mechanism' })
  }
  return new OwnMechanism(authenticator)
}

function needed<T>(field: string, value: T | undefined): T {
  if (value !== undefined) return value
  throw new MQError('MISSING_CONFIG', `${field}: expected a value, which sasl.mechanism needs`, { path: field })
}
