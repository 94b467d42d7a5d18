/**
 * PEM texts become one TLS context, made once and shared by all connections of a client.
 * Why checked piece by piece: Node ignores a CA text without a certificate, and says "bad decrypt" where a person must
 * hear which setting is wrong. Why a context: the texts are parsed once, and the key is not carried around as text.
 * Invariant: no error holds a key or a passphrase. Source: features.md 3.2, CL-6.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { type ConnectionOptions, createSecureContext } from 'node:tls'
import { MQError } from '../errors/index.js'

export type TlsOptions = ConnectionOptions

/** TLS 1.0 and 1.1 are broken, and Kafka has not offered them since 2.6 unless told to. */
export const MIN_TLS_VERSION = 'TLSv1.2'

/** A PEM text, and the name of the setting it came from. */
export interface PemSetting {
  readonly field: string
  readonly text: string
}

export interface TlsIdentity {
  /** Authorities to trust instead of those of the system. */
  readonly ca?: PemSetting | undefined
  readonly cert?: PemSetting | undefined
  readonly key?: PemSetting | undefined
  readonly passphrase?: string | undefined
  /** Name the certificate must carry, and SNI; default: the host dialled. */
  readonly servername?: string | undefined
  /** False accepts any certificate. */
  readonly rejectUnauthorized: boolean
}

const CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g

/** What `dial` takes. Throws INVALID_CONFIG naming the setting. */
export function tlsOptionsOf({ ca, cert, key, passphrase, servername, rejectUnauthorized }: TlsIdentity): TlsOptions {
  if (ca !== undefined) certificatesIn(ca)
  const leaf = cert === undefined ? undefined : certificatesIn(cert)[0]
  const opened = key === undefined ? undefined : openedKey(key, passphrase)
  if (leaf !== undefined && opened !== undefined && !leaf.checkPrivateKey(opened)) {
    throw invalid(key?.field, `the key that belongs to the first certificate of ${cert?.field}`, 'another one')
  }
  const secureContext = contextOf({ ca: ca?.text, cert: cert?.text, key: key?.text, passphrase })
  const name = servername === undefined ? {} : { servername }
  return { ...name, rejectUnauthorized, secureContext, minVersion: MIN_TLS_VERSION }
}

function certificatesIn({ field, text }: PemSetting): X509Certificate[] {
  const found = text.match(CERTIFICATE) ?? []
  if (found.length === 0) throw invalid(field, 'PEM text with at least one certificate', 'a text without one')
  try {
    return found.map((pem) => new X509Certificate(pem))
  } catch (error) {
    throw invalid(field, 'certificates in PEM form', `one that cannot be read (${codeOf(error)})`)
  }
}

function openedKey({ field, text }: PemSetting, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? { key: text } : { key: text, passphrase })
  } catch (error) {
    const isEncrypted = /ENCRYPTED/.test(text)
    const expected = isEncrypted ? 'a key that ssl.passphrase opens' : 'a private key in PEM form'
    const noPhrase = isEncrypted && passphrase === undefined
    throw invalid(
      field,
      expected,
      noPhrase ? 'an encrypted one and no passphrase' : `one that fails (${codeOf(error)})`,
    )
  }
}

function contextOf(parts: Record<'ca' | 'cert' | 'key' | 'passphrase', string | undefined>) {
  // node:tls tells "absent" from "undefined" for some of them.
  const given = Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined))
  try {
    return createSecureContext({ ...given, minVersion: MIN_TLS_VERSION })
  } catch (error) {
    throw invalid('ssl', 'certificates and a key that TLS can use', `a refusal (${codeOf(error)})`)
  }
}

function invalid(field: string | undefined, expected: string, got: string): MQError {
  return new MQError('INVALID_CONFIG', `${field}: expected ${expected}, got ${got}`, { path: field })
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code ?? 'unreadable')
}
