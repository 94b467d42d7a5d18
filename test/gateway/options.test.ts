/** CF-3, GW-1..GW-4: options are complete, frozen and in range, or told by name, all at once. */
import { describe, expect, it } from 'vitest'
import type { MQError } from '../../lib/errors/index.js'
import { Gateway, type GatewayOptions } from '../../lib/gateway/index.js'
import { resolveOptions } from '../../lib/gateway/options.js'
import { TEST_KEY } from '../net/tls-identity.js'
import { FakeBackend, FakeFeeds } from './support.js'

const MINIMAL: GatewayOptions = { websocket: ':0' }
const findings = (options: unknown): string[] => {
  try {
    resolveOptions(options as GatewayOptions)
  } catch (error) {
    const { context, code } = error as MQError
    const issues = (context.issues ?? [{ path: context.path }]) as { path: string }[]
    return [code, ...issues.map(({ path }) => path)]
  }
  return []
}

describe('options of a gateway', () => {
  it('GW-3, GW-4: have these defaults', () => {
    expect(resolveOptions(MINIMAL)).toEqual({
      websocket: ':0',
      path: '/mq',
      origins: [],
      slowClient: 'pause',
      keyTopics: [],
      dashboard: false,
      maxClients: 10_000,
      maxFrameBytes: 1_048_576,
      maxHeaderBytes: 16_384,
      maxSubscriptions: 100,
      maxInFlight: 100,
      publishPerSecond: 0,
      bytesPerSecond: 0,
      writeBufferBytes: 1_048_576,
      cacheBytes: 67_108_864,
      maxCatchUps: 16,
      idleMs: 60_000,
      authTimeoutMs: 10_000,
      closeTimeoutMs: 5_000,
      anonymous: null,
    })
  })

  it('CF-3: are frozen, and the input stays as it is', () => {
    const origins = ['https://a.example']
    const options = { ...MINIMAL, origins, tls: { cert: 'c', key: 'k' } }
    const resolved = resolveOptions(options)
    expect(Object.isFrozen(resolved) && Object.isFrozen(resolved.origins) && Object.isFrozen(resolved.tls)).toBe(true)
    expect(resolved.tls).toMatchObject({ cert: 'c', key: 'k' })
    expect(Object.isFrozen(origins)).toBe(false)
  })

  const WRONG: readonly [string, unknown, readonly string[]][] = [
    ['nothing', undefined, ['INVALID_CONFIG', 'options', 'websocket']],
    ['no address', {}, ['MISSING_CONFIG', 'websocket']],
    ['an address without port', { tcp: 'localhost' }, ['INVALID_CONFIG', 'tcp']],
    ['a port too high', { tcp: ':65536' }, ['INVALID_CONFIG', 'tcp']],
    ['an unknown field', { ...MINIMAL, maxClient: 1 }, ['INVALID_CONFIG', 'maxClient']],
    ['several at once', { ...MINIMAL, maxClients: 0, idleMs: -1 }, ['INVALID_CONFIG', 'maxClients', 'idleMs']],
    ['a path without slash', { ...MINIMAL, path: 'mq' }, ['INVALID_CONFIG', 'path']],
    ['a path with a query', { ...MINIMAL, path: '/mq?a' }, ['INVALID_CONFIG', 'path']],
    ['an origin with a path', { ...MINIMAL, origins: ['https://a.example/'] }, ['INVALID_CONFIG', 'origins']],
    ['an origin that is no list', { ...MINIMAL, origins: '*' }, ['INVALID_CONFIG', 'origins']],
    ['a topic that is none', { ...MINIMAL, keyTopics: ['a b'] }, ['INVALID_CONFIG', 'keyTopics']],
    ['half of tls', { ...MINIMAL, tls: { cert: 'c' } }, ['MISSING_CONFIG', 'tls.key']],
    ['authenticate that is no function', { ...MINIMAL, authenticate: true }, ['INVALID_CONFIG', 'authenticate']],
    ['a rule that is none', { ...MINIMAL, anonymous: { publish: ['a*b'] } }, ['INVALID_CONFIG', 'publish']],
    ['rules that are no list', { ...MINIMAL, anonymous: { subscribe: 'a' } }, ['INVALID_CONFIG', 'subscribe']],
    ['pages without the address for them', { tcp: ':0', pages: '.' }, ['MISSING_CONFIG', 'websocket']],
    ['a dashboard without the address for it', { tcp: ':0', dashboard: true }, ['MISSING_CONFIG', 'websocket']],
    ['another word', { ...MINIMAL, slowClient: 'kill' }, ['INVALID_CONFIG', 'slowClient']],
  ]
  it.each(WRONG)('CF-3: %s is refused by name', (_, options, expected) => {
    expect(findings(options)).toEqual(expected)
  })

  it('CF-3: a key is never shown', () => {
    const shown = (act: () => unknown): string => {
      try {
        return JSON.stringify(act()) ?? ''
      } catch (error) {
        return `${(error as Error).message} ${JSON.stringify((error as MQError).toJSON())}`
      }
    }
    const bad = { ...MINIMAL, tls: { cert: 'not a certificate', key: TEST_KEY } }
    const told = shown(() => new Gateway(new FakeBackend(), bad, { feeds: new FakeFeeds() }))
    expect(told).toContain('INVALID_CONFIG')
    expect(told).not.toContain(TEST_KEY.slice(40, 80))
    expect(shown(() => resolveOptions({ ...MINIMAL, tls: { cert: 'c', key: 7 as never } }))).not.toContain('7')
  })
})
