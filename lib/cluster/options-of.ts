/**
 * From a resolved configuration to what a cluster needs.
 * Why here: producer, consumer and admin make their clusters from the same fields, and none of them should know which.
 */
import { readFileSync } from 'node:fs'
import type { ResolvedClientConfig, SslSettings } from '../config/index.js'
import { MQError } from '../errors/index.js'
import { type PemSetting, type TlsOptions, tlsOptionsOf } from '../net/index.js'
import { authenticateWith } from './sasl/authenticate-with.js'
import type { ClusterOptions } from './settings.js'

type ClientConfig = Pick<
  ResolvedClientConfig,
  'brokers' | 'clientId' | 'metadataMaxAgeMs' | 'connection' | 'ssl' | 'sasl' | 'pool'
>

export function clusterOptionsOf(config: ClientConfig): ClusterOptions {
  const { brokers, clientId, metadataMaxAgeMs, connection, ssl, sasl, pool } = config
  const { connectionMaxIdleMs } = pool
  const tls = ssl.enabled ? tlsOf(ssl) : undefined
  const authenticate = authenticateWith(sasl)
  return { ...connection, brokers, clientId, metadataMaxAgeMs, connectionMaxIdleMs, tls, authenticate }
}

function tlsOf(ssl: SslSettings): TlsOptions {
  return tlsOptionsOf({
    ca: pem('ssl.ca', ssl.ca, 'ssl.caFile', ssl.caFile),
    cert: pem('ssl.cert', ssl.cert, 'ssl.certFile', ssl.certFile),
    key: pem('ssl.key', ssl.key, 'ssl.keyFile', ssl.keyFile),
    passphrase: ssl.passphrase,
    servername: ssl.servername,
    rejectUnauthorized: !ssl.insecureSkipVerify,
  })
}

/** A text counts before a file. */
function pem(
  textField: string,
  text: string | undefined,
  fileField: string,
  path: string | undefined,
): PemSetting | undefined {
  if (text !== undefined) return { field: textField, text }
  if (path === undefined) return undefined
  try {
    return { field: fileField, text: readFileSync(path, 'latin1') }
  } catch (cause) {
    const context = { path: fileField }
    throw new MQError('INVALID_CONFIG', `${fileField}: expected a readable PEM file at ${path}`, context, { cause })
  }
}
