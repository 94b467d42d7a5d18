/**
 * What a SASL mechanism is: a name, and exchanges of messages that it can begin.
 * Why two interfaces: credentials live as long as the client, an exchange as long as one authentication, and four
 * connections may authenticate at the same time. Source: RFC 4422.
 */
import type { MQError } from '../../errors/index.js'

/** What an exchange may know of the connection it is for. */
export interface Beginning {
  readonly address: { readonly host: string; readonly port: number }
  /** Nobody waits for the outcome any more. */
  readonly signal: AbortSignal
}

export interface SaslMechanism {
  /** As brokers list it: 'SCRAM-SHA-256'. */
  readonly name: string
  /** One authentication, ready to speak: a token is fetched here, before anything is written. */
  begin(session: Beginning): Promise<SaslExchange> | SaslExchange
}

export interface SaslExchange {
  /** What must not be shown although a broker repeats it. */
  readonly secrets: readonly string[]
  /** Set when the broker's last word was a refusal, whatever becomes of the connection now. */
  readonly refusal: MQError | null
  /** The next message to the broker; undefined: satisfied, nothing more to say. The first challenge is empty. */
  next(challenge: Uint8Array): Promise<Uint8Array | undefined> | Uint8Array | undefined
  /** However it ended. */
  end(): void
}

export const NO_BYTES: Uint8Array = new Uint8Array(0)
