/** TLS and SASL in the configuration: what follows, what contradicts, what is missing; and that secrets stay secret. */
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  configWarnings,
  resolveClientConfig,
  resolveConfig,
  resolveConsumerConfig,
  resolveProducerConfig,
} from '../../lib/config/index.js'
import { issuesOf, refusal } from './refusal.js'

const SECRET = 'hunter2-do-not-show'
const plain = { mechanism: 'PLAIN' as const, username: 'u', password: SECRET }
const tls = { enabled: true }

describe('TLS', () => {
  it.each([
    [{}, 'PLAINTEXT', false],
    [{ tls: true }, 'SSL', true],
    [{ securityProtocol: 'SSL' as const }, 'SSL', true],
    [{ ssl: { ca: 'pem' } }, 'SSL', true],
    [{ ssl: { insecureSkipVerify: true } }, 'SSL', true],
    [{ ssl: { enabled: true }, securityProtocol: 'SSL' as const }, 'SSL', true],
    [{ ssl: { enabled: false } }, 'PLAINTEXT', false],
  ])('CF-1: %j means %s', (config, protocol, isTls) => {
    const resolved = resolveConfig(config)
    expect([resolved.securityProtocol, resolved.ssl.enabled]).toEqual([protocol, isTls])
    expect(resolveConfig({ ...resolved, producer: {}, consumer: {} }).ssl.enabled).toBe(isTls)
  })
  it('CF-3: ssl and securityProtocol that contradict each other are named together', () => {
    const cases = [
      { securityProtocol: 'PLAINTEXT' as const, ssl: { enabled: true } },
      { securityProtocol: 'SSL' as const, tls: false },
      { securityProtocol: 'PLAINTEXT' as const, ssl: { ca: 'pem' } },
    ]
    for (const config of cases) {
      const message = refusal(() => resolveConfig(config)).message
      expect(message).toMatch(/securityProtocol.*(ssl\.enabled|tls)/)
    }
    const off = refusal(() => resolveConfig({ ssl: { enabled: false, key: 'top secret' } })).message
    expect(off).toContain('ssl.enabled: expected true, or no ssl.key')
    expect(off).not.toContain('top secret')
  })
  it('CF-3: a certificate without its key is MISSING_CONFIG; skipping verification warns', () => {
    const error = refusal(() => resolveConfig({ ssl: { certFile: 'cert.pem' } }))
    expect([error.code, issuesOf(error)[0]?.path]).toEqual(['MISSING_CONFIG', 'ssl.keyFile'])
    const { ssl } = { ssl: { insecureSkipVerify: true } }
    expect(configWarnings(resolveConfig({ ssl })).map(({ path }) => path)).toContain('ssl.insecureSkipVerify')
  })
})

describe('PEM', () => {
  it.each(['ca', 'cert', 'key'])('CL-6: a text where %sFile wants a path is refused before it is shown', (field) => {
    const pem = `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----\n`
    const ssl = { [`${field}File`]: pem, ...(field === 'cert' ? { key: SECRET } : {}) }
    const error = refusal(() => resolveConfig({ ssl }))
    expect(issuesOf(error)).toEqual([
      {
        path: `ssl.${field}File`,
        value: '[hidden]',
        expected: `a path of a file; a PEM text belongs into ssl.${field}`,
      },
    ])
    expect(inspect(error, { depth: 9 })).not.toContain(SECRET)
  })
  it.each(['ca', 'cert', 'key'])('CF-3: %s as a file and as a text is refused, naming both', (field) => {
    const ssl = { cert: 'c', key: SECRET, [field]: SECRET, [`${field}File`]: 'f.pem' }
    const error = refusal(() => resolveConfig({ ssl }))
    expect(issuesOf(error).map((issue) => issue.path)).toEqual([`ssl.${field}File`])
    expect(issuesOf(error)[0]?.expected).toContain(`ssl.${field} (`)
    expect(field === 'key' && error.message.includes(SECRET)).toBe(false)
  })
})

describe('SASL', () => {
  const token = async () => SECRET
  const authenticator = { mechanism: 'GSSAPI', next: () => undefined }
  it.each([
    [{ sasl: plain }, 'SASL_PLAINTEXT'],
    [{ sasl: plain, ssl: tls }, 'SASL_SSL'],
    [{ sasl: plain, securityProtocol: 'SASL_SSL' as const }, 'SASL_SSL'],
    [{ SASL: { mechanism: 'OAUTHBEARER' as const, token }, tls: true }, 'SASL_SSL'],
    [{ sasl: { mechanism: 'GSSAPI' as const, authenticator } }, 'SASL_PLAINTEXT'],
    [{ sasl: { authenticator: { ...authenticator, mechanism: 'AWS_MSK_IAM' } }, tls: true }, 'SASL_SSL'],
  ])('CL-6: case %# means %s', (config, protocol) => {
    const resolved = resolveConfig(config)
    expect(resolved.securityProtocol).toBe(protocol)
    expect(resolved.consumer.sasl).toEqual(resolved.sasl)
  })
  it.each([
    ['PLAIN', ['sasl.username', 'sasl.password']],
    ['SCRAM-SHA-256', ['sasl.username', 'sasl.password']],
    ['SCRAM-SHA-512', ['sasl.username', 'sasl.password']],
    ['OAUTHBEARER', ['sasl.token']],
    ['GSSAPI', ['sasl.authenticator']],
  ] as const)('CF-3: %s without what it needs is MISSING_CONFIG', (mechanism, paths) => {
    const error = refusal(() => resolveConfig({ sasl: { mechanism } }))
    expect(error.code).toBe('MISSING_CONFIG')
    expect(issuesOf(error).map((issue) => issue.path)).toEqual(paths)
  })
  it.each([{ username: 'u' }, { password: 'p' }, { token }])('CF-3: %j without a mechanism is not ignored', (sasl) => {
    const error = refusal(() => resolveConfig({ sasl }))
    expect([error.code, issuesOf(error)[0]?.path]).toEqual(['MISSING_CONFIG', 'sasl.mechanism'])
  })
  it('CF-3: a wrong value is one finding, not also a missing one', () => {
    const wrong = { mechanism: 'PLAIN', username: 7, password: '' }
    const paths = issuesOf(refusal(() => resolveConfig({ sasl: wrong as never }))).map((issue) => issue.path)
    expect(paths).toEqual(['sasl.username', 'sasl.password'])
    const odd = issuesOf(refusal(() => resolveConfig({ sasl: { ...plain, mechanism: 'plain' as never } })))
    expect(odd.map((issue) => issue.path)).toEqual(['sasl.mechanism'])
  })
  it('CF-3: a mechanism and an authenticator of another name are named together', () => {
    const error = refusal(() => resolveConfig({ sasl: { mechanism: 'PLAIN', authenticator } }))
    expect(error.message).toContain('sasl.mechanism: expected "GSSAPI", as it is called by sasl.authenticator')
  })
  it('CF-3: SASL protocols without sasl, and sasl under another protocol, are named together', () => {
    for (const securityProtocol of ['SASL_PLAINTEXT', 'SASL_SSL'] as const) {
      expect(refusal(() => resolveConfig({ securityProtocol })).message).toMatch(/securityProtocol.*sasl\.mechanism/)
    }
    for (const securityProtocol of ['PLAINTEXT', 'SSL'] as const) {
      const error = refusal(() => resolveConfig({ securityProtocol, sasl: plain }))
      expect([error.code, error.message]).toEqual(['INVALID_CONFIG', expect.stringMatching(/sasl\.mechanism/)])
    }
    const mixed = refusal(() => resolveConfig({ securityProtocol: 'SASL_PLAINTEXT', sasl: plain, ssl: tls }))
    expect(mixed.message).toMatch(/securityProtocol.*ssl\.enabled/)
  })
  it('CL-6: PLAIN without TLS warns, with TLS and SCRAM do not', () => {
    const warned = (config: object) => configWarnings(resolveConfig(config)).map((warning) => warning.path)
    expect(warned({ sasl: plain })).toEqual(['sasl.mechanism'])
    expect(warned({ sasl: plain, ssl: tls })).toEqual([])
    expect(warned({ sasl: { ...plain, mechanism: 'SCRAM-SHA-256' } })).toEqual([])
  })
})

describe('secrets', () => {
  class Vault {
    readonly mechanism = 'PLAIN'
    readonly password = SECRET
    next(): undefined {}
  }
  const config = {
    sasl: { ...plain, authenticator: new Vault() },
    ssl: { key: SECRET, passphrase: SECRET, cert: 'public' },
    logger: Object.assign(new Vault(), { debug() {}, info() {}, warn() {}, error() {} }),
    metrics: { registry: { registerMetric() {}, getSingleMetric() {}, metrics() {}, vault: new Vault() } },
  }
  const printed = (value: unknown) =>
    [JSON.stringify(value), inspect(value, { depth: 20, showHidden: true }), inspect(value), `${String(value)}`].join(
      '\n',
    )

  it.each([
    ['whole', resolveConfig(config)],
    ['client', resolveClientConfig(config)],
    ['producer', resolveProducerConfig(config)],
    ['consumer', resolveConsumerConfig(config)],
  ])('CL-6: a printed %s configuration hides them, its fields give them', (_name, resolved) => {
    expect(printed(resolved)).not.toContain(SECRET)
    expect(printed(resolved.sasl)).not.toContain(SECRET)
    expect(printed(resolved.ssl)).not.toContain(SECRET)
    expect(printed([{ inside: resolved }])).not.toContain(SECRET)
    expect(resolved.sasl.password).toBe(SECRET)
    expect(resolved.sasl.authenticator).toBe(config.sasl.authenticator)
    expect([resolved.ssl.key, resolved.ssl.passphrase]).toEqual([SECRET, SECRET])
    expect({ ...resolved.sasl }.password).toBe(SECRET)
  })
  it('CL-6: a copy of a resolved configuration hides them as well', () => {
    const { sasl, ssl } = config
    expect(printed({ ...resolveConfig({ sasl, ssl }), clientId: 'copy' })).not.toContain(SECRET)
  })
  it('CL-6: what is no secret is printed as it is', () => {
    const resolved = resolveConfig(config)
    expect(JSON.parse(JSON.stringify(resolved))).toMatchObject({
      clientId: 'tandem-mq',
      sasl: { mechanism: 'PLAIN', username: 'u', password: '[hidden]', authenticator: '[hidden]' },
      ssl: { enabled: true, cert: 'public', key: '[hidden]', passphrase: '[hidden]' },
      monitoring: { alerts: { latencyMs: 10 } },
      producer: { lingerMs: 5, sasl: { password: '[hidden]' } },
      logger: '[Vault]',
    })
    expect(inspect(resolved)).toContain("clientId: 'tandem-mq'")
    expect(JSON.parse(JSON.stringify(resolveConfig())).sasl, 'unset stays unset').toEqual({})
  })
  it('CL-6: printing survives a logger that contains itself', () => {
    const logger: Record<string, unknown> = { debug() {}, info() {}, warn() {}, error() {} }
    logger.self = logger
    expect(() => printed(resolveConfig({ logger: logger as never }))).not.toThrow()
  })
  it.each<[string, unknown]>([
    ['of another type', { sasl: { password: [SECRET] } }],
    ['in an object', { ssl: { passphrase: { [SECRET]: SECRET } } }],
    ['in a misspelt field', { sasl: { pasword: SECRET, passwrd: [SECRET], pw: SECRET } }],
    ['in a misspelt group', { sals: { pw: SECRET }, Sasl: SECRET }],
    ['where a group belongs', { sasl: SECRET, ssl: [SECRET] }],
    ['at the top', { password: SECRET, saslPassword: SECRET, apiKey: SECRET }],
    ['in both names of a group', { sasl: { password: SECRET }, SASL: { password: `${SECRET}2` } }],
    [
      'in both names of a producer',
      { producer: { sasl: plain }, producerConfig: { sasl: { password: `${SECRET}2` } } },
    ],
    ['in an address', { brokers: `sasl://user:${SECRET}@host:9092` }],
    ['in addresses', { brokers: ['a:1', `user:${SECRET}@host:9092`] }],
    ['in the whole', [{ sasl: { pw: SECRET } }]],
    ['in what is no configuration', `sasl://user:${SECRET}@host:9092`],
    ['against switched-off TLS', { ssl: { enabled: false, key: SECRET } }],
    ['in an authenticator', { sasl: { authenticator: { password: SECRET } } }],
    ['beside an authenticator', { sasl: { mechanism: 'GSSAPI', authenticator: new Vault() } }],
    ['in a logger', { logger: { password: SECRET, mine: SECRET } }],
    ['in a sink', { metrics: { sink: new Vault() } }],
    ['in overrides', { producer: { topics: { t: { password: SECRET } } } }],
    ['in an unknown object', { kafka: { deep: { text: SECRET } } }],
  ])('CL-6: a secret %s reaches no finding', (_name, given) => {
    const error = refusal(() => resolveConfig(given as object))
    expect(error.code).toBe('INVALID_CONFIG')
    expect(printed(error) + printed(error.context) + error.message + String(error.stack)).not.toContain(SECRET)
  })
})
