/**
 * One authentication: SaslHandshake 1, then rounds of SaslAuthenticate until the mechanism is satisfied.
 * Invariant: exactly the configured mechanism is spoken. A broker that does not offer it is refused; there is no other
 * mechanism, no older handshake and no plain connection to fall back to, because that is what an attacker would ask for.
 * Source: kafka.md W-16, W-22; KIP-43, KIP-152, KIP-368.
 */
import { MQError } from '../../errors/index.js'
import { brokerError, SaslAuthenticate, SaslHandshake } from '../../protocol/index.js'
import type { Authenticate, OpeningSession } from '../authenticate.js'
import { NO_BYTES, type SaslExchange, type SaslMechanism } from './mechanism.js'
import { refused, shown } from './refusals.js'

const UNSUPPORTED_SASL_MECHANISM = 33
const ILLEGAL_SASL_STATE = 34
/** SCRAM needs 2, Kerberos 3; a peer that never ends must not keep us for ever. */
const MAX_ROUNDS = 32
/** Of what a broker claims to offer, so many are shown. */
const SHOWN_MECHANISMS = 16

export function authenticateBy(mechanism: SaslMechanism): Authenticate {
  return async (session) => {
    const version = session.apis.versionOf(SaslAuthenticate)
    if (version < 0 || session.apis.versionOf(SaslHandshake) < 0) throw hasNoSasl(mechanism.name)
    const exchange = await mechanism.begin(session)
    try {
      await shakeHands(mechanism.name, exchange, session)
      return await talk(mechanism.name, exchange, session, version)
    } finally {
      exchange.end()
    }
  }
}

async function shakeHands(mechanism: string, { secrets }: SaslExchange, session: OpeningSession): Promise<void> {
  const { errorCode, mechanisms } = await session.request(SaslHandshake, 1, { mechanism })
  if (errorCode === 0) return
  if (errorCode === UNSUPPORTED_SASL_MECHANISM) throw isNotOffered(mechanism, mechanisms, secrets)
  throw withMechanism(brokerError(errorCode, 'CONNECTION_FAILED', hintFor(errorCode)), mechanism)
}

/** Resolves to the lifetime of the session. */
async function talk(mechanism: string, exchange: SaslExchange, session: OpeningSession, version: number) {
  let lifetimeMs = 0
  await converse(mechanism, exchange, async (message) => {
    const answer = await say(exchange, session, version, message)
    if (answer.errorCode !== 0) throw refusal(mechanism, exchange, answer.errorCode, answer.errorMessage)
    lifetimeMs = answer.sessionLifetimeMs
    return answer.authBytes
  })
  return Math.max(0, lifetimeMs)
}

/** Rounds until the mechanism is satisfied; `ask` takes a message to the broker and brings its challenge. */
export async function converse(
  mechanism: string,
  exchange: SaslExchange,
  ask: (message: Uint8Array) => Promise<Uint8Array>,
): Promise<void> {
  let message = await exchange.next(NO_BYTES)
  if (message === undefined) throw refused(mechanism, 'the exchange ended before a word was said')
  for (let round = 0; message !== undefined; round++) {
    if (round === MAX_ROUNDS) throw refused(mechanism, `no end after ${MAX_ROUNDS} rounds`)
    message = await exchange.next(await ask(message))
  }
}

/** What a broker answers instead of a challenge. */
export function refusal(mechanism: string, exchange: SaslExchange, errorCode: number, text: string | null): MQError {
  const said = text === null ? null : shown(text, exchange.secrets)
  return withMechanism(brokerError(errorCode, 'CONNECTION_FAILED', said), mechanism, exchange.refusal)
}

async function say(exchange: SaslExchange, session: OpeningSession, version: number, authBytes: Uint8Array) {
  try {
    return await session.request(SaslAuthenticate, version, { authBytes })
  } catch (error) {
    throw exchange.refusal ?? error // Some brokers end the connection instead of saying once more that they refuse.
  }
}

function withMechanism(error: MQError, mechanism: string, refusal: MQError | null = null): MQError {
  const text = `SASL ${mechanism}: ${refusal === null ? '' : `${refusal.message}; `}${error.message}`
  const { retryable, fatal } = error
  return new MQError(error.code, text, { ...error.context, mechanism }, { retryable, fatal })
}

function hintFor(errorCode: number): string | null {
  if (errorCode !== ILLEGAL_SASL_STATE) return null
  return 'this listener asks for no authentication; use the port of the SASL listener, or take the sasl settings out'
}

function isNotOffered(mechanism: string, mechanisms: readonly string[], secrets: readonly string[]): MQError {
  const offered = mechanisms.slice(0, SHOWN_MECHANISMS).map((name) => shown(name, secrets).slice(0, 64))
  const names = offered.length === 0 ? 'nothing' : offered.join(', ')
  const text = `the broker does not offer it, it offers ${names}: set sasl.mechanism to one of these, or enable it on the listener`
  return refused(mechanism, text, { offered, kafkaCode: 33, kafkaName: 'UNSUPPORTED_SASL_MECHANISM' })
}

function hasNoSasl(mechanism: string): MQError {
  return refused(mechanism, 'the broker does not serve SaslHandshake 1 and SaslAuthenticate on this listener')
}
