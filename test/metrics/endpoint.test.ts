/** Over HTTP, with a client of our own: the handler in a server of the user, and the port of `metrics.address`. */
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { prefersOpenMetrics } from '../../lib/metrics/accept.js'
import type { Metrics } from '../../lib/metrics/index.js'
import { type Logger, silentLogger } from '../../lib/util/index.js'
import { expectRejection } from './expect-error.js'
import { parseExposition } from './exposition.js'
import { consumerMeasures, metricsOf, source } from './fakes.js'

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

function ask(
  port: number,
  path: string,
  options: { method?: string; accept?: string; host?: string } = {},
): Promise<Answer> {
  const { method = 'GET', accept, host = '127.0.0.1' } = options
  const headers = accept === undefined ? {} : { accept }
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host, port, path, method, headers }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function listening(metrics: Metrics) {
  ends.push(() => metrics.close())
  return metrics.listen()
}

async function serve(listener: Parameters<typeof createServer>[1]): Promise<number> {
  const server: Server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => new Promise((resolve) => server.close(resolve)))
  return (server.address() as AddressInfo).port
}

function filled(settings: Parameters<typeof metricsOf>[0] = {}, logger: Logger = silentLogger) {
  const metrics = metricsOf({ address: '127.0.0.1:0', ...settings }, { logger })
  metrics.attachConsumer(source(consumerMeasures()))
  return metrics
}

describe('handler()', () => {
  it('ME-2: answers with the text, or with OpenMetrics for whoever prefers it', async () => {
    const metrics = filled()
    const port = await serve(metrics.handler())
    const plain = await ask(port, '/anything')
    expect([plain.status, plain.headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    expect(plain.body).toBe(await metrics.text())
    const open = await ask(port, '/', { accept: 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3' })
    expect(open.headers['content-type']).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    expect(open.body).toBe(await metrics.openMetrics())
    expect(parseExposition(open.body, 'openMetrics').size).toBeGreaterThan(40)
  })

  it('ME-2: HEAD tells the length without a body, other methods get 405', async () => {
    const port = await serve(filled().handler())
    const [get, head] = [await ask(port, '/'), await ask(port, '/', { method: 'HEAD' })]
    expect([head.status, head.body, head.headers['content-length']]).toEqual([200, '', get.headers['content-length']])
    const post = await ask(port, '/', { method: 'POST' })
    expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD'])
  })

  it('ME-2: works as a middleware, whatever was cut off the url before', async () => {
    const handler = filled().handler()
    // As express calls it: three arguments, a url without the mount point, `originalUrl` beside it.
    const mounted = handler as (request: IncomingMessage, response: unknown, next: () => void) => void
    const port = await serve((request, response) => {
      Object.assign(request, { originalUrl: request.url, url: '/' })
      mounted(request, response, () => {
        throw new Error('the handler answers by itself')
      })
    })
    expect((await ask(port, '/internal/metrics')).status).toBe(200)
  })

  it('ME-1: answers 404 when metrics are disabled', async () => {
    const port = await serve(filled({ enabled: false }).handler())
    const { status, body } = await ask(port, '/')
    expect([status, body]).toEqual([404, 'metrics are disabled (metrics.enabled: false)\n'])
  })

  it('ME-2: what goes wrong is logged and answered with 500, without details', async () => {
    const told: unknown[] = []
    const metrics = filled({}, { ...silentLogger, error: (_message, context) => void told.push(context) })
    metrics.registry.registerMetric({ name: 'bad', get: () => Promise.reject(new Error('secret detail')) } as never)
    const port = await serve(metrics.handler())
    const { status, body } = await ask(port, '/')
    expect([status, body.includes('secret')]).toEqual([500, false])
    expect(JSON.stringify(told)).toContain('secret detail')
  })
})

describe('metrics.address', () => {
  it('NT-9: serves metrics.path and nothing else', async () => {
    const metrics = filled({ path: '/internal/metrics' })
    const { address, port } = await listening(metrics)
    expect(address).toBe('127.0.0.1')
    expect((await ask(port, '/internal/metrics?x=1')).body).toBe(await metrics.text())
    expect((await ask(port, '/metrics')).status).toBe(404)
    expect((await ask(port, '/')).status).toBe(404)
    expect((await ask(port, '/internal/metrics', { method: 'DELETE' })).status).toBe(405)
    expect(await metrics.listen()).toEqual({ address, port })
  })

  it('NT-9: metricsServer(path, address) serves them where it is told', async () => {
    const metrics = metricsOf()
    ends.push(() => metrics.close())
    const { port } = await metrics.metricsServer('/series', '127.0.0.1:0')
    expect((await ask(port, '/series')).status).toBe(200)
  })

  it('ME-5: /healthz is 200 or 503 with the report, and 404 without a check', async () => {
    const metrics = filled()
    const { port } = await listening(metrics)
    expect((await ask(port, '/healthz')).status).toBe(404)
    const checks = { brokers: { healthy: false, error: '[CONNECTION_FAILED] refused', durationMs: 3 } }
    let overall = true
    metrics.setHealth(async () => ({ overall, checks }))
    const well = await ask(port, '/healthz')
    expect([well.status, well.headers['content-type']]).toEqual([200, 'application/json; charset=utf-8'])
    overall = false
    const ill = await ask(port, '/healthz')
    expect([ill.status, JSON.parse(ill.body)]).toEqual([503, { overall: false, checks }])
    metrics.setHealth(() => Promise.reject(new Error('cannot say')))
    expect((await ask(port, '/healthz')).status).toBe(500)
  })

  it('ME-5: with metrics disabled health is served all the same', async () => {
    const metrics = filled({ enabled: false })
    metrics.setHealth(async () => ({ overall: true }))
    const { port } = await listening(metrics)
    expect((await ask(port, '/healthz')).status).toBe(200)
    expect((await ask(port, '/metrics')).status).toBe(404)
  })

  it('NT-9: a port in use is INVALID_CONFIG naming metrics.address, and another try may work', async () => {
    const taken = await serve(() => {})
    const metrics = filled({ address: `127.0.0.1:${taken}` })
    ends.push(() => metrics.close())
    await expectRejection(metrics.listen(), 'INVALID_CONFIG', 'metrics.address', `127.0.0.1:${taken}`, 'EADDRINUSE')
    expect((await metrics.metricsServer('/metrics', '127.0.0.1:0')).port).toBeGreaterThan(0)
  })

  it('NT-9: listen() without metrics.address opens nothing', async () => {
    await expectRejection(metricsOf().listen(), 'MISSING_CONFIG', 'metrics.address')
  })

  it('NT-9: an address that is none is refused by its form', async () => {
    const metrics = metricsOf()
    for (const address of ['9091', 'host', ':65536', '::1:80', ':']) {
      await expectRejection(metrics.metricsServer('/metrics', address), 'INVALID_CONFIG', 'metrics.address')
    }
  })

  it('NT-9: IPv6 in brackets, and a bare port for every address of the machine', async () => {
    const six = await listening(filled({ address: '[::1]:0' }))
    expect((await ask(six.port, '/metrics', { host: '::1' })).status).toBe(200)
    const all = await listening(filled({ address: ':0' }))
    expect(['::', '0.0.0.0']).toContain(all.address)
    expect((await ask(all.port, '/metrics')).status).toBe(200)
  })

  it('NT-9: start() opens it; a port in use is told to the logger and hurts nothing', async () => {
    const taken = await serve(() => {})
    const told = new Promise<object | undefined>((resolve) => {
      const metrics = filled(
        { address: `127.0.0.1:${taken}` },
        { ...silentLogger, error: (_text, context) => resolve(context) },
      )
      ends.push(() => metrics.close())
      metrics.start()
    })
    expect(JSON.stringify(await told)).toContain('metrics.address')
    const metrics = filled()
    ends.push(() => metrics.close())
    metrics.start()
    const { port } = await metrics.listen()
    expect((await ask(port, '/metrics')).status).toBe(200)
  })

  it('NT-9: close() ends open sockets, idle and half-asked ones too, and frees the port', async () => {
    const metrics = filled()
    const { port } = await listening(metrics)
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    await new Promise<void>((resolve) => socket.once('connect', resolve))
    socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n')
    const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    await ask(port, '/metrics') // The server has seen the half request by now.
    await metrics.close()
    await ended
    await expect(ask(port, '/metrics')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe('Accept', () => {
  it.each([
    [undefined, false],
    ['*/*', false],
    ['text/plain', false],
    ['application/openmetrics-text', true],
    ['application/openmetrics-text; version=1.0.0; charset=utf-8', true],
    [
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      true,
    ],
    ['text/plain;version=0.0.4;q=0.8, application/openmetrics-text;q=0.3', false],
    ['application/openmetrics-text;q=0', false],
    ['Application/OpenMetrics-Text', true],
    ['application/openmetrics-text;q=nonsense', false],
  ])('ME-2: %s -> OpenMetrics: %s', (accept, expected) => {
    expect(prefersOpenMetrics(accept)).toBe(expected)
  })
})
