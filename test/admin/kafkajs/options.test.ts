/** Our configuration in the words of kafkajs: every way to be secure, and no secret anywhere else. */
import { inspect } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { isSpeakable, kafkaOptionsOf } from '../../../lib/admin/kafkajs/options.js'
import { type ClientConfig, resolveClientConfig } from '../../../lib/config/index.js'
import { makeAuthority } from '../../support/certificates.js'

const BROKERS = [{ host: 'a', port: 9092 }]

function optionsOf(config: ClientConfig = {}) {
  return kafkaOptionsOf(resolveClientConfig({ logLevel: 'silent', ...config }), 'x-admin', BROKERS)
}

describe('options for kafkajs', () => {
  it('AD-2: addresses, limits and retries are ours', () => {
    const connection = {
      dialTimeoutMs: 1111,
      readTimeoutMs: 2222,
      maxRetries: 7,
      retryBackoffMs: 33,
      retryBackoffMaxMs: 44,
    }
    expect(optionsOf({ connection })).toMatchObject({
      brokers: ['a:9092'],
      clientId: 'x-admin',
      connectionTimeout: 1111,
      authenticationTimeout: 1111,
      requestTimeout: 2222,
      retry: { retries: 7, initialRetryTime: 33, maxRetryTime: 44 },
    })
    expect(Object.keys(optionsOf())).not.toContain('ssl')
    expect(Object.keys(optionsOf())).not.toContain('sasl')
    expect([isSpeakable({ host: '::1', port: 1 }), isSpeakable({ host: 'a', port: 1 })]).toEqual([false, true])
  })

  it('CL-6: TLS goes through as node:tls wants it', async () => {
    const authority = await makeAuthority()
    const { cert, key } = await authority.issue({ hosts: ['localhost'] })
    const { ssl } = optionsOf({ ssl: { ca: authority.cert, cert, key, servername: 'kafka' } })
    const secureContext = expect.anything()
    expect(ssl).toMatchObject({ servername: 'kafka', rejectUnauthorized: true, secureContext })
  })

  it('CL-6: mechanisms are ours, and kafkajs is given no secret', () => {
    const secret = { username: 'u', password: 'hunter2' }
    const token = vi.fn(async () => 'hunter2')
    for (const sasl of [
      { mechanism: 'PLAIN', ...secret },
      { mechanism: 'SCRAM-SHA-256', ...secret },
      { mechanism: 'SCRAM-SHA-512', ...secret },
      { mechanism: 'OAUTHBEARER', token },
    ] as const) {
      const given = optionsOf({ sasl })
      expect(given.sasl).toEqual({ mechanism: sasl.mechanism, authenticationProvider: expect.any(Function) })
      expect(inspect(given, { depth: 9 })).not.toContain('hunter2')
    }
    expect(token).not.toHaveBeenCalled()
  })

  it('what kafkajs logs is only a trace', () => {
    const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }
    const log = optionsOf({ logger }).logCreator?.(2)
    log?.({
      namespace: 'Connection',
      level: 1,
      label: 'ERROR',
      log: { message: 'refused', timestamp: '' },
    })
    expect(logger.debug).toHaveBeenCalledWith('kafkajs: refused', { namespace: 'Connection' })
    expect(logger.error).not.toHaveBeenCalled()
  })
})
