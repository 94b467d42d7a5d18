/**
 * What all connections of a broker with SASL share: the mechanisms it offers, its users, how long a session may last.
 * Invariant: what the options lack for a mechanism they offer is refused at once, not at the first client.
 */
import { MQError } from '../../errors/index.js'
import type { RandomSource } from '../../util/index.js'
import { Credentials } from './credentials.js'
import type { SaslExchange } from './exchange.js'
import { type CheckToken, OauthBearerExchange } from './oauthbearer.js'
import { PlainExchange } from './plain.js'
import { ScramExchange } from './scram.js'

export type SaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER'

export interface BrokerSaslOptions {
  /** What is offered; a client that asks for another gets this list and error 33. */
  readonly mechanisms: readonly SaslMechanism[]
  /** Password by user name, for PLAIN and SCRAM. */
  readonly users?: Readonly<Record<string, string>>
  /** Whose token it is and until when (wall time), for OAUTHBEARER; null refuses it. */
  readonly tokens?: CheckToken
  /**
   * A client has to authenticate again before a session is so old, else its next request closes the connection.
   * Milliseconds, default 0 = no limit but a token's. Kafka: connections.max.reauth.ms.
   */
  readonly sessionLifetimeMs?: number
}

const MECHANISMS: readonly string[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']

export class SaslSecurity {
  readonly mechanisms: readonly SaslMechanism[]
  readonly sessionLifetimeMs: number
  readonly credentials: Credentials
  readonly #tokens: CheckToken
  readonly #random: RandomSource

  constructor(options: BrokerSaslOptions, random: RandomSource) {
    checkOptions(options)
    this.mechanisms = [...options.mechanisms]
    this.sessionLifetimeMs = options.sessionLifetimeMs ?? 0
    this.credentials = new Credentials(options.users ?? {}, random)
    this.#tokens = options.tokens ?? (() => null)
    this.#random = random
  }

  offers(mechanism: string): mechanism is SaslMechanism {
    return (this.mechanisms as readonly string[]).includes(mechanism)
  }

  begin(mechanism: SaslMechanism): SaslExchange {
    switch (mechanism) {
      case 'PLAIN':
        return new PlainExchange(this.credentials)
      case 'SCRAM-SHA-256':
        return new ScramExchange(this.credentials, 'sha256', this.#random)
      case 'SCRAM-SHA-512':
        return new ScramExchange(this.credentials, 'sha512', this.#random)
      case 'OAUTHBEARER':
        return new OauthBearerExchange(this.#tokens)
    }
  }
}

function checkOptions({ mechanisms, users, tokens, sessionLifetimeMs = 0 }: BrokerSaslOptions): void {
  const unknown = mechanisms.find((mechanism) => !MECHANISMS.includes(mechanism))
  if (mechanisms.length === 0 || unknown !== undefined) {
    const got = unknown === undefined ? 'none' : unknown
    throw new MQError('INVALID_CONFIG', `sasl.mechanisms names some of ${MECHANISMS.join(', ')}, got ${got}`)
  }
  if (!(sessionLifetimeMs >= 0)) throw new MQError('INVALID_CONFIG', 'sasl.sessionLifetimeMs is 0 or more milliseconds')
  if (mechanisms.includes('OAUTHBEARER') && tokens === undefined) {
    throw new MQError('MISSING_CONFIG', 'OAUTHBEARER needs sasl.tokens, a function that says whose a token is')
  }
  if (mechanisms.some((mechanism) => mechanism !== 'OAUTHBEARER') && users === undefined) {
    throw new MQError('MISSING_CONFIG', 'PLAIN and SCRAM need sasl.users, an object of passwords by user name')
  }
}
