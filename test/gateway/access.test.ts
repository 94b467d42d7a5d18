/** GW-4: who may come in, and who may do what. Everything that no rule allows is refused, by name of topic and operation. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import type { GatewayOptions } from '../../lib/gateway/index.js'
import { Permissions } from '../../lib/gateway/permissions.js'
import type { Credentials } from '../../lib/gateway/types.js'
import { deferred, FakeClock } from '../../lib/util/index.js'
import { stage, TcpClient, type UpgradeParts, WebSocketClient } from './support.js'

const ANN = { name: 'ann', publish: ['chat-*'], subscribe: ['chat-*'] }

type Doors = { readonly [Name in keyof GatewayOptions]?: GatewayOptions[Name] | undefined }

/** Options, what the client shows, what it gets: over WebSocket the status, over TCP the first frame. */
const DOORS: readonly [string, Doors, string | null, number, string][] = [
  ['a token that is accepted', { authenticate: () => ANN }, 'good', 101, 'welcome'],
  ['a token that is refused', { authenticate: () => null }, 'bad', 403, 'AUTHENTICATION_FAILED'],
  [
    'no token, nobody is anonymous',
    { authenticate: ({ token }) => (token ? ANN : null) },
    null,
    401,
    'AUTHENTICATION_FAILED',
  ],
  [
    'no token, identity by something else',
    { authenticate: ({ token }) => (token ? null : ANN) },
    null,
    101,
    'AUTHENTICATION_FAILED',
  ],
  ['no token, anonymous is allowed', { authenticate: () => null, anonymous: {} }, null, 101, 'welcome'],
  [
    'a wrong token, although anonymous is allowed',
    { authenticate: () => null, anonymous: {} },
    'bad',
    403,
    'AUTHENTICATION_FAILED',
  ],
  ['any token, without authenticate', { authenticate: undefined }, 'good', 403, 'AUTHENTICATION_FAILED'],
  ['no token, without authenticate', { authenticate: undefined }, null, 401, 'AUTHENTICATION_FAILED'],
  ['no token, only anonymous', { authenticate: undefined, anonymous: {} }, null, 101, 'welcome'],
  ['any token, only anonymous', { authenticate: undefined, anonymous: {} }, 'x', 101, 'welcome'],
]

describe('the door', () => {
  it.each(DOORS)('GW-4: %s', async (_, options, token, status, first) => {
    const at = await stage({ authenticate: () => ANN, ...options } as Partial<GatewayOptions>)
    const browser = new WebSocketClient(at.httpPort, { token })
    await browser.until(() => browser.status !== 0)
    expect(browser.status).toBe(status)
    if (status === 401) expect(browser.head).toContain('WWW-Authenticate: Bearer')
    const device = new TcpClient(at.tcpPort, token)
    if (token === null) device.send({ type: 'ping' })
    const [said] = await device.hears(1)
    expect(said?.type === 'error' ? said.code : said?.type).toBe(first)
    if (said?.type === 'error') await device.ended()
    expect(at.errors).toEqual([])
  })

  const ORIGINS: readonly [readonly string[], string | undefined, number][] = [
    [[], undefined, 101],
    [[], 'https://evil.example', 403],
    [[], 'null', 403],
    [['https://chat.example'], 'https://chat.example', 101],
    [['https://chat.example'], 'https://CHAT.example', 101],
    [['https://chat.example'], 'https://chat.example.evil.example', 403],
    [['https://chat.example'], 'http://chat.example', 403],
    [['https://chat.example'], undefined, 101],
    [['*'], 'https://evil.example', 101],
  ]
  it.each(ORIGINS)('GW-4: with origins %j a page of %s gets %i', async (origins, origin, status) => {
    let asked = 0
    const authenticate = () => {
      asked++
      return ANN
    }
    const at = await stage({ origins, authenticate })
    const client = new WebSocketClient(at.httpPort, { headers: origin === undefined ? {} : { Origin: origin } })
    await client.until(() => client.status !== 0)
    expect(client.status).toBe(status)
    expect(asked).toBe(status === 101 ? 1 : 0)
  })

  it('GW-4: authenticate is told transport, peer, token, headers and address', async () => {
    const seen: Credentials[] = []
    const at = await stage({
      authenticate: (credentials) => {
        seen.push(credentials)
        return ANN
      },
    })
    const parts: UpgradeParts[] = [
      { token: 'in-query', path: '/mq?room=1' },
      { token: null, headers: { Authorization: 'Bearer in-header', Cookie: 'a=b' } },
    ]
    for (const part of parts) await new WebSocketClient(at.httpPort, part).hears(1)
    await new TcpClient(at.tcpPort, 'in-frame').hears(1)
    const peer = expect.stringMatching(/^127\.0\.0\.1:\d+$/)
    expect(seen).toEqual([
      {
        transport: 'websocket',
        peer,
        token: 'in-query',
        url: '/mq?room=1&token=in-query',
        headers: expect.any(Object),
      },
      {
        transport: 'websocket',
        peer,
        token: 'in-header',
        url: '/mq',
        headers: expect.objectContaining({ cookie: 'a=b' }),
      },
      { transport: 'tcp', peer, token: 'in-frame', url: '', headers: {} },
    ])
  })

  const FAULTS: readonly [string, GatewayOptions['authenticate'], string][] = [
    [
      'throws',
      () => {
        throw new Error('database is down: password hunter2')
      },
      'AUTHENTICATION_FAILED',
    ],
    [
      'rejects',
      async () => {
        throw new MQError('TIMEOUT', 'directory too slow')
      },
      'TIMEOUT',
    ],
    ['gives no name', () => ({ publish: ['*'] }) as never, 'AUTHENTICATION_FAILED'],
    ['gives a wrong rule', () => ({ name: 'x', publish: ['a*b'] }), 'INVALID_CONFIG'],
    ['gives true', () => true as never, 'INVALID_CONFIG'],
  ]
  it.each(FAULTS)(
    'GW-4, trap 25: authenticate that %s refuses, tells the operator, and not the client',
    async (_, authenticate) => {
      const at = await stage({ authenticate } as Partial<GatewayOptions>)
      const browser = new WebSocketClient(at.httpPort)
      await browser.until(() => browser.status !== 0)
      expect(browser.status).toBe(403)
      expect(browser.body).not.toContain('hunter2')
      const device = new TcpClient(at.tcpPort)
      await device.ended()
      expect(device.said).toEqual([expect.objectContaining({ type: 'error', code: 'AUTHENTICATION_FAILED' })])
      expect(JSON.stringify(device.said)).not.toContain('hunter2')
      expect(at.errors).toHaveLength(2)
      expect(at.errors[0]?.message).toContain('authenticate')
    },
  )

  it('GW-4: authenticate that takes too long refuses: 503, and an error frame', async () => {
    const clock = new FakeClock()
    const asked: (() => void)[] = []
    const twice = deferred<void>()
    const never = () => {
      asked.push(() => {})
      if (asked.length === 2) twice.resolve()
      return new Promise<null>(() => {})
    }
    const at = await stage({ authenticate: never, authTimeoutMs: 500 }, { clock })
    const browser = new WebSocketClient(at.httpPort)
    const device = new TcpClient(at.tcpPort)
    await twice.promise
    clock.advance(500)
    await Promise.all([browser.ended(), device.ended()])
    expect(browser.status).toBe(503)
    expect(device.said[0]).toMatchObject({ type: 'error' })
    expect(at.errors.map(({ code }) => code)).toContain('TIMEOUT')
  })

  it('GW-4: a TCP client that says nothing is ended after authTimeoutMs', async () => {
    const clock = new FakeClock()
    const at = await stage({ authTimeoutMs: 300 }, { clock })
    const device = new TcpClient(at.tcpPort, null)
    const told = new Promise<Error | null>((resolve) => at.gateway.on('clientClosed', ({ error }) => resolve(error)))
    while (at.gateway.clients === 0) await new Promise(setImmediate)
    clock.advance(300)
    await device.ended()
    expect(device.said).toEqual([expect.objectContaining({ type: 'error', code: 'TIMEOUT' })])
    expect(await told).toMatchObject({ code: 'TIMEOUT' })
  })

  it('GW-4: frames behind an auth wait until it is known who says them', async () => {
    const gate = deferred<typeof ANN>()
    const at = await stage({ authenticate: () => gate.promise })
    const device = new TcpClient(at.tcpPort)
    device.send({ type: 'publish', id: 1, topic: 'chat-x', value: 'v' })
    await new Promise(setImmediate)
    expect(at.backend.published).toEqual([])
    gate.resolve(ANN)
    expect(await device.answer(1)).toMatchObject({ type: 'ack' })
  })

  it('GW-4: an anonymous client may say later who it is, once', async () => {
    const at = await stage({ anonymous: { subscribe: ['news'] } })
    const client = new WebSocketClient(at.httpPort, { token: null })
    expect((await client.hears(1))[0]).toMatchObject({ type: 'welcome', name: '' })
    client.send({ type: 'publish', id: 1, topic: 'chat-x', value: 'v' })
    expect(await client.answer(1)).toMatchObject({ code: 'AUTHORIZATION_FAILED' })
    client.send({ type: 'auth', id: 2, token: 'ann' })
    client.send({ type: 'publish', id: 3, topic: 'chat-x', value: 'v' })
    expect(await client.answer(3)).toMatchObject({ type: 'ack' })
    expect(client.said[2]).toMatchObject({ type: 'welcome', name: 'ann' })
    client.send({ type: 'auth', id: 4, token: 'bob' })
    expect(await client.answer(4)).toMatchObject({ type: 'error', code: 'AUTHENTICATION_FAILED' })
  })

  it('GW-4: a wrong token of an anonymous client ends its connection with 1008', async () => {
    const at = await stage({ anonymous: {} })
    const client = new WebSocketClient(at.httpPort, { token: null })
    await client.hears(1)
    client.send({ type: 'auth', token: 'wrong' })
    await client.ended()
    expect(client.closeCode).toBe(1008)
  })

  it('GW-4: above maxClients an upgrade gets 503, those who are being judged included; TCP is closed', async () => {
    const gate = deferred<typeof ANN>()
    const judged = deferred<void>()
    const authenticate = () => {
      judged.resolve()
      return gate.promise
    }
    const at = await stage({ maxClients: 1, authenticate })
    const first = new WebSocketClient(at.httpPort)
    await judged.promise
    const second = new WebSocketClient(at.httpPort)
    await second.ended()
    expect(second.status).toBe(503)
    gate.resolve(ANN)
    await first.hears(1)
    const third = new TcpClient(at.tcpPort)
    await third.ended()
    expect(third.said).toEqual([])
    expect(at.gateway.netReadings().net_rejected_total).toBe(1)
  })

  it('GW-4: only at its path is a WebSocket', async () => {
    const at = await stage({ path: '/live' })
    const wrong = new WebSocketClient(at.httpPort, { path: '/mq' })
    await wrong.until(() => wrong.status !== 0)
    expect(wrong.status).toBe(404)
    expect((await new WebSocketClient(at.httpPort, { path: '/live' }).hears(1))[0]).toMatchObject({ type: 'welcome' })
  })
})

describe('what a client may do', () => {
  const bytes = (text: string) => Buffer.from(text)
  const RULES: readonly [string, Parameters<typeof identity>[0], 'publish' | 'subscribe', string, boolean][] = [
    ['no rules', {}, 'publish', 'a', false],
    ['no rules', {}, 'subscribe', 'a', false],
    ['an exact name', { publish: ['a'] }, 'publish', 'a', true],
    ['an exact name, other topic', { publish: ['a'] }, 'publish', 'ab', false],
    ['an exact name, other operation', { publish: ['a'] }, 'subscribe', 'a', false],
    ['a beginning', { subscribe: ['a-*'] }, 'subscribe', 'a-b', true],
    ['a beginning, itself', { subscribe: ['a-*'] }, 'subscribe', 'a-', true],
    ['a beginning, shorter', { subscribe: ['a-*'] }, 'subscribe', 'a', false],
    ['everything', { publish: ['*'] }, 'publish', '_anything', true],
    ["everything, but Kafka's own", { publish: ['*'] }, 'publish', '__anything', false],
    ['case counts', { publish: ['A'] }, 'publish', 'a', false],
  ]
  const identity = (rules: { publish?: string[]; subscribe?: string[] }) => new Permissions({ name: 'ann', ...rules })
  it.each(RULES)('GW-4: %s: %j to %s %s: %s', (_, rules, operation, topic, isAllowed) => {
    const may = identity(rules)
    expect(operation === 'publish' ? may.mayPublish(topic) : may.maySubscribe(topic)).toBe(isAllowed)
  })

  const KEYS: readonly [string, readonly string[] | undefined, Buffer, boolean][] = [
    ['ann', undefined, bytes('ann'), true],
    ['ann', undefined, bytes('bob'), false],
    ['ann', undefined, bytes('annette'), false],
    ['ann*', undefined, bytes('annette'), false],
    ['ann*', undefined, bytes('ann*'), true],
    ['', undefined, bytes(''), false],
    ['ann', ['bob'], bytes('bob'), true],
    ['ann', ['team-*'], bytes('team-1'), true],
    ['ann', ['*'], bytes('bob'), true],
    ['ann', ['*'], Buffer.from([0xff]), true],
    ['\ufffd', undefined, Buffer.from([0xff]), false],
  ]
  it.each(KEYS)('GW-4: %j with keys %j reads key %j: %s', (name, keys, key, isAllowed) => {
    const may = new Permissions({ name, ...(keys === undefined ? {} : { keys }) }, name === '')
    expect(may.mayReadKey(key)).toBe(isAllowed)
  })

  it('GW-4: what is refused names topic and operation, and nothing reaches Kafka', async () => {
    const at = await stage()
    const client = new TcpClient(at.tcpPort)
    client.send({ type: 'publish', id: 1, topic: 'orders', value: 'v' })
    client.send({ type: 'subscribe', id: 2, topics: ['chat-x', 'orders'] })
    client.send({ type: 'subscribe', id: 3, topics: ['chat-x'], key: 'bob' })
    client.send({ type: 'stats', id: 4 })
    client.send({ type: 'subscribe', id: 5 })
    await client.answer(5)
    expect(client.said.slice(1).map(({ id, code, message }) => [id, code, message])).toEqual([
      [1, 'AUTHORIZATION_FAILED', 'publish is not allowed for topic orders'],
      [4, 'AUTHORIZATION_FAILED', expect.stringContaining('stats: true')],
      [2, 'AUTHORIZATION_FAILED', 'subscribe is not allowed for topic orders'],
      [3, 'AUTHORIZATION_FAILED', expect.stringContaining('this key of topic chat-x')],
      [5, 'INVALID_TOPIC', expect.stringContaining('topics is empty')],
    ])
    expect(at.backend.published).toEqual([])
    expect(at.feeds.asked).toEqual([])
    expect(at.warnings).toEqual([])
  })

  it('GW-1: a key alone means the keyTopics; reading those without a key needs keys: [*]', async () => {
    const authenticate: GatewayOptions['authenticate'] = ({ token }) =>
      token === 'root' ? { ...ANN, name: 'root', keys: ['*'] } : ANN
    const at = await stage({ keyTopics: ['chat-x', 'chat-y'], authenticate })
    const ann = new TcpClient(at.tcpPort)
    ann.send({ type: 'subscribe', id: 1, key: 'ann' })
    expect(await ann.answer(1)).toMatchObject({
      type: 'subscribed',
      topics: { 'chat-x': { '0': 7 }, 'chat-y': { '0': 7 } },
    })
    ann.send({ type: 'subscribe', id: 2, topics: ['chat-x'] })
    expect(await ann.answer(2)).toMatchObject({ code: 'AUTHORIZATION_FAILED' })
    ann.send({ type: 'subscribe', id: 3, topics: ['chat-z'] })
    expect(await ann.answer(3)).toMatchObject({ type: 'subscribed' })
    const root = new TcpClient(at.tcpPort, 'root')
    root.send({ type: 'subscribe', id: 1, topics: ['chat-x'] })
    expect(await root.answer(1)).toMatchObject({ type: 'subscribed' })
    expect(at.feeds.asked.map(({ topics, key }) => [topics, key])).toEqual([
      [['chat-x', 'chat-y'], 'ann'],
      [['chat-z'], undefined],
      [['chat-x'], undefined],
    ])
  })

  it('GW-4: maxSubscriptions counts topics and keys, and gives back what is ended', async () => {
    const at = await stage({ maxSubscriptions: 2, authenticate: () => ({ ...ANN, keys: ['*'] }) })
    const client = new TcpClient(at.tcpPort)
    client.send({ type: 'subscribe', id: 1, topics: ['chat-1', 'chat-2'] })
    client.send({ type: 'subscribe', id: 2, topics: ['chat-1'] })
    client.send({ type: 'subscribe', id: 3, topics: ['chat-1'], key: 'k' })
    client.send({ type: 'unsubscribe', id: 4, topics: ['chat-2'] })
    client.send({ type: 'subscribe', id: 5, topics: ['chat-1'], key: 'k' })
    client.send({ type: 'subscribe', id: 6, topics: ['chat-1'], key: 'l' })
    client.send({ type: 'unsubscribe', id: 7 })
    client.send({ type: 'subscribe', id: 8, topics: ['chat-8', 'chat-9'] })
    await client.answer(8)
    expect(client.said.slice(1).map(({ id, type, code }) => [id, type === 'error' ? code : type])).toEqual([
      [1, 'subscribed'],
      [2, 'subscribed'],
      [3, 'POOL_EXHAUSTED'],
      [4, 'unsubscribed'],
      [5, 'subscribed'],
      [6, 'POOL_EXHAUSTED'],
      [7, 'unsubscribed'],
      [8, 'subscribed'],
    ])
  })

  it('GW-4: what failed to be subscribed does not count', async () => {
    const at = await stage({ maxSubscriptions: 1 })
    const client = new TcpClient(at.tcpPort)
    at.feeds.fails = new MQError('TOPIC_NOT_FOUND', 'topic chat-1 does not exist')
    client.send({ type: 'subscribe', id: 1, topics: ['chat-1'] })
    expect(await client.answer(1)).toMatchObject({ code: 'TOPIC_NOT_FOUND' })
    at.feeds.fails = null
    client.send({ type: 'subscribe', id: 2, topics: ['chat-2'] })
    expect(await client.answer(2)).toMatchObject({ type: 'subscribed' })
  })
})
