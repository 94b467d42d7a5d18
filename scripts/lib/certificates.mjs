/**
 * Certificates made on the spot: an authority and what it issues, for secure listeners of `scripts/kafka` and for tests.
 * Why made and not kept: a stored key of a test authority would sooner or later be trusted by somebody, and would expire.
 * Why a library and not openssl: tests must run where no such program is installed.
 * Invariant: every key is P-256, in PKCS#8; nothing here is written to a file.
 */
import { createHash, createPrivateKey, randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 86_400_000
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
/** Of an encrypted key. */
const CIPHER = 'aes-256-cbc'

/** A new authority, valid from yesterday for ten years. Rejects where @peculiar/x509 is not installed. */
export async function makeAuthority(name = 'tandem-mq test authority') {
  const x509 = await library()
  const keys = await newKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + 3650 * DAY_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: pemText(certificate.toString('pem')), issue: (wish) => issue(x509, certificate, keys, wish) }
}

/** One certificate and its key, as PEM texts. */
async function issue(x509, authority, authorityKeys, wish) {
  const { hosts = [], client = false, expired = false, name = hosts[0] ?? 'client', passphrase } = wish
  const keys = await newKeys()
  const nowMs = Date.now()
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: `CN=${name}`,
    issuer: authority.subject,
    notBefore: new Date(nowMs - (expired ? 2 : 1) * DAY_MS),
    notAfter: new Date(nowMs + (expired ? -1 : 365) * DAY_MS),
    publicKey: keys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([client ? CLIENT_AUTH : SERVER_AUTH]),
      await x509.AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
      ...(hosts.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(hosts.map(alternativeName))]),
    ],
  })
  return { cert: pemText(certificate.toString('pem')), key: await keyText(keys.privateKey, passphrase) }
}

/** SHA-256 over the DER bytes of a PEM certificate, in hex: how a certificate is told from another. */
export function fingerprintOf(cert) {
  const der = Buffer.from(cert.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  return createHash('sha256').update(der).digest('hex')
}

const alternativeName = (host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })
const newKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
/** Positive, and without a leading zero byte, which some readers refuse. */
const newSerial = () => `4${randomBytes(15).toString('hex').slice(1)}`
const pemText = (pem) => `${pem.trim()}\n`

async function keyText(privateKey, passphrase) {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey))
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const form = { type: 'pkcs8', format: 'pem' }
  return key.export(passphrase === undefined ? form : { ...form, cipher: CIPHER, passphrase })
}

async function library() {
  const x509 = await import('@peculiar/x509')
  x509.cryptoProvider.set(webcrypto)
  return x509
}
