import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { clusterOptionsOf } from '../../lib/cluster/index.js'
import { type ClientConfig, resolveConfig } from '../../lib/config/index.js'
import { MQError } from '../../lib/errors/index.js'
import { type Authority, type Issued, makeAuthority } from '../support/certificates.js'
import { atEnd } from './support.js'

const PASSPHRASE = 'open sesame 4711'
let authority: Authority
let ours: Issued
let locked: Issued
let other: Issued

beforeAll(async () => {
  authority = await makeAuthority()
  ours = await authority.issue({ client: true, name: 'ours' })
  locked = await authority.issue({ client: true, name: 'locked', passphrase: PASSPHRASE })
  other = await authority.issue({ client: true, name: 'other' })
})

function optionsOf(ssl: NonNullable<ClientConfig['ssl']>) {
  return clusterOptionsOf(resolveConfig({ ssl }))
}

/** What is thrown; it never shows what is secret. */
function refusalOf(ssl: NonNullable<ClientConfig['ssl']>): MQError {
  try {
    optionsOf(ssl)
  } catch (error) {
    expect(error).toBeInstanceOf(MQError)
    const printed = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error)
    for (const secret of [ssl.passphrase, ssl.key?.split('\n')[1]]) {
      if (secret !== undefined) expect(printed).not.toContain(secret)
    }
    return error as MQError
  }
  throw new Error('expected a refusal')
}

describe('clusterOptionsOf', () => {
  it('carries every limit of the configuration', () => {
    const connection = { dialTimeoutMs: 1, readTimeoutMs: 2, writeTimeoutMs: 3, keepAliveMs: 4, maxRetries: 5 }
    const options = clusterOptionsOf(
      resolveConfig({ brokers: '[::1]:9093,b', clientId: 'me', metadataMaxAgeMs: 2000, connection }),
    )
    expect(options).toMatchObject({
      ...connection,
      clientId: 'me',
      metadataMaxAgeMs: 2000,
      maxFrameBytes: 104_857_600,
      tls: undefined,
      authenticate: undefined,
    })
    expect(options.brokers).toEqual([
      { host: '::1', port: 9093 },
      { host: 'b', port: 9092 },
    ])
  })

  it('CL-6: certificates and key become one context, and the key is not carried around', () => {
    const { tls } = optionsOf({ ca: authority.cert, ...ours, servername: 'broker.test' })
    expect(tls).toMatchObject({ rejectUnauthorized: true, servername: 'broker.test', minVersion: 'TLSv1.2' })
    expect(tls?.secureContext).toBeDefined()
    expect(inspect(tls, { depth: 10 })).not.toContain(ours.key.split('\n')[1])
    expect(optionsOf({ insecureSkipVerify: true }).tls?.rejectUnauthorized).toBe(false)
  })

  it('CL-6: files are read, and a passphrase opens the key', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tandem-mq-'))
    atEnd(() => rmSync(folder, { recursive: true }))
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    const files = { certFile: file('cert.pem', locked.cert), keyFile: file('key.pem', locked.key) }
    const caFile = file('ca.pem', `# our authority\n${authority.cert}`)
    expect(optionsOf({ caFile, ...files, passphrase: PASSPHRASE }).tls?.secureContext).toBeDefined()
    const error = refusalOf({ caFile, ...files, passphrase: 'wrong horse' })
    expect([error.code, error.context['path']]).toEqual(['INVALID_CONFIG', 'ssl.keyFile'])
  })

  it.each<[string, () => NonNullable<ClientConfig['ssl']>, string, RegExp]>([
    ['an unreadable file', () => ({ caFile: '/does/not/exist.pem' }), 'ssl.caFile', /readable PEM file/],
    ['a CA without a certificate', () => ({ ca: 'PEM' }), 'ssl.ca', /at least one certificate/],
    ['a damaged CA', () => ({ ca: authority.cert.replace(/\n../, '\nAA') }), 'ssl.ca', /cannot be read/],
    ['a key as certificate', () => ({ cert: ours.key, key: ours.key }), 'ssl.cert', /at least one certificate/],
    ['a wrong passphrase', () => ({ ...locked, passphrase: 'wrong' }), 'ssl.key', /ssl\.passphrase opens/],
    ['no passphrase for a locked key', () => ({ ...locked }), 'ssl.key', /no passphrase/],
    ['a certificate as key', () => ({ cert: ours.cert, key: ours.cert }), 'ssl.key', /a private key in PEM/],
    ['the key of another', () => ({ cert: ours.cert, key: other.key }), 'ssl.key', /belongs to the first certificate/],
  ])('CL-6: %s is INVALID_CONFIG naming the field', (_what, ssl, path, text) => {
    const error = refusalOf(ssl())
    expect([error.code, error.context['path']]).toEqual(['INVALID_CONFIG', path])
    expect(error.message).toMatch(text)
  })
})

describe('clusterOptionsOf: connections', () => {
  it('CL-1: pool.connectionMaxIdleMs is when idle sockets of producer and consumer are closed too', () => {
    expect(clusterOptionsOf(resolveConfig({})).connectionMaxIdleMs).toBe(540_000)
    expect(clusterOptionsOf(resolveConfig({ pool: { connectionMaxIdleMs: 7_000 } })).connectionMaxIdleMs).toBe(7_000)
  })
})
