import { createPrivateKey, X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { fingerprintOf, makeAuthority } from './certificates.js'

const authority = await makeAuthority()
const root = new X509Certificate(authority.cert)

describe('certificates for tests', () => {
  it('an issued certificate is signed by its authority, for these names and addresses only', async () => {
    const { cert, key } = await authority.issue({ hosts: ['broker.test', '127.0.0.1', '::1'] })
    const read = new X509Certificate(cert)
    expect(read.verify(root.publicKey)).toBe(true)
    expect(read.checkIssued(root)).toBe(true)
    expect(read.checkPrivateKey(createPrivateKey(key))).toBe(true)
    expect([read.checkHost('broker.test'), read.checkIP('127.0.0.1'), read.checkIP('::1')]).not.toContain(undefined)
    expect([read.checkHost('other.test'), read.checkIP('127.0.0.2')]).toEqual([undefined, undefined])
    expect(fingerprintOf(cert)).toBe(read.fingerprint256.replaceAll(':', '').toLowerCase())
  })

  it('another authority did not sign it', async () => {
    const { cert } = await authority.issue({ hosts: ['broker.test'] })
    expect(new X509Certificate(cert).verify(new X509Certificate((await makeAuthority()).cert).publicKey)).toBe(false)
  })

  it('expired, for clients, or with an encrypted key, as wished', async () => {
    const old = new X509Certificate((await authority.issue({ hosts: ['broker.test'], expired: true })).cert)
    expect(Date.parse(old.validTo)).toBeLessThan(Date.now())
    const { cert, key } = await authority.issue({ client: true, name: 'alice', passphrase: 'open sesame' })
    const client = new X509Certificate(cert)
    expect(client.subject).toBe('CN=alice')
    expect(client.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
    expect(() => createPrivateKey(key)).toThrow()
    expect(client.checkPrivateKey(createPrivateKey({ key, passphrase: 'open sesame' }))).toBe(true)
  })
})
