/**
 * The secure listeners of `scripts/kafka up 1 --secure`: TLS with and without client certificates, SASL over TLS, a listener
 * whose sessions end after seconds, and one whose certificate has expired.
 * Why all of them at once: each is a few lines of properties, and a node takes longer to start than all of them together.
 * Invariant: keys, the certificates they belong to and the password are new in every cluster and go with its data folder.
 * Source: Apache Kafka documentation, "Security"; properties verified with 4.1.1.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeAuthority } from './certificates.mjs'
import { PlainError } from './kafka-jars.mjs'

const USER = 'alice'
/** Long enough for a test to see what a session does, short enough to see several of them end. */
const SHORT_SESSION_MS = 3000
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']
const LOGIN_MODULES = 'org.apache.kafka.common.security'

/** In the order of their ports, from two above the node's first. `env` is what `scripts/kafka env` calls them. */
const LISTENERS = [
  { name: 'SSL', protocol: 'SSL', env: 'KAFKA_SSL_BROKERS' },
  { name: 'SSL_MUTUAL', protocol: 'SSL', env: 'KAFKA_SSL_MUTUAL_BROKERS' },
  { name: 'SSL_EXPIRED', protocol: 'SSL', env: 'KAFKA_SSL_EXPIRED_BROKERS' },
  { name: 'SASL_SSL', protocol: 'SASL_SSL', env: 'KAFKA_SASL_BROKERS' },
  { name: 'SASL_SHORT', protocol: 'SASL_SSL', env: 'KAFKA_SASL_SHORT_BROKERS' },
]
const FIRST_LISTENER = 2

/** Ports of one node, with its plaintext and its controller listener. */
export const SECURE_PORTS = FIRST_LISTENER + LISTENERS.length

const portOf = (node, index) => node.port + FIRST_LISTENER + index

/** Writes certificates and keys into the data folder; what is returned belongs into the state file. */
export async function prepareSecurity(dataFolder) {
  const folder = join(dataFolder, 'security')
  mkdirSync(folder, { recursive: true })
  const authority = await newAuthority()
  const hosts = ['127.0.0.1', 'localhost']
  const file = (name, text) => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const server = await authority.issue({ hosts })
  const expired = await authority.issue({ hosts, expired: true })
  const client = await authority.issue({ client: true, name: USER })
  return {
    username: USER,
    password: randomBytes(12).toString('hex'),
    caFile: file('ca.pem', authority.cert),
    serverFile: file('server.pem', server.key + server.cert),
    expiredFile: file('expired.pem', expired.key + expired.cert),
    clientCertFile: file('client-cert.pem', client.cert),
    clientKeyFile: file('client-key.pem', client.key),
  }
}

async function newAuthority() {
  try {
    return await makeAuthority('tandem-mq scripts/kafka')
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new PlainError('--secure makes certificates with @peculiar/x509, which is not installed: npm ci')
  }
}

export function secureListeners(node) {
  return LISTENERS.map(({ name, protocol }, index) => ({ name, protocol, port: portOf(node, index) }))
}

export function secureProperties(security) {
  return {
    ...tls('ssl', security, security.serverFile, 'requested'),
    ...tls('ssl_mutual', security, security.serverFile, 'required'),
    ...tls('ssl_expired', security, security.expiredFile, 'none'),
    ...sasl('sasl_ssl', security, 0),
    ...sasl('sasl_short', security, SHORT_SESSION_MS),
  }
}

function tls(listener, { caFile }, keyFile, clientAuth) {
  return under(listener, {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': keyFile,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': caFile,
    'ssl.client.auth': clientAuth,
  })
}

function sasl(listener, security, sessionMs) {
  const { username, password } = security
  return {
    ...tls(listener, security, security.serverFile, 'none'),
    ...under(listener, {
      'sasl.enabled.mechanisms': MECHANISMS.join(','),
      'connections.max.reauth.ms': sessionMs,
      'plain.sasl.jaas.config': `${LOGIN_MODULES}.plain.PlainLoginModule required user_${username}="${password}";`,
      'scram-sha-256.sasl.jaas.config': `${LOGIN_MODULES}.scram.ScramLoginModule required;`,
      'scram-sha-512.sasl.jaas.config': `${LOGIN_MODULES}.scram.ScramLoginModule required;`,
      // Without further settings Kafka takes unsecured tokens: `alg` none, no signature. Whoever asks may come.
      'oauthbearer.sasl.jaas.config': `${LOGIN_MODULES}.oauthbearer.OAuthBearerLoginModule required;`,
    }),
  }
}

function under(listener, lines) {
  return Object.fromEntries(Object.entries(lines).map(([name, value]) => [`listener.name.${listener}.${name}`, value]))
}

/** The users of SCRAM live in the cluster's metadata, which is made when its folder is formatted. */
export function scramArguments({ username, password }) {
  const users = MECHANISMS.filter((mechanism) => mechanism.startsWith('SCRAM'))
  return users.flatMap((mechanism) => ['--add-scram', `${mechanism}=[name=${username},password=${password}]`])
}

/** Lines of `scripts/kafka env`. */
export function securityLines({ nodes, security }) {
  const addresses = (index) => nodes.map((node) => `127.0.0.1:${portOf(node, index)}`).join(',')
  return [
    ...LISTENERS.map(({ env }, index) => `${env}=${addresses(index)}`),
    `KAFKA_CA_FILE=${security.caFile}`,
    `KAFKA_CLIENT_CERT_FILE=${security.clientCertFile}`,
    `KAFKA_CLIENT_KEY_FILE=${security.clientKeyFile}`,
    `KAFKA_SASL_USERNAME=${security.username}`,
    `KAFKA_SASL_PASSWORD=${security.password}`,
  ]
}
