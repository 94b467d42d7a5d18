/** The browser's client over a fake WebSocket: what it sends, what it delivers, and what cuts at any place do to both. */

import { connect, type GatewayError } from 'tandem-mq/gateway/client'
import { describe, expect, it } from 'vitest'
import { randomInt, seededRandom } from '../../lib/util/index.js'
import { FakeGateway, settled } from './browser-stage.js'

type Options = NonNullable<Parameters<typeof connect>[1]>

async function stage(options: Options = {}, partitions = 2) {
  const gateway = new FakeGateway(partitions)
  const states: string[] = []
  const client = connect('ws://gateway/mq', {
    ...gateway.options(),
    onState: ({ state, retryMs, error }) =>
      void states.push([state, retryMs, error?.code].filter((part) => part !== undefined).join(' ')),
    ...options,
  })
  await settled()
  return { gateway, client, states }
}

/** A welcomed client whose frames so far are forgotten. */
async function open(options: Options = {}, partitions = 2) {
  const staged = await stage(options, partitions)
  staged.gateway.welcome()
  staged.gateway.pump()
  await settled()
  staged.gateway.socket.sent.length = 0
  return staged
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail('it resolved'),
    (error: GatewayError) => error,
  )

describe('GW-1: connecting', () => {
  it('GW-1: gives the token in the address, asks for a fresh one each time, and tells its states', async () => {
    let n = 0
    const { gateway, client, states } = await stage({ token: async () => `t${++n}` })
    expect(gateway.socket.url).toBe('ws://gateway/mq?token=t1')
    gateway.welcome()
    gateway.socket.cut()
    await gateway.timers.advance(375)
    expect(gateway.socket.url).toBe('ws://gateway/mq?token=t2')
    client.close()
    expect(states).toEqual(['connecting', 'open', 'waiting 375 CONNECTION_CLOSED', 'connecting', 'closed'])
    expect(gateway.timers.count).toBe(0)
  })

  it.each([
    ['https://host/mq', 'wss://host/mq'],
    ['http://host:81/mq', 'ws://host:81/mq'],
  ])('GW-1: %s means %s', async (url, expected) => {
    const gateway = new FakeGateway()
    const client = connect(url, gateway.options())
    await settled()
    expect(gateway.socket.url).toBe(expected)
    client.close()
  })

  it.each(['', '/mq', 'ftp://host/mq'])('GW-1: refuses the address "%s" outside of a page', (url) => {
    expect(() => connect(url, new FakeGateway().options())).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
  })

  it('GW-1: waits twice as long after each failure, half of it random, up to the limit; a good connection makes it short again', async () => {
    const { gateway, states } = await stage({ random: () => 0, maxRetryMs: 2_000 })
    for (let n = 0; n < 4; n++) {
      gateway.socket.cut()
      await gateway.timers.advance(2_000)
    }
    expect(states.filter((state) => state.startsWith('waiting')).map((state) => state.split(' ')[1])).toEqual([
      '250',
      '500',
      '1000',
      '1000',
    ])
    gateway.welcome()
    await gateway.timers.advance(5_000)
    gateway.socket.cut()
    expect(states.at(-1)).toBe('waiting 250 CONNECTION_CLOSED')
  })

  it('GW-4: gives up a connection that is not welcomed in time, or does not answer a ping, and one that answers late in a hidden page is kept', async () => {
    const { gateway, states } = await stage()
    await gateway.timers.advance(10_000)
    expect(states.at(-1)).toBe('waiting 375 CONNECTION_TIMEOUT')
    await gateway.timers.advance(375)
    const socket = gateway.welcome()
    expect(socket.sent).toEqual([{ type: 'ping' }])
    gateway.pump()
    await gateway.timers.advance(20_000)
    expect(gateway.socket.sent).toHaveLength(2)
    await gateway.timers.advance(20_000)
    expect(states.at(-1)).toBe('waiting 375 CONNECTION_TIMEOUT')
    expect(socket.closedWith).toBe(4000)
  })

  it('GW-4: tells what the gateway said before it closed, and hears nothing of a socket that it left', async () => {
    const { gateway, states } = await stage()
    const first = gateway.socket
    first.tell({ type: 'error', code: 'AUTHENTICATION_FAILED', message: 'no' })
    first.cut(1008)
    expect(states.at(-1)).toBe('waiting 375 AUTHENTICATION_FAILED')
    await gateway.timers.advance(375)
    first.onmessage?.({ data: 'nonsense' })
    first.onclose?.({ code: 1006, reason: '' })
    gateway.welcome()
    expect(states.at(-1)).toBe('open')
  })

  it('GW-1: an error that names nothing of ours makes it begin anew, and reading goes on', async () => {
    const { gateway, client, states } = await open({}, 1)
    const asked = client.subscribe(['chat'], {}, () => {})
    gateway.pump()
    await asked
    gateway.socket.tell({ type: 'error', code: 'TOPIC_NOT_FOUND', message: 'a subscription has ended' })
    expect(states.at(-1)).toBe('waiting 375 TOPIC_NOT_FOUND')
    await gateway.timers.advance(375)
    gateway.welcome()
    expect(gateway.socket.sent[1]).toMatchObject({ type: 'subscribe', from: { chat: { 0: 0 } } })
  })
})

describe('GW-1: publishing', () => {
  it('GW-1: resolves with partition and offset; text, bytes, null and headers are written as the gateway reads them', async () => {
    const { gateway, client } = await open()
    const first = client.publish('chat', 'hé', {
      key: 'bob',
      headers: { a: 'b', c: new Uint8Array([255]) },
      partition: 1,
    })
    const second = client.publish('chat', new Uint8Array([0, 255]), { key: new Uint8Array([1]), timestamp: 5 })
    const third = client.publish('chat', null, { headers: [['a', null]] })
    expect(gateway.socket.sent.map(({ id: _, ...frame }) => frame)).toEqual([
      { type: 'publish', topic: 'chat', key: 'bob', value: 'hé', headers: [['a', 'b'], ['c', { base64: '/w==' }]], partition: 1 }, // biome-ignore format: one line reads better
      { type: 'publish', topic: 'chat', key64: 'AQ==', value64: 'AP8=', timestamp: 5 },
      { type: 'publish', topic: 'chat', key: null, value: null, headers: [['a', null]] },
    ])
    expect(client.pending).toBe(3)
    gateway.pump()
    expect(await first).toEqual({ partition: 1, offset: 0, timestamp: 7 })
    expect(await second).toMatchObject({ partition: 0, offset: 0 })
    expect(await third).toMatchObject({ partition: 0, offset: 1 })
    expect(client.pending).toBe(0)
  })

  it('GW-1: what waits is sent with the next connection, what was sent is rejected as possibly persisted and never sent again', async () => {
    const { gateway, client } = await open()
    const sent = client.publish('chat', 'sent')
    gateway.outbox = []
    gateway.socket.cut()
    expect(await failure(sent)).toMatchObject({ code: 'CONNECTION_CLOSED', persisted: 'possibly-persisted' })
    const waits = client.publish('chat', 'waits')
    await gateway.timers.advance(375)
    gateway.welcome()
    gateway.pump()
    expect(await waits).toMatchObject({ offset: 1 })
    expect(gateway.log.map(({ value }) => value)).toEqual(['sent', 'waits'])
  })

  it('GW-1: what a closing socket would not take waits for the next connection, and is in no doubt', async () => {
    const { gateway, client } = await open()
    const dying = gateway.socket
    dying.isClosing = true
    const waits = client.publish('chat', 'waits')
    expect(dying.sent.filter(({ type }) => type === 'publish')).toEqual([])
    dying.cut()
    await gateway.timers.advance(375)
    gateway.welcome()
    gateway.pump()
    expect(await waits).toMatchObject({ offset: 0 })
    client.close()
  })

  it('GW-1: has at most one publish less in flight than the gateway allows, in the order of the calls, and a bounded queue', async () => {
    const { gateway, client } = await open({ maxQueued: 3 })
    gateway.isAutomatic = false
    const publishes = Array.from({ length: 12 }, (_, n) => client.publish('chat', String(n)))
    expect(gateway.socket.sent).toHaveLength(9)
    const full = await failure(client.publish('chat', 'too many'))
    expect(full).toMatchObject({ code: 'PRODUCE_FAILED', reason: 'BUFFER_FULL', persisted: 'not-persisted' })
    for (let n = 0; n < 12; n++) {
      const { id } = gateway.socket.sent[n] as { id: number }
      gateway.socket.tell({ type: 'ack', id, topic: 'chat', partition: 0, offset: n, timestamp: 7 })
    }
    expect((await Promise.all(publishes)).map(({ offset }) => offset)).toEqual(Array.from({ length: 12 }, (_, n) => n))
    expect(gateway.socket.sent.map(({ value }) => value)).toEqual(Array.from({ length: 12 }, (_, n) => String(n)))
  })

  it('GW-1: refuses what is too long in bytes, what is no payload, and everything after close', async () => {
    const { client } = await open()
    expect(await failure(client.publish('chat', 'é'.repeat(500)))).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(await failure(client.publish('chat', 7 as never))).toMatchObject({ code: 'SERIALIZATION_FAILED' })
    const inFlight = client.publish('chat', 'x')
    client.close()
    expect(await failure(inFlight)).toMatchObject({ code: 'CONNECTION_CLOSED', persisted: 'possibly-persisted' })
    expect(await failure(client.publish('chat', 'x'))).toMatchObject({ persisted: 'not-persisted' })
    client.close()
  })

  it('GW-1: a refusal is an error with code, reason and the doubt that it leaves', async () => {
    const { gateway, client } = await open()
    gateway.isAutomatic = false
    const refused = client.publish('secret', 'x')
    const failed = client.publish('chat', 'x')
    const dropped = client.publish('chat', 'x')
    const [a, b, c] = gateway.socket.sent as { id: number }[]
    gateway.socket.tell({ type: 'error', id: a?.id, code: 'AUTHORIZATION_FAILED', message: 'secret: publish' })
    gateway.socket.tell({ type: 'error', id: b?.id, code: 'TIMEOUT', reason: 'DROPPED', message: 'late' })
    const told = { code: 'TIMEOUT', message: 'it never left', topic: 'chat', persistence: 'not-persisted' }
    gateway.socket.tell({ type: 'error', id: c?.id, ...told })
    expect(await failure(refused)).toMatchObject({ code: 'AUTHORIZATION_FAILED', persisted: 'not-persisted' })
    expect(await failure(dropped)).toMatchObject({ code: 'TIMEOUT', persisted: 'not-persisted' })
    expect(await failure(failed)).toMatchObject({ code: 'TIMEOUT', reason: 'DROPPED', persisted: 'possibly-persisted' })
  })
})

describe('GW-1: subscribing', () => {
  it('GW-1: delivers records as they come, bytes as bytes, and resumes behind the last one after a cut', async () => {
    const { gateway, client } = await open()
    gateway.store('chat', 0, null, 'before')
    const values: unknown[] = []
    const asked = client.subscribe(['chat'], {}, ({ value }) => values.push(value))
    gateway.pump()
    await asked
    expect(gateway.socket.sent).toMatchObject([{ type: 'subscribe', topics: ['chat'], from: 'latest' }])
    gateway.store('chat', 0, null, 'one')
    gateway.feed()
    gateway.pump()
    gateway.socket.tell({
      type: 'record',
      topic: 'chat',
      partition: 1,
      offset: 0,
      timestamp: -1,
      key: null,
      value64: '/w==',
    })
    gateway.socket.cut()
    await gateway.timers.advance(375)
    gateway.welcome()
    const from = { chat: { 0: 2, 1: 1 } }
    expect(gateway.socket.sent[1]).toMatchObject({ type: 'subscribe', topics: ['chat'], from })
    expect(values).toEqual(['one', new Uint8Array([255])])
  })

  it('GW-1: a subscribe that had no answer begins where it was asked to, and one without a connection waits for it', async () => {
    const { gateway, client } = await stage()
    const asked = client.subscribe(['chat'], { from: 'earliest', key: 'ann' }, () => {})
    for (let n = 0; n < 2; n++) {
      const socket = gateway.welcome()
      expect(socket.sent[1]).toMatchObject({ type: 'subscribe', from: 'earliest', key: 'ann' })
      if (n === 1) break
      gateway.outbox = []
      socket.cut()
      await gateway.timers.advance(375)
    }
    gateway.pump()
    await asked
  })

  it('GW-1: one subscription per topic; after close the topic is free, and what was under way is not delivered', async () => {
    const { gateway, client } = await open()
    const values: unknown[] = []
    const asked = client.subscribe(['chat'], { from: 'earliest' }, ({ value }) => values.push(value))
    gateway.pump()
    const subscription = await asked
    expect(await failure(client.subscribe(['chat'], {}, () => {}))).toMatchObject({ code: 'INVALID_CONFIG' })
    gateway.store('chat', 0, null, 'under way')
    gateway.feed()
    const closed = subscription.close()
    const again: unknown[] = []
    const anew = client.subscribe(['chat'], { from: 'earliest' }, ({ value }) => again.push(value))
    expect(gateway.socket.sent.at(-1)).toMatchObject({ type: 'unsubscribe', topics: ['chat'] })
    gateway.pump()
    await closed
    gateway.pump()
    await anew
    gateway.feed()
    gateway.pump()
    expect([values, again]).toEqual([[], ['under way']])
    await subscription.close()
  })

  it('GW-3: tells gaps: those of a slow client, and records that were deleted while it was away', async () => {
    const { gateway, client } = await open({}, 1)
    const gaps: unknown[] = []
    const asked = client.subscribe(['chat'], { onGap: (gap) => gaps.push(gap) }, () => {})
    gateway.pump()
    await asked
    const dropped = { topic: 'chat', partition: 0, from: 0, to: 4, reason: 'dropped' }
    gateway.socket.tell({ type: 'gap', ...dropped })
    gateway.socket.cut()
    await gateway.timers.advance(375)
    gateway.isAutomatic = false
    gateway.welcome()
    const { id, from } = gateway.socket.sent[1] as { id: number; from: unknown }
    expect(from).toEqual({ chat: { 0: 5 } })
    gateway.socket.tell({ type: 'subscribed', id, topics: { chat: { 0: 9 } } })
    gateway.socket.tell({ type: 'gap', topic: 'chat', partition: 0, from: 5, to: 8, reason: 'deleted' })
    expect(gaps).toEqual([dropped, { topic: 'chat', partition: 0, from: 5, to: 8, reason: 'deleted' }])
    expect(client.state).toBe('open')
  })

  it('GW-1: reads partitions that were added while it was away from their beginning', async () => {
    const { gateway, client } = await open({}, 1)
    const values: unknown[] = []
    const asked = client.subscribe(['chat'], {}, ({ value }) => values.push(value))
    gateway.pump()
    await asked
    gateway.socket.cut()
    await gateway.timers.advance(375)
    gateway.isAutomatic = false
    const socket = gateway.welcome()
    socket.tell({ type: 'subscribed', id: socket.sent[1]?.id, topics: { chat: { 0: 0, 1: 2 } } })
    socket.tell({
      type: 'record',
      topic: 'chat',
      partition: 1,
      offset: 2,
      timestamp: 7,
      key: null,
      value: 'comes again',
    })
    const { id, from } = socket.sent[2] as { id: number; from: unknown }
    expect(from).toEqual({ chat: { 0: 0, 1: 0 } })
    socket.tell({ type: 'subscribed', id, topics: { chat: { 0: 0, 1: 0 } } })
    for (const [offset, value] of ['a', 'b', 'comes again'].entries()) {
      socket.tell({ type: 'record', topic: 'chat', partition: 1, offset, timestamp: 7, key: null, value })
    }
    expect(values).toEqual(['a', 'b', 'comes again'])
  })

  it('GW-1: a refused subscribe is rejected and the topic is free; one without an answer is rejected by close', async () => {
    const { gateway, client } = await open()
    gateway.isAutomatic = false
    const { socket } = gateway
    const refused = client.subscribe(['chat'], {}, () => {})
    socket.tell({ type: 'error', id: socket.sent[0]?.id, code: 'AUTHORIZATION_FAILED', message: 'chat' })
    expect(await failure(refused)).toMatchObject({ code: 'AUTHORIZATION_FAILED' })
    const asked = client.subscribe(['chat'], {}, () => {})
    await settled()
    client.close()
    expect(await failure(asked)).toMatchObject({ code: 'CONNECTION_CLOSED' })
  })

  it('GW-1: a topic that failed for a while is asked for again from where it stood, one that is gone has ended', async () => {
    const { gateway, client } = await open({}, 1)
    const ends: string[] = []
    const asked = client.subscribe(['chat'], { onEnd: ({ code }) => ends.push(code) }, () => {})
    gateway.pump()
    await asked
    gateway.store('chat', 0, null, 'one')
    gateway.feed()
    gateway.pump()
    gateway.socket.tell({ type: 'error', topic: 'chat', code: 'CONNECTION_FAILED', message: 'no leader' })
    await gateway.timers.advance(2_000)
    expect(gateway.socket.sent.at(-1)).toMatchObject({ type: 'subscribe', from: { chat: { 0: 1 } } })
    gateway.pump()
    expect(ends).toEqual([])
    gateway.socket.tell({ type: 'error', topic: 'chat', code: 'TOPIC_NOT_FOUND', message: 'deleted' })
    expect(ends).toEqual(['TOPIC_NOT_FOUND'])
    gateway.pump()
    expect(client.state).toBe('open')
  })

  it('GW-1: figures come each second, again after a cut, and end', async () => {
    const { gateway, client } = await open()
    const seen: unknown[] = []
    const asked = client.stats((stats) => seen.push(stats))
    const tell = (stats: number) =>
      gateway.socket.tell({
        type: 'stats',
        id: gateway.socket.sent.findLast(({ type }) => type === 'stats')?.id,
        stats,
      })
    tell(1)
    const figures = await asked
    gateway.socket.cut()
    await gateway.timers.advance(375)
    gateway.welcome()
    tell(2)
    await figures.close()
    expect(gateway.socket.sent.at(-1)).toMatchObject({ type: 'stats', on: false })
    tell(3)
    expect(seen).toEqual([1, 2])
    const refused = client.stats(() => {})
    gateway.socket.tell({
      type: 'error',
      id: gateway.socket.sent.at(-1)?.id,
      code: 'AUTHORIZATION_FAILED',
      message: 'no',
    })
    expect(await failure(refused)).toMatchObject({ code: 'AUTHORIZATION_FAILED' })
  })
})

describe('GW-1: a gateway that breaks its word is left, and reading goes on behind what was delivered', () => {
  const record = { type: 'record', topic: 'chat', partition: 0, offset: 0, timestamp: 7, key: 'ann', value: 'x' }
  it.each([
    ['no text', undefined],
    ['no JSON', '{'],
    ['no object', 'null'],
    ['an unknown type', { type: 'hello' }],
    ['a second welcome', { type: 'welcome', name: 'ann', version: 1, limits: {} }],
    ['an ack for nobody', { type: 'ack', id: 99, topic: 'chat', partition: 0, offset: 0, timestamp: 0 }],
    ['an answer for nobody', { type: 'subscribed', id: 99, topics: {} }],
    ['a record of another topic', { ...record, topic: 'other' }],
    ['a record of another key', { ...record, key: 'bob' }],
    ['a record that is behind', { ...record, partition: 1 }],
    ['a record without an offset', { ...record, offset: '0' }],
    ['a record with no base64', { ...record, value: undefined, value64: '!' }],
    ['a gap that runs backwards', { type: 'gap', topic: 'chat', partition: 0, from: 3, to: 2, reason: 'dropped' }],
  ])('GW-1: %s', async (_, frame) => {
    const { gateway, client, states } = await open()
    gateway.store('chat', 1, null, 'before')
    const asked = client.subscribe(['chat'], { key: 'ann' }, () => {})
    gateway.pump()
    await asked
    const { socket } = gateway
    socket.onmessage?.({ data: typeof frame === 'object' ? JSON.stringify(frame) : frame })
    expect(states.at(-1)).toBe('waiting 375 DESERIALIZATION_FAILED')
    expect(socket.closedWith).toBe(4002)
    await gateway.timers.advance(375)
    gateway.welcome()
    expect(gateway.socket.sent[1]).toMatchObject({ from: { chat: { 0: 0, 1: 1 } } })
  })
})

describe('GW-1: cuts at random places', () => {
  it.each(Array.from({ length: 40 }, (_, index) => index + 1))(
    'GW-1: each record once and in order, each publish told the truth (seed %i)',
    async (seed) => {
      const random = seededRandom(seed)
      const { gateway, client } = await open({ random: () => random.next() })
      const got = new Map<string, number[]>()
      const asked = client.subscribe(['chat'], { from: 'earliest' }, ({ partition, offset, value }) => {
        got.set(`chat/${partition}`, [...(got.get(`chat/${partition}`) ?? []), offset])
        expect(gateway.log.find((entry) => entry.partition === partition && entry.offset === offset)?.value).toBe(value)
      })
      const outcomes: { value: string; outcome: string }[] = []
      let cuts = 0
      for (let step = 0; step < 200; step++) {
        const choice = random.next()
        if (choice < 0.5) {
          const value = `${seed} ${step}`
          client.publish('chat', value, { partition: randomInt(random, 2) }).then(
            () => outcomes.push({ value, outcome: 'stored' }),
            (error: unknown) => outcomes.push({ value, outcome: (error as GatewayError).persisted }),
          )
        } else if (choice < 0.6) gateway.store('chat', randomInt(random, 2), null, `other ${step}`)
        else if (choice < 0.8) gateway.feed()
        else if (choice < 0.9) gateway.pump(randomInt(random, 5))
        else {
          gateway.cutSomewhere(random)
          cuts++
        }
        await gateway.timers.advance(random.next() < 0.3 ? 1_000 : 0)
        if (client.state === 'connecting') gateway.welcome()
      }
      for (let n = 0; n < 4; n++) {
        while (client.state === 'waiting') await gateway.timers.advance(500)
        if (client.state === 'connecting') gateway.welcome()
        gateway.pump()
        gateway.feed()
        gateway.pump()
        await settled()
      }
      await asked
      expect(cuts).toBeGreaterThan(5)
      for (const partition of [0, 1]) {
        const stored = gateway.log.filter((entry) => entry.partition === partition).map(({ offset }) => offset)
        expect(got.get(`chat/${partition}`)).toEqual(stored)
      }
      expect(client.pending).toBe(0)
      for (const { value, outcome } of outcomes) {
        const times = gateway.log.filter((entry) => entry.value === value).length
        if (outcome === 'stored') expect(times).toBe(1)
        else if (outcome === 'possibly-persisted') expect(times).toBeLessThan(2)
        else expect(times).toBe(0)
      }
      client.close()
      expect(gateway.timers.count).toBe(0)
    },
  )
})
