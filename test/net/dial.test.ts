import { describe, expect, it } from 'vitest'
import { addressText, dial, listen } from '../../lib/net/index.js'
import { FakeClock } from '../../lib/util/index.js'
import { nextFrame, open, rawServer, serve, whenClosed } from './support.js'

const limits = { timeoutMs: 3000, keepAliveMs: 0, maxFrameBytes: 1000, writeTimeoutMs: 1000 }

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const listener = await listen({ host: '127.0.0.1', port: 0, maxFrameBytes: 1000 }, () => {})
  await listener.close()
  return listener.port
}

describe('dial', () => {
  it('refused: CONNECTION_FAILED, retryable, with host, port and what happened to each address', async () => {
    const port = await freePort()
    await expect(dial({ host: '127.0.0.1', port, ...limits })).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      retryable: true,
      context: { host: '127.0.0.1', port, attempts: ['127.0.0.1: ECONNREFUSED'] },
    })
  })

  it('W-14: tries every address of a name, in order', async () => {
    const listener = await serve(() => {})
    const asked: string[] = []
    const lookup = async (host: string) => {
      asked.push(host)
      return [
        { address: '127.0.0.3', family: 4 },
        { address: '127.0.0.2', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]
    }
    const transport = await open(listener.port, { host: 'many.test', lookup })
    expect(transport.remote).toBe(`many.test:${listener.port}`)
    expect(asked).toEqual(['many.test'])
  })

  it('W-14: an address that swallows the connection leaves time for the next one', async () => {
    const listener = await serve(() => {})
    // 192.0.2.0/24 is reserved for documentation: packets to it are lost or refused, never answered.
    const lookup = async () => [
      { address: '192.0.2.1', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]
    const transport = await open(listener.port, { host: 'half.test', lookup, timeoutMs: 600 })
    expect(transport.isOpen).toBe(true)
  })

  it('a name without address, and a name that cannot be resolved, say so', async () => {
    const none = dial({ host: 'none.test', port: 1, ...limits, lookup: async () => [] })
    await expect(none).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      message: expect.stringContaining('no address'),
    })
    const fails = dial({ host: 'bad.test', port: 1, ...limits, lookup: () => Promise.reject(new Error('SERVFAIL')) })
    await expect(fails).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      message: expect.stringContaining('SERVFAIL'),
    })
  })

  it('K-26: an IPv6 address', async () => {
    const listener = await listen({ host: '::1', port: 0, maxFrameBytes: 1000 }, (transport) => {
      transport.onFrame = (frame) => transport.write([Buffer.from([0, 0, 0, frame.length]), frame])
    })
    try {
      const transport = await open(listener.port, { host: '::1' })
      const echoed = nextFrame(transport)
      transport.write([Buffer.from([0, 0, 0, 4]), Buffer.from('echo')])
      expect(Buffer.from(await echoed).toString()).toBe('echo')
      expect(transport.remote).toBe(`[::1]:${listener.port}`)
    } finally {
      await listener.close()
    }
  })

  it('the limit: CONNECTION_TIMEOUT, and no timer is left', async () => {
    const clock = new FakeClock()
    const dialling = dial({ host: 'slow.test', port: 1, ...limits, clock, lookup: () => new Promise(() => {}) })
    const rejected = expect(dialling).rejects.toMatchObject({ code: 'CONNECTION_TIMEOUT', retryable: true })
    clock.advance(2999)
    expect(clock.pendingTimers).toBe(1)
    clock.advance(1)
    await rejected
    expect(clock.pendingTimers).toBe(0)
  })

  it('given up by a signal: CONNECTION_CLOSED at once, no timer is left', async () => {
    const clock = new FakeClock()
    const abort = new AbortController()
    const { signal } = abort
    const dialling = dial({ host: 'slow.test', port: 1, ...limits, clock, signal, lookup: () => new Promise(() => {}) })
    const rejected = expect(dialling).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' })
    abort.abort()
    await rejected
    expect(clock.pendingTimers).toBe(0)
    await expect(dial({ host: '127.0.0.1', port: 1, ...limits, clock, signal })).rejects.toMatchObject({
      code: 'CONNECTION_CLOSED',
    })
    expect(clock.pendingTimers).toBe(0)
  })

  it('TLS towards a plain listener fails within the limit instead of hanging', async () => {
    const { port } = await rawServer((socket) => socket.on('data', () => socket.write('this is no TLS at all')))
    const dialling = dial({ host: '127.0.0.1', port, ...limits, tls: { rejectUnauthorized: false } })
    await expect(dialling).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
  })

  it('writes addresses so that they can be read back', () => {
    expect([addressText('host', 1), addressText('fe80::1', 9092)]).toEqual(['host:1', '[fe80::1]:9092'])
  })
})

describe('listen', () => {
  it('counts its connections, and close ends them all and frees the port', async () => {
    const closings: Promise<unknown>[] = []
    const listener = await listen({ host: '127.0.0.1', port: 0, maxFrameBytes: 1000 }, (transport) => {
      closings.push(whenClosed(transport))
    })
    const clients = await Promise.all([open(listener.port), open(listener.port), open(listener.port)])
    const ends = clients.map(whenClosed)
    while (listener.connections < 3) await new Promise((resolve) => setImmediate(resolve))
    let told = 0
    for (const closing of closings) void closing.then(() => told++)
    await listener.close()
    await listener.close()
    await Promise.resolve()
    expect(told).toBe(3)
    expect(listener.connections).toBe(0)
    await Promise.all(ends)
    const again = await listen({ host: '127.0.0.1', port: listener.port, maxFrameBytes: 1000 }, () => {})
    await again.close()
  })

  it('a port in use: CONNECTION_FAILED naming it', async () => {
    const listener = await serve(() => {})
    await expect(
      listen({ host: '127.0.0.1', port: listener.port, maxFrameBytes: 1000 }, () => {}),
    ).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      message: expect.stringContaining('EADDRINUSE'),
    })
  })
})
