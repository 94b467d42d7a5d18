/**
 * Our resolved configuration in the words of kafkajs.
 * Why here: kafkajs knows the same things under other names and units, and nobody else in the house should.
 * Invariant: nothing of it is logged; secrets pass through as they are.
 */
import type { KafkaConfig, Mechanism, SASLOptions } from 'kafkajs'
import { clusterOptionsOf } from '../../cluster/index.js'
import type { ResolvedClientConfig, SaslAuthenticator } from '../../config/index.js'
import { MQError } from '../../errors/index.js'

/** kafkajs' logLevel.WARN; its numbers are part of its public interface. */
const WARN = 2
const LENGTH_BYTES = 4

type Address = { readonly host: string; readonly port: number }

export function kafkaOptionsOf(
  config: ResolvedClientConfig,
  clientId: string,
  brokers: readonly Address[],
): KafkaConfig {
  const { connection, logger } = config
  const { tls } = clusterOptionsOf(config)
  const sasl = saslOf(config)
  return {
    clientId,
    brokers: brokers.map(({ host, port }) => `${host}:${port}`),
    connectionTimeout: connection.dialTimeoutMs,
    authenticationTimeout: connection.dialTimeoutMs,
    requestTimeout: connection.readTimeoutMs,
    retry: {
      retries: connection.maxRetries,
      initialRetryTime: connection.retryBackoffMs,
      maxRetryTime: connection.retryBackoffMaxMs,
    },
    logLevel: WARN,
    // What it calls an error reaches the caller as a rejection: here it is only a trace.
    logCreator: () => (entry) => logger.debug(`kafkajs: ${entry.log.message}`, { namespace: entry.namespace }),
    ...(tls === undefined ? {} : { ssl: { ...tls } as NonNullable<KafkaConfig['ssl']> }),
    ...(sasl === undefined ? {} : { sasl }),
  }
}

/** kafkajs takes addresses apart at the first colon, so an IPv6 literal is none for it. */
export function isSpeakable({ host }: Address): boolean {
  return !host.includes(':')
}

function saslOf({ sasl }: ResolvedClientConfig): SASLOptions | Mechanism | undefined {
  const { mechanism, username = '', password = '', token, authenticator } = sasl
  if (authenticator !== undefined) return customMechanism(authenticator)
  switch (mechanism) {
    case undefined:
      return undefined
    case 'PLAIN':
      return { mechanism: 'plain', username, password }
    case 'SCRAM-SHA-256':
      return { mechanism: 'scram-sha-256', username, password }
    case 'SCRAM-SHA-512':
      return { mechanism: 'scram-sha-512', username, password }
    case 'OAUTHBEARER':
      return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await tokenOf(token) }) }
    default:
      throw new MQError('MISSING_CONFIG', `sasl.authenticator: ${mechanism} needs one`, { path: 'sasl.authenticator' })
  }
}

async function tokenOf(token: (() => Promise<string>) | undefined): Promise<string> {
  if (token === undefined)
    throw new MQError('MISSING_CONFIG', 'sasl.token: OAUTHBEARER needs a function that gives one')
  return token()
}

/**
 * kafkajs calls its provider once per connection; in each exchange our bytes stand behind their length, both ways. The
 * authenticator is one object for all connections, so exchanges take turns.
 */
function customMechanism(authenticator: SaslAuthenticator): Mechanism {
  let turn: Promise<unknown> = Promise.resolve()
  return {
    mechanism: authenticator.mechanism,
    authenticationProvider: ({ host, port, saslAuthenticate }) => ({
      authenticate: () => {
        const exchange = turn.then(() => speak(authenticator, { host, port }, saslAuthenticate))
        turn = exchange.catch(() => {}) // Whoever waits for this connection hears of it; the next one begins anew.
        return exchange
      },
    }),
  }
}

type SaslAuthenticate = Parameters<Mechanism['authenticationProvider']>[0]['saslAuthenticate']

async function speak(authenticator: SaslAuthenticator, address: Address, send: SaslAuthenticate): Promise<void> {
  let challenge: Uint8Array = new Uint8Array(0)
  for (let round = 0; ; round++) {
    const answer = await authenticator.next(challenge, { ...address, round })
    if (answer === undefined) return
    const told = await send({
      request: { encode: () => lengthPrefixed(answer) },
      response: { decode: withoutLength, parse: (bytes: Buffer) => bytes },
    })
    challenge = told ?? new Uint8Array(0)
  }
}

function lengthPrefixed(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

function withoutLength(bytes: Buffer): Buffer {
  return bytes.subarray(LENGTH_BYTES)
}
