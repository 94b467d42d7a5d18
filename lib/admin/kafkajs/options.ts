/**
 * Our resolved configuration in the words of kafkajs.
 * Why here: kafkajs knows the same things under other names and units, and nobody else in the house should.
 * Invariant: nothing of it is logged; secrets pass through as they are.
 */
import type { KafkaConfig, Mechanism } from 'kafkajs'
import {
  clusterOptionsOf,
  converse,
  refusal,
  type SaslExchange,
  type SaslMechanism,
  saslMechanismOf,
} from '../../cluster/index.js'
import type { ResolvedClientConfig } from '../../config/index.js'

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

/**
 * Our own mechanisms in place of kafkajs': these put what a broker says into errors and log lines as it is, lose the error
 * of a token function, and derive keys for as many iterations as a broker asks for.
 */
function saslOf({ sasl, connection }: ResolvedClientConfig): Mechanism | undefined {
  const mechanism = saslMechanismOf(sasl)
  if (mechanism === undefined) return undefined
  return {
    mechanism: mechanism.name,
    authenticationProvider: ({ host, port, saslAuthenticate }) => ({
      authenticate: () => speak(mechanism, { host, port }, connection.dialTimeoutMs, saslAuthenticate),
    }),
  }
}

type SaslAuthenticate = Parameters<Mechanism['authenticationProvider']>[0]['saslAuthenticate']

/** kafkajs calls this once per connection; in each exchange our bytes stand behind their length, both ways. */
async function speak(mechanism: SaslMechanism, address: Address, limitMs: number, send: SaslAuthenticate) {
  // As long as kafkajs waits: a function of the user that never answers must not keep the turn of the others.
  const signal = AbortSignal.timeout(limitMs)
  const exchange = await mechanism.begin({ address, signal })
  try {
    await converse(mechanism.name, exchange, async (message) => {
      const told = await send({
        request: { encode: () => lengthPrefixed(message) },
        response: { decode: withoutLength, parse: (bytes: Buffer) => bytes },
      }).catch((error: unknown) => {
        throw failureOf(error, mechanism.name, exchange)
      })
      return told ?? new Uint8Array(0)
    })
  } finally {
    exchange.end()
  }
}

/** The words of a broker are freed of what it may have heard from us; the error that holds them stays behind. */
function failureOf(error: unknown, mechanism: string, exchange: SaslExchange): unknown {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: string }
  if (typeof code === 'number') return refusal(mechanism, exchange, code, message ?? null)
  return exchange.refusal ?? error
}

function lengthPrefixed(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

function withoutLength(bytes: Buffer): Buffer {
  return bytes.subarray(LENGTH_BYTES)
}
