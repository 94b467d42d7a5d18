/**
 * Rules of TLS and SASL: what follows from what, what contradicts, what is missing, what is legal but unsafe.
 * Invariant: after it `ssl.enabled` and `securityProtocol` are set and agree. Source: features.md 3.2, CL-6.
 */
import type { SaslAuthenticator } from './client-types.js'
import type { Draft } from './draft.js'
import { text } from './shown.js'

const SSL_FIELDS = ['caFile', 'certFile', 'keyFile', 'ca', 'cert', 'key', 'passphrase', 'servername']
const SASL_SECRETS = ['sasl.username', 'sasl.password', 'sasl.token']

/** Derives `securityProtocol` and `ssl.enabled`; refuses what contradicts or lacks something. */
export function relateSecurity(draft: Draft): void {
  const isTls = deriveTls(draft)
  const isSasl = draft.get('sasl.mechanism') !== undefined || draft.get('sasl.authenticator') !== undefined
  const derived = isSasl ? (isTls ? 'SASL_SSL' : 'SASL_PLAINTEXT') : isTls ? 'SSL' : 'PLAINTEXT'
  const given = draft.get('securityProtocol')
  if (given === undefined) draft.set('securityProtocol', derived)
  const other = String(given).includes('SSL') === isTls ? 'sasl.mechanism' : 'ssl.enabled'
  draft.relate('securityProtocol', [other], given === undefined || given === derived, `'${derived}', given`)
  relateSources(draft)
  requireSecrets(draft)
  relateMechanism(draft)
  warnOfOpenDoors(draft)
}

/** TLS is on when asked for, when any other `ssl` field is set, or when the protocol says so. */
function deriveTls(draft: Draft): boolean {
  const used = SSL_FIELDS.find((field) => draft.get(`ssl.${field}`) !== undefined)
  const skips = draft.get('ssl.insecureSkipVerify') === true ? 'insecureSkipVerify' : undefined
  const implied = used ?? skips
  const asked = draft.get('ssl.enabled') as boolean | undefined
  draft.relate('ssl.enabled', [`ssl.${implied}`], asked !== false || implied === undefined, 'true, or no')
  const isTls = asked ?? (implied !== undefined || String(draft.get('securityProtocol')).includes('SSL'))
  draft.set('ssl.enabled', isTls)
  return isTls
}

/** A file and a text for the same thing: one of the two would be ignored. */
function relateSources(draft: Draft): void {
  for (const field of ['ca', 'cert', 'key']) {
    const isOne = draft.get(`ssl.${field}`) === undefined || draft.get(`ssl.${field}File`) === undefined
    draft.relate(`ssl.${field}File`, [`ssl.${field}`], isOne, 'unset, or no')
  }
}

function requireSecrets(draft: Draft): void {
  // A value that is wrong is named already; that it is missing as well would be one finding too many.
  const has = (path: string) => draft.isSet(path)
  if ((has('ssl.certFile') || has('ssl.cert')) && !has('ssl.keyFile') && !has('ssl.key')) {
    draft.findings.missing(
      draft.at('ssl.keyFile'),
      'the key that belongs to the certificate (ssl.certFile or ssl.cert)',
    )
  }
  if (!has('sasl.authenticator')) requireForMechanism(draft, has)
}

function requireForMechanism(draft: Draft, has: (path: string) => boolean): void {
  const given = SASL_SECRETS.find(has)
  if (given !== undefined && !has('sasl.mechanism')) {
    draft.findings.missing(draft.at('sasl.mechanism'), `a mechanism for ${draft.at(given)}`)
  }
  const mechanism = draft.get('sasl.mechanism')
  for (const field of mechanism === undefined ? [] : neededFor(String(mechanism))) {
    if (!has(field)) draft.findings.missing(draft.at(field), `a value, which ${String(mechanism)} needs`)
  }
}

function neededFor(mechanism: string): readonly string[] {
  if (mechanism === 'GSSAPI') return ['sasl.authenticator']
  return mechanism === 'OAUTHBEARER' ? ['sasl.token'] : ['sasl.username', 'sasl.password']
}

/** An authenticator names its mechanism on the wire: another name beside it would be one of the two that is ignored. */
function relateMechanism(draft: Draft): void {
  const mechanism = draft.get('sasl.mechanism')
  const authenticator = draft.get('sasl.authenticator') as SaslAuthenticator | undefined
  if (mechanism === undefined || authenticator === undefined) return
  const named = authenticator.mechanism
  draft.relate('sasl.mechanism', ['sasl.authenticator'], mechanism === named, `${text(named)}, as it is called by`)
}

function warnOfOpenDoors(draft: Draft): void {
  if (draft.get('ssl.insecureSkipVerify') === true) {
    draft.findings.warn(draft.at('ssl.insecureSkipVerify'), 'any certificate is accepted: use it for tests only')
  }
  if (draft.get('sasl.mechanism') === 'PLAIN' && draft.get('ssl.enabled') === false) {
    draft.findings.warn(draft.at('sasl.mechanism'), 'PLAIN without TLS sends the password as it is: switch ssl on')
  }
}
