/**
 * The first question to a cluster, asked at the addresses that the user gave.
 * Why on connections of their own: these addresses are for finding the cluster only (often they name a balancer), so
 * what is opened here is closed here, and every later request goes to an address the cluster itself told us.
 * Source: kafka.md W-27.
 */
import { findMQError, MQError } from '../errors/index.js'
import { Metadata, type RequestOf } from '../protocol/index.js'
import { randomInt } from '../util/index.js'
import type { Connection } from './connection.js'
import { closedHere, unsupported } from './failures.js'
import type { ClusterSetup, PassingConnections } from './links.js'
import type { MetadataAnswer } from './metadata-cache.js'
import { openConnection } from './open-connection.js'

/**
 * Asks one address after the other, beginning anywhere; CONNECTION_FAILED when none answers as `accept` wants it,
 * AUTHENTICATION_FAILED when credentials are refused, or certificates and nobody else answers.
 */
export async function bootstrap(
  setup: ClusterSetup,
  passing: PassingConnections,
  body: RequestOf<typeof Metadata>,
  accept: (answer: MetadataAnswer) => void,
  signal: AbortSignal,
): Promise<MetadataAnswer> {
  const { brokers } = setup.settings
  const start = randomInt(setup.random, brokers.length)
  const failures: string[] = []
  let last: MQError | null = null
  let refusal: MQError | null = null // of a certificate
  for (let index = 0; index < brokers.length; index++) {
    const endpoint = brokers[(start + index) % brokers.length]
    if (endpoint === undefined || signal.aborted) break
    const address = { brokerId: -1, rack: null, ...endpoint }
    let isOpen = false
    try {
      const connection = await openConnection(address, { ...setup, signal })
      isOpen = true
      const answer = await askAndClose(connection, passing, body, signal)
      accept(answer)
      return answer
    } catch (error) {
      passing.failed()
      last = findMQError(error) ?? new MQError('CONNECTION_FAILED', 'bootstrap failed here', {}, { cause: error })
      // Credentials are the same everywhere, and tries count against them; a certificate is one broker's own.
      if (last.fatal && !isCertificate(last)) throw last
      if (last.fatal) refusal = last
      failures.push(isOpen ? last.message + hintFor(setup, last) : last.message)
    }
  }
  if (signal.aborted) throw closedHere('the cluster')
  throw refusal ?? unreachable(setup, failures, last)
}

/** A listener that wants SASL answers ApiVersions, and ends the connection on anything else. */
function hintFor({ settings }: ClusterSetup, error: MQError): string {
  const isByPeer = error.is('CONNECTION_CLOSED') && error.context['byUs'] !== true
  return isByPeer && settings.authenticate === undefined ? ' (if it asks for authentication, set sasl)' : ''
}

function isCertificate({ context }: MQError): boolean {
  return context['tlsCode'] !== undefined
}

async function askAndClose(
  connection: Connection,
  passing: PassingConnections,
  body: RequestOf<typeof Metadata>,
  signal: AbortSignal,
): Promise<MetadataAnswer> {
  const gone = new Promise<void>((resolve) => {
    connection.onClosed = () => resolve()
  })
  passing.opened(connection)
  const giveUp = () => connection.destroy(closedHere('the bootstrap connection'))
  signal.addEventListener('abort', giveUp)
  try {
    const version = connection.apis.versionOf(Metadata)
    if (version < 0) throw unsupported(Metadata, -1)
    return await connection.request(Metadata, version, body, 0)
  } finally {
    signal.removeEventListener('abort', giveUp)
    giveUp()
    await gone
    passing.closed(connection)
  }
}

function unreachable({ settings }: ClusterSetup, failures: readonly string[], cause: MQError | null): MQError {
  const addresses = settings.brokers.map(({ host, port }) => `${host}:${port}`)
  const text = `none of ${addresses.join(', ')} told about its cluster: ${failures.join('; ')}`
  return new MQError('CONNECTION_FAILED', text, { addresses, wasSent: 'no' }, { cause: cause ?? undefined })
}
