/**
 * From a resolved configuration to what a cluster needs.
 * Why here: producer, consumer and admin make their clusters from the same fields, and none of them should know which.
 */
import { readFileSync } from 'node:fs'
import type { ResolvedClientConfig, SslSettings } from '../config/index.js'
import { MQError } from '../errors/index.js'
import type { TlsOptions } from '../net/index.js'
import { authenticateWith } from './sasl/authenticate-with.js'
import type { ClusterOptions } from './settings.js'

type ClientConfig = Pick<
  ResolvedClientConfig,
  'brokers' | 'clientId' | 'metadataMaxAgeMs' | 'connection' | 'ssl' | 'sasl'
>

export function clusterOptionsOf(config: ClientConfig): ClusterOptions {
  const { brokers, clientId, metadataMaxAgeMs, connection, ssl, sasl } = config
  const tls = ssl.enabled ? tlsOf(ssl) : undefined
  return { ...connection, brokers, clientId, metadataMaxAgeMs, tls, authenticate: authenticateWith(sasl) }
}

function tlsOf(ssl: SslSettings): TlsOptions {
  const given: TlsOptions = {
    ca: ssl.ca ?? read('ssl.caFile', ssl.caFile),
    cert: ssl.cert ?? read('ssl.certFile', ssl.certFile),
    key: ssl.key ?? read('ssl.keyFile', ssl.keyFile),
    passphrase: ssl.passphrase,
    servername: ssl.servername,
    rejectUnauthorized: !ssl.insecureSkipVerify,
  }
  // node:tls tells "absent" from "undefined" for some of them.
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

function read(field: string, path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new MQError('INVALID_CONFIG', `${field}: expected a readable PEM file at ${path}`, { path: field }, { cause })
  }
}
