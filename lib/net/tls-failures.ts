/**
 * Why a TLS connection failed, in our codes and in words that help.
 * A certificate that was refused, theirs by us or ours by them, stays refused until somebody changes it:
 * AUTHENTICATION_FAILED. Anything else may be a port that is not ready, or another protocol: CONNECTION_FAILED, again.
 * Invariant: codes of node:tls decide, never texts. Source: features.md part 4.
 */
import type { PeerCertificate } from 'node:tls'
import { MQError } from '../errors/index.js'

/** Node's names of what X.509 verification may find (crypto, X509 certificate error codes). */
const UNVERIFIED: ReadonlySet<string> = new Set([
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CRL_HAS_EXPIRED',
  'CRL_NOT_YET_VALID',
  'CRL_SIGNATURE_FAILURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'UNABLE_TO_GET_CRL',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])
const NO_AUTHORITY: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])
const WRONG_NAME: ReadonlySet<string> = new Set([
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_TLS_CERT_ALTNAME_FORMAT',
  'HOSTNAME_MISMATCH',
])
/** The alerts of a peer that does not take our certificate, or misses one. What stands before depends on OpenSSL. */
const REFUSES_OURS =
  /^ERR_SSL_.*ALERT_(?:BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|CERTIFICATE_REQUIRED|NO_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)$/
const NO_COMMON_VERSION = /^ERR_SSL_(?:UNSUPPORTED_PROTOCOL|.*ALERT_PROTOCOL_VERSION)$/
const HANDSHAKE_FAILURE = /^ERR_SSL_.*ALERT_HANDSHAKE_FAILURE$/
const NOT_TLS: ReadonlySet<string> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_RECORD_LAYER_FAILURE',
])
const SHOWN_NAMES = 200 // characters

/** Where a connection was to lead. */
export interface TlsTarget {
  readonly host: string
  readonly port: number
  /** host:port */
  readonly remote: string
  /** The certificate must be for it. */
  readonly name: string
}

/** AUTHENTICATION_FAILED when a certificate was refused; null: something else went wrong. */
export function certificateRefusal(error: unknown, target: TlsTarget): MQError | null {
  const tlsCode = codeOf(error)
  const why = refusalText(tlsCode, error, target)
  if (why === null) return null
  const { host, port } = target
  return new MQError('AUTHENTICATION_FAILED', why, { host, port, tlsCode })
}

function refusalText(code: string, error: unknown, { remote, name }: TlsTarget): string | null {
  if (WRONG_NAME.has(code)) {
    const whose = namesOf((error as { cert?: PeerCertificate }).cert)
    return `the certificate of ${remote} is for ${whose}, not for ${name}: connect by a name it carries, set ssl.servername, or add the name to the certificate`
  }
  if (code === 'CERT_HAS_EXPIRED') return `the certificate of ${remote} has expired: renew it at the broker`
  if (code === 'CERT_NOT_YET_VALID')
    return `the certificate of ${remote} is not valid yet: compare the clocks of both machines`
  if (NO_AUTHORITY.has(code)) {
    return `no authority that we trust has signed the certificate of ${remote} (${code}): set ssl.caFile or ssl.ca to the certificate of the one that has`
  }
  if (UNVERIFIED.has(code)) return `the certificate of ${remote} cannot be trusted (${code})`
  if (!REFUSES_OURS.test(code)) return null
  return `${remote} refuses our certificate, or wants one and got none (${code}): set ssl.certFile and ssl.keyFile to what an authority of the broker has signed`
}

/** What to look at when the handshake failed otherwise; '' when nothing is known. */
export function handshakeHint(error: unknown): string {
  const code = codeOf(error)
  if (NOT_TLS.has(code)) return 'it does not speak TLS: take the port of a TLS listener, or no ssl settings'
  if (NO_COMMON_VERSION.test(code)) return 'it speaks no TLS version of ours, which begin with 1.2'
  if (HANDSHAKE_FAILURE.test(code)) return 'it wants a client certificate (ssl.certFile), or has no cipher of ours'
  return code.startsWith('ERR_SSL_')
    ? ''
    : 'it ended the TLS handshake: is this the port of a plaintext listener, or does it want a client certificate?'
}

function namesOf(cert: PeerCertificate | undefined): string {
  const names = cert?.subjectaltname ?? ([cert?.subject?.CN].flat().filter(Boolean).join(', ') || 'no name at all')
  const safe = names.replace(/\p{C}+/gu, ' ').replace(/(?:DNS|IP Address):/g, '')
  return safe.length > SHOWN_NAMES ? `${safe.slice(0, SHOWN_NAMES)}...` : safe
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException | null)?.code ?? '')
}
