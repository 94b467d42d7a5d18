import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { type Api, ApiVersions, Heartbeat, Metadata, SaslHandshake } from '../../lib/protocol/index.js'
import { settle } from './memory-net.js'
import { atEnd, failureOf, pass, passUntil, scene } from './support.js'

/** Answers ApiVersions as a broker does that knows it up to `max` only, in the form it would use. */
function knowsUpTo(max: number, lists = true) {
  return (request: {
    version: number
    reply(body: object): void
    raw(bytes: Uint8Array): void
    correlationId: number
  }) => {
    if (request.version <= max) return request.reply({ errorCode: 0, apiKeys: all() })
    const body = Buffer.alloc(lists ? 20 : 14)
    body.writeInt32BE(body.length - 4, 0)
    body.writeInt32BE(request.correlationId, 4)
    body.writeInt16BE(35, 8)
    body.writeInt32BE(lists ? 1 : 0, 10)
    if (lists) [ApiVersions.key, 0, max].forEach((value, index) => void body.writeInt16BE(value, 14 + 2 * index))
    request.raw(body)
  }
}

function all() {
  return [ApiVersions, Metadata, Heartbeat].map((api: Api) => ({
    apiKey: api.key,
    minVersion: 0,
    maxVersion: api.client?.max ?? 0,
  }))
}

describe('opening a connection', () => {
  it('W-16, W-17: ApiVersions is the first request, at our maximum, with the name of this software', async () => {
    const { cluster, brokers } = scene(1)
    await cluster.connect()
    const [first] = brokers[0]?.of(ApiVersions) ?? []
    expect(brokers[0]?.requests[0]).toBe(first)
    expect([first?.version, first?.correlationId]).toEqual([4, 0])
    expect(first?.body.clientSoftwareName).toMatch(/^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?$/)
    expect(first?.body.clientSoftwareVersion).toMatch(/^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?$/)
  })

  it.each([3, 2, 0])('W-17: error 35 leads to the version the broker lists (%i), on the same socket', async (max) => {
    const { cluster, brokers, net } = scene(1)
    brokers[0]?.on(ApiVersions, knowsUpTo(max) as never)
    await cluster.connect()
    expect(brokers[0]?.of(ApiVersions).map(({ version }) => version)).toEqual([4, max])
    expect(net.opened.length).toBe(1)
  })

  it('W-17: error 35 without a list leads to version 0', async () => {
    const { cluster, brokers } = scene(1)
    brokers[0]?.on(ApiVersions, knowsUpTo(0, false) as never)
    await cluster.connect()
    expect(brokers[0]?.of(ApiVersions).map(({ version }) => version)).toEqual([4, 0])
  })

  it('W-17: a broker that refuses for ever is reported, not asked for ever', async () => {
    const { cluster, brokers, clock } = scene(1, { maxRetries: 0 })
    brokers[0]?.on(ApiVersions, knowsUpTo(-1) as never)
    const error = await failureOf(passUntil(clock, cluster.connect()))
    expect(error.code).toBe('CONNECTION_FAILED')
    expect((error.cause as MQError).context.reason).toBe('UNSUPPORTED_VERSION')
    expect(brokers[0]?.count(ApiVersions)).toBeLessThanOrEqual(2)
  })

  it('W-17: a socket closed without an answer is tried once more with version 0 on a new one', async () => {
    const { cluster, brokers, net } = scene(1)
    brokers[0]?.on(ApiVersions, (request) => {
      if (request.version > 0) return request.transport.destroy(new MQError('CONNECTION_CLOSED', 'what is this?'))
      request.reply({ errorCode: 0, apiKeys: all() })
    })
    await cluster.connect()
    expect(brokers[0]?.of(ApiVersions).map(({ version }) => version)).toEqual([4, 0])
    expect(net.opened.length).toBe(2)
  })

  it('W-17: closed both times: CONNECTION_FAILED / UNSUPPORTED_VERSION, two sockets in all', async () => {
    const { cluster, brokers, net, clock } = scene(1, { maxRetries: 0 })
    brokers[0]?.on(ApiVersions, (request) => request.transport.destroy(new MQError('CONNECTION_CLOSED', 'no')))
    const error = await failureOf(passUntil(clock, cluster.connect()))
    expect((error.cause as MQError).context.reason).toBe('UNSUPPORTED_VERSION')
    expect(net.opened.length).toBe(2)
    expect(net.openConnections).toBe(0)
  })

  it('another error code in ApiVersions is shown with its Kafka name', async () => {
    const { cluster, brokers, clock } = scene(1, { maxRetries: 0 })
    brokers[0]?.on(ApiVersions, (request) => request.reply({ errorCode: 58, apiKeys: [] }))
    const error = await failureOf(passUntil(clock, cluster.connect()))
    expect(`${error} ${error.cause}`).toContain('SASL_AUTHENTICATION_FAILED')
  })

  it.each(['a wrong correlation id', 'a cut body', 'a bad size', 'noise'])(
    'W-15: %s as the answer fails the attempt and leaves no socket',
    async (what) => {
      const { cluster, brokers, net, clock } = scene(1, { maxRetries: 0 })
      brokers[0]?.on(ApiVersions, (request) => {
        const whole = request.encode(brokers[0]?.versions() as never)
        if (what === 'a wrong correlation id') whole.writeInt32BE(77, 4)
        if (what === 'a bad size') whole.writeInt32BE(-1, 0)
        if (what === 'noise') whole.fill(0xee, 8)
        if (what !== 'a cut body') return request.raw(whole)
        whole.writeInt32BE(20, 0)
        request.raw(whole.subarray(0, 24))
      })
      const error = await failureOf(passUntil(clock, cluster.connect()))
      expect(error.code).toBe('CONNECTION_FAILED')
      expect(net.openConnections).toBe(0)
    },
  )

  it('W-14: dialTimeoutMs covers ApiVersions too; the silent socket is closed', async () => {
    const { cluster, brokers, net, clock } = scene(1, { dialTimeoutMs: 2000, maxRetries: 0 })
    brokers[0]?.on(ApiVersions, () => {})
    const failed = failureOf(cluster.connect())
    await pass(clock, 1990)
    expect(net.openConnections).toBe(1)
    await pass(clock, 20)
    const error = await failed
    expect((error.cause as MQError).code).toBe('CONNECTION_TIMEOUT')
    expect(net.openConnections).toBe(0)
  })

  it('W-16: nothing else is sent before authentication is done, and it speaks on the same socket', async () => {
    let mayPass = () => {}
    const gate = new Promise<void>((resolve) => {
      mayPass = resolve
    })
    const { cluster, brokers } = scene(1, {
      authenticate: async ({ request, apis }) => {
        const answer = await request(SaslHandshake, apis.versionOf(SaslHandshake), { mechanism: 'PLAIN' })
        expect(answer.mechanisms).toEqual(['PLAIN'])
        await gate
        return 0
      },
    })
    brokers[0]?.on(SaslHandshake, (request) => request.reply({ errorCode: 0, mechanisms: ['PLAIN'] }))
    const connecting = cluster.connect()
    await settle()
    expect(brokers[0]?.requests.map(({ api }) => api.name)).toEqual(['ApiVersions', 'SaslHandshake'])
    mayPass()
    await connecting
    expect(brokers[0]?.of(Metadata)[0]?.correlationId).toBe(2)
  })

  it('refused credentials are fatal: no second address, no further round, no socket left', async () => {
    const refuse = async () => {
      throw new MQError('AUTHENTICATION_FAILED', 'wrong password')
    }
    const { cluster, net, clock } = scene(2, { authenticate: refuse })
    const error = await failureOf(passUntil(clock, cluster.connect()))
    expect([error.code, error.fatal, net.opened.length]).toEqual(['AUTHENTICATION_FAILED', true, 1])
    expect(net.openConnections).toBe(0)
  })

  it('close() while a connection is being opened ends it at once', async () => {
    const { cluster, brokers, net, clock } = scene(1)
    brokers[0]?.on(ApiVersions, () => {})
    const failed = failureOf(cluster.connect())
    await settle()
    await cluster.close()
    expect((await failed).code).toBe('CONNECTION_CLOSED')
    expect([net.openConnections, clock.pendingTimers]).toEqual([0, 0])
    atEnd(() => {})
  })

  it('W-21: finalized features are kept, and the newest epoch wins', async () => {
    const { cluster, brokers } = scene(2)
    for (const [index, level] of [2, 1].entries()) {
      const broker = brokers[index]
      const finalizedFeatures = [{ name: 'transaction.version', maxVersionLevel: level, minVersionLevel: 0 }]
      broker?.on(ApiVersions, (request) =>
        request.reply({ ...broker.versions(), finalizedFeatures, finalizedFeaturesEpoch: 10 - index }),
      )
    }
    await cluster.connect()
    expect(cluster.finalizedFeature('transaction.version')).toBe(-1) // The one that answered first is not a broker of the cluster yet.
    for (const id of [1, 2]) await cluster.link(id, 'control').whenReady(1000)
    expect(cluster.finalizedFeature('transaction.version')).toBe(2)
    expect(cluster.link(2, 'control').apis?.finalizedFeatures.get('transaction.version')?.max).toBe(1)
  })
})
