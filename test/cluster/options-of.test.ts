import { describe, expect, it } from 'vitest'
import { clusterOptionsOf } from '../../lib/cluster/index.js'
import { resolveConfig } from '../../lib/config/index.js'

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
    })
    expect(options.brokers).toEqual([
      { host: '::1', port: 9093 },
      { host: 'b', port: 9092 },
    ])
  })

  it('CL-6: TLS options hold only what was given', () => {
    const { tls } = clusterOptionsOf(resolveConfig({ ssl: { ca: 'PEM', insecureSkipVerify: true } }))
    expect(tls).toEqual({ ca: 'PEM', rejectUnauthorized: false })
  })

  it('CL-6: an unreadable file is INVALID_CONFIG naming the field', () => {
    const config = resolveConfig({ ssl: { caFile: '/does/not/exist.pem' } })
    expect(() => clusterOptionsOf(config)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', context: { path: 'ssl.caFile' } }),
    )
  })
})
