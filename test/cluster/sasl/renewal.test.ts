/** KIP-368 on a fake clock: a session is renewed on its own socket before it ends. */
import { describe, expect, it } from 'vitest'
import { type BrokerLink, RING_SLOTS } from '../../../lib/cluster/index.js'
import { oauthBearer } from '../../../lib/cluster/sasl/oauth-bearer.js'
import { plain } from '../../../lib/cluster/sasl/plain.js'
import type { MQError } from '../../../lib/errors/index.js'
import { type Api, Heartbeat, type ResponseOf, SaslAuthenticate, SaslHandshake } from '../../../lib/protocol/index.js'
import { type Deferred, deferred } from '../../../lib/util/index.js'
import { settle } from '../memory-net.js'
import type { ScriptedBroker } from '../scripted-broker.js'
import { failureOf, pass, passUntil, type Scene } from '../support.js'
import { expectHidden, type Reply, type SaslScript, securedScene } from './support.js'

const LIFETIME_MS = 100_000
const heartbeat = { groupId: 'g', generationId: 1, memberId: 'm' }
const TOKEN = 'token-of-4711'

interface Linked extends Scene {
  readonly link: BrokerLink
  readonly broker: ScriptedBroker
}

/** A produce link that is ready; what has been asked until then is forgotten. */
async function linked(made: Scene): Promise<Linked> {
  await made.cluster.connect()
  const link = made.cluster.link(1, 'produce')
  await link.whenReady(1000)
  const broker = made.brokers[0] as ScriptedBroker
  broker.requests.length = 0
  return { ...made, link, broker }
}

const lasting =
  (reply: () => Reply | undefined = () => ({ sessionLifetimeMs: LIFETIME_MS })) =>
  (): SaslScript => ({ answer: reply })

/** Nothing but renewals happens by itself. */
const idle = { connectionMaxIdleMs: 0, metadataMaxAgeMs: 3_600_000 }
const asked = ({ broker }: Linked) => broker.requests.map(({ api }) => api.name)

/** Time until a renewal has begun. */
async function untilRenewal(scene: Linked): Promise<number> {
  const fromMs = scene.clock.monotonicMs()
  for (let passed = 0; scene.broker.count(SaslHandshake) === 0 && passed < 2 * LIFETIME_MS; passed += 100) {
    await pass(scene.clock, 100, 100)
  }
  return scene.clock.monotonicMs() - fromMs
}

describe('the session of a connection', () => {
  it('W-22: is renewed by handshake and tokens on the same socket, at 85 to 95 % of its lifetime, again and again', async () => {
    const scene = await linked(securedScene(plain('user', 'pw-4711'), lasting(), idle))
    const sockets = scene.net.opened.length
    for (let round = 0; round < 5; round++) {
      scene.broker.requests.length = 0
      const waitedMs = await untilRenewal(scene)
      expect(waitedMs).toBeGreaterThanOrEqual(0.85 * LIFETIME_MS - 100)
      expect(waitedMs).toBeLessThanOrEqual(0.95 * LIFETIME_MS + 200)
      expect(asked(scene)).toEqual(['SaslHandshake', 'SaslAuthenticate'])
    }
    expect(scene.net.opened.length).toBe(sockets)
    expect(scene.link.hasRoom).toBe(true)
  })

  it('W-22: renewals of many connections do not coincide', async () => {
    const scene = await linked(securedScene(plain('user', 'pw-4711'), lasting(), idle))
    await Promise.all((['fetch', 'group', 'control'] as const).map((one) => scene.cluster.link(1, one).whenReady(1000)))
    const times: number[] = []
    for (let passed = 0, seen = 0; passed < LIFETIME_MS; passed += 100) {
      await pass(scene.clock, 100, 100)
      const now = scene.broker.count(SaslAuthenticate)
      if (now > seen && passed > 0.8 * LIFETIME_MS) times.push(passed)
      seen = now
    }
    expect(scene.broker.count(SaslHandshake)).toBe(3 + 4) // Three opened after `linked`, four renewed.
    expect(times.length).toBeGreaterThanOrEqual(3)
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(0.02 * LIFETIME_MS)
  })

  it('W-22: without a lifetime nothing is ever renewed', async () => {
    const scene = await linked(
      securedScene(
        plain('user', 'pw-4711'),
        lasting(() => ({})),
        idle,
      ),
    )
    await pass(scene.clock, 10 * LIFETIME_MS, 10_000)
    expect(scene.broker.count(SaslHandshake)).toBe(0)
  })

  it('W-22: from the handshake to the outcome nothing else is written; what was in flight is answered first', async () => {
    const scene = await linked(securedScene(plain('user', 'pw-4711'), lasting(), idle))
    const { link, broker } = scene
    const handshake = held(broker, SaslHandshake)
    const tokens = held(broker, SaslAuthenticate)
    const order: string[] = []
    const before = link.request(Heartbeat, heartbeat, { limitMs: 10 * LIFETIME_MS }).then(() => order.push('before'))
    let rooms = 0
    link.onRoom = () => rooms++
    await untilRenewal(scene)
    expect([link.isReady, link.hasRoom, link.inFlight]).toEqual([true, false, 2])
    expect((await failureOf(link.request(Heartbeat, heartbeat))).context['wasSent']).toBe('no')
    broker.of(Heartbeat)[0]?.reply({ errorCode: 0 })
    await settle()
    expect([order, link.hasRoom]).toEqual([['before'], false])
    handshake.go({ errorCode: 0, mechanisms: ['PLAIN'] })
    await settle()
    expect([link.hasRoom, rooms]).toEqual([false, 0])
    tokens.go({ errorCode: 0, errorMessage: null, authBytes: new Uint8Array(0), sessionLifetimeMs: LIFETIME_MS })
    await settle()
    expect([link.hasRoom, rooms]).toEqual([true, 1])
    expect(asked(scene)).toEqual(['Heartbeat', 'SaslHandshake', 'SaslAuthenticate'])
    await before
  })

  it('W-22: a renewal takes the next slot when the ring is full, and no other request takes it first', async () => {
    const scene = await linked(securedScene(plain('user', 'pw-4711'), lasting(), idle))
    const { link, broker, clock } = scene
    const all = Array.from({ length: RING_SLOTS }, () => link.request(Heartbeat, heartbeat, { limitMs: LIFETIME_MS }))
    await pass(clock, 0.96 * LIFETIME_MS, 1000)
    expect([broker.count(SaslHandshake), link.hasRoom]).toEqual([0, false])
    const handshake = held(broker, SaslHandshake)
    broker.of(Heartbeat)[0]?.reply({ errorCode: 0 })
    await settle()
    expect([broker.count(SaslHandshake), link.hasRoom, link.inFlight]).toEqual([1, false, RING_SLOTS])
    for (const request of broker.of(Heartbeat).slice(1)) request.reply({ errorCode: 0 })
    const tokens = held(broker, SaslAuthenticate)
    handshake.go({ errorCode: 0, mechanisms: ['PLAIN'] })
    await Promise.all(all)
    await settle()
    tokens.go({ errorCode: 0, errorMessage: null, authBytes: new Uint8Array(0) })
    await settle()
    expect([link.hasRoom, link.inFlight]).toEqual([true, 0])
  })

  it('W-22: a throttled connection renews when the broker listens again', async () => {
    const scene = await linked(securedScene(plain('user', 'pw-4711'), lasting(), idle))
    const { link, broker, clock } = scene
    broker.on(Heartbeat, (request) => request.reply({ errorCode: 0, throttleTimeMs: 20_000 }))
    await pass(clock, 0.84 * LIFETIME_MS, 1000)
    await link.request(Heartbeat, heartbeat)
    await pass(clock, 0.13 * LIFETIME_MS, 1000)
    expect(broker.count(SaslHandshake)).toBe(0)
    await pass(clock, 0.08 * LIFETIME_MS, 1000)
    expect([broker.count(SaslHandshake), link.hasRoom]).toEqual([1, true])
  })

  it('P-47: while a token is fetched requests go on, and the new token is sent', async () => {
    const fetches: Deferred<string>[] = []
    let isStarted = false
    const token = () => {
      if (!isStarted) return Promise.resolve(`${TOKEN}-first`)
      const fetch = deferred<string>()
      fetches.push(fetch)
      return fetch.promise
    }
    const scene = await linked(securedScene(oauthBearer(token), lasting(), idle))
    isStarted = true
    const { link, broker, clock } = scene
    broker.on(Heartbeat, (request) => request.reply({ errorCode: 0 }))
    for (let passed = 0; fetches.length === 0 && passed < LIFETIME_MS; passed += 100) await pass(clock, 100, 100)
    expect([broker.count(SaslHandshake), link.hasRoom]).toEqual([0, true])
    expect((await link.request(Heartbeat, heartbeat)).errorCode).toBe(0)
    for (const fetch of fetches) fetch.resolve(`${TOKEN}-second`)
    await settle()
    expect(Buffer.from(broker.of(SaslAuthenticate).at(-1)?.body.authBytes ?? []).toString()).toContain(
      `${TOKEN}-second`,
    )
    expect(link.hasRoom).toBe(true)
  })

  it('P-47: a token that cannot be had is asked for again while the session lasts', async () => {
    let calls = 0
    let failures = 0
    const token = async () => {
      calls++
      if (calls > 2 && failures++ < 3) throw new Error('the issuer is down')
      return TOKEN
    }
    const scene = await linked(securedScene(oauthBearer(token), lasting(), idle))
    const { clock, link, broker, net } = scene
    const sockets = net.opened.length
    await pass(clock, LIFETIME_MS, 500)
    expect(failures).toBeGreaterThan(3)
    expect([broker.count(SaslHandshake), link.isReady, net.opened.length]).toEqual([1, true, sockets])
  })

  it('P-47: without a token the connection is given up when its session is over, not later', async () => {
    let isUp = true
    const scene = await linked(
      securedScene(
        oauthBearer(async () => {
          if (!isUp) throw new Error('the issuer is down')
          return TOKEN
        }),
        lasting(),
        idle,
      ),
    )
    isUp = false
    const { clock, link, broker, events } = scene
    await pass(clock, 0.97 * LIFETIME_MS, 500)
    expect(link.isReady).toBe(true)
    await pass(clock, 0.04 * LIFETIME_MS, 500)
    expect(link.isReady).toBe(false)
    const down = events.find(({ name }) => name === 'brokerDown')?.event as { reason: MQError }
    expect([down.reason.code, down.reason.retryable]).toEqual(['AUTHENTICATION_FAILED', true])
    expect(broker.count(SaslHandshake)).toBe(0)
  })

  it('P-47: a token function that hangs past the session makes the connection quiet, then ends it', async () => {
    let isHanging = false
    const token = () => (isHanging ? new Promise<string>(() => {}) : Promise.resolve(TOKEN))
    const options = { ...idle, dialTimeoutMs: 60_000 }
    const scene = await linked(securedScene(oauthBearer(token), lasting(), options))
    isHanging = true
    const { clock, link, broker, events } = scene
    await pass(clock, 0.99 * LIFETIME_MS, 500)
    expect([link.isReady, link.hasRoom]).toEqual([true, true])
    await pass(clock, 0.02 * LIFETIME_MS, 500)
    expect([link.isReady, link.hasRoom]).toEqual([true, false]) // Anything but a handshake would be answered by the end.
    await pass(clock, 60_000, 500)
    expect(link.isReady).toBe(false)
    const down = events.find(({ name }) => name === 'brokerDown')?.event as { reason: MQError }
    expect(down.reason.code).toBe('CONNECTION_TIMEOUT')
    expect(broker.count(SaslHandshake)).toBe(0)
  })

  it('CL-6: a refused renewal closes the connection with AUTHENTICATION_FAILED, without showing the secret', async () => {
    let isKnown = true
    const script = lasting(() =>
      isKnown ? { sessionLifetimeMs: LIFETIME_MS } : { errorCode: 58, errorMessage: `no more pw-4711 for you` },
    )
    const scene = await linked(securedScene(plain('user', 'pw-4711'), script, idle))
    const reasons: MQError[] = []
    scene.link.onDown = (reason) => reasons.push(reason)
    isKnown = false
    await untilRenewal(scene)
    expect(scene.link.isReady).toBe(false)
    expect(reasons.map(({ code, fatal, context }) => [code, fatal, context['brokerId']])).toEqual([
      ['AUTHENTICATION_FAILED', true, 1],
    ])
    expectHidden(reasons[0], 'pw-4711')
    isKnown = true
    await passUntil(scene.clock, scene.link.whenReady(10_000))
  })

  it('CL-6: a broker that does not answer the renewal loses the connection after readTimeoutMs', async () => {
    const scene = await linked(securedScene(plain('user', 'pw-4711'), lasting(), { ...idle, readTimeoutMs: 2000 }))
    scene.broker.on(SaslHandshake, () => {})
    await untilRenewal(scene)
    await pass(scene.clock, 1500, 100)
    expect(scene.link.isReady).toBe(true)
    await pass(scene.clock, 1000, 100)
    expect(scene.link.isReady).toBe(false)
  })

  it('CL-1, CL-6: an idle connection renews its session, and is closed when its time comes all the same', async () => {
    const options = { ...idle, connectionMaxIdleMs: 3.5 * LIFETIME_MS }
    const scene = await linked(securedScene(plain('user', 'pw-4711'), lasting(), options))
    await pass(scene.clock, 3.4 * LIFETIME_MS, 1000)
    expect(scene.link.isReady).toBe(true)
    expect(scene.broker.count(SaslHandshake)).toBeGreaterThanOrEqual(3)
    await pass(scene.clock, 0.2 * LIFETIME_MS, 1000)
    expect(scene.link.isReady).toBe(false)
  })

  it('close() in the middle of a renewal leaves no timer and no socket', async () => {
    const scene = await linked(securedScene(plain('user', 'pw-4711'), lasting(), idle))
    scene.broker.on(SaslHandshake, () => {})
    await untilRenewal(scene)
    await scene.cluster.close()
    expect([scene.net.openConnections, scene.clock.pendingTimers]).toEqual([0, 0])
  })
})

/** Requests of this api wait for `go`. */
function held<A extends Api>(broker: ScriptedBroker, api: A) {
  const waiting: { reply(body: ResponseOf<A>): void }[] = []
  broker.on(api, (request) => void waiting.push(request))
  return {
    go: (body: ResponseOf<A>) => {
      for (const request of waiting) request.reply(body)
    },
  }
}
